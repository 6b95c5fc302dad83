"""States that are damaged, foreign or of another run are refused by name; what is running stays as it is."""

from pathlib import Path

import numpy as np
import pytest
from fault_helpers import EPOCHS, STEPS, fitted, goes_on, samples, trainer_in, undisturbed, weights

from cunet import F, nn, optim
from cunet.data import Loader
from cunet.system import trees
from cunet.train import EMA, EarlyStopping, Trainer

pytestmark = pytest.mark.cpu_only


def begun(folder, epochs=2, **options):
    fitted(trainer_in(folder, **options), epochs=epochs, resume="auto")
    return sorted(folder.iterdir())[-1]


def test_if_no_file_is_whole_all_is_lost_and_said(tmp_path):
    begun(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    trainer = trainer_in(tmp_path)
    before = weights(trainer)
    with (
        pytest.warns(UserWarning, match="trying the one before it"),
        pytest.raises(ValueError, match="no whole checkpoint"),
    ):
        fitted(trainer, resume="auto")
    assert weights(trainer) == before and trainer.global_step == 0


@pytest.mark.parametrize("what", ["folder", "part", "notes", "link"])
def test_what_else_lies_in_the_folder_is_passed_over(what, tmp_path):
    whole = undisturbed(tmp_path / "whole")
    run = tmp_path / "run"
    begun(run)
    newest = run / "step-000000099.safetensors"
    if what == "folder":
        newest.mkdir()
    elif what == "part":
        (run / f"step-000000099.safetensors.{'0' * 32}.part").write_bytes(b"half")
    elif what == "notes":
        (run / "notes.txt").write_text("my best run")
    else:
        newest.symlink_to(tmp_path / "nowhere")
    assert goes_on(run) == whole


def test_a_file_that_cannot_be_read_costs_the_steps_since_the_one_before_it(tmp_path, monkeypatch):
    whole = undisturbed(tmp_path / "whole")
    newest, real = begun(tmp_path / "run"), Path.read_bytes

    def refused(path):
        if path == newest:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refused)
        with pytest.warns(UserWarning, match="Permission denied.*trying the one before it"):
            assert goes_on(tmp_path / "run") == whole


def changed(path, **values):
    """Write a state again with other values."""
    state = trees.load_tree(path)
    trees.save_tree(path, {**state, **values})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 1}, "the state must be of a run, in format 2, got 1"),
        ({"format": 99}, "in format 2, got 99"),
        ({"optimizers": {}}, "the state is of the optimizer none, this trainer has Adam"),
        ({"average": {"class": "EMA"}}, "the state is of average=EMA, this trainer has None"),
        ({"callbacks": [{"class": "Other", "state": {"a": 1}}]}, "has a Other among its callbacks"),
        ({"generators": {"x": {}}}, r"the state has the random streams \['x'\], the model \[\]"),
        ({"model": {}}, "the state does not fit the model"),
    ],
    ids=["older", "newer", "optimizer", "average", "callbacks", "streams", "model"],
)
def test_a_state_of_something_else_is_refused(values, message, tmp_path):
    path = begun(tmp_path)
    changed(path, **values)
    trainer = trainer_in(None, [EarlyStopping(patience=9)])
    before = weights(trainer)
    with pytest.raises(ValueError, match=message):
        fitted(trainer, resume=path)
    assert weights(trainer) == before and trainer.global_step == 0 and trainer.history == []
    assert fitted(trainer).global_step == EPOCHS * STEPS  # it can be trained from the beginning


@pytest.mark.parametrize("other", ["data", "batch size", "order", "loader"])
def test_other_data_than_those_of_the_state_are_refused(other, tmp_path):
    path = begun(tmp_path)
    data = samples(24 if other == "data" else 20)
    loader = {
        "data": lambda: Loader(*data, batch_size=5, shuffle=True),
        "batch size": lambda: Loader(*data, batch_size=4, shuffle=True),
        "order": lambda: Loader(*data, batch_size=5),
        "loader": lambda: [data],
    }[other]()
    trainer = trainer_in(None)
    before = weights(trainer)
    if other in ("order", "loader"):  # between two epochs these are no contradiction
        trainer.fit(loader, epochs=EPOCHS, resume=path)
        assert trainer.epoch == EPOCHS
        return
    with pytest.raises(ValueError, match="Loader: the state has (n_samples|batch_size) "):
        trainer.fit(loader, resume=path)
    assert weights(trainer) == before


def test_a_model_of_another_shape_and_an_optimiser_of_other_settings(tmp_path):
    path = begun(tmp_path)
    model = nn.Linear(3, 3)
    trainer = Trainer(model, F.cross_entropy, optim.Adam(model.parameters()), progress=False)
    before = weights(trainer)
    with pytest.raises(ValueError, match="missing: .*|unexpected: .*|among its callbacks"):
        trainer.fit(samples(), resume=path)
    assert weights(trainer) == before
    other = trainer_in(None)
    other.optimizer.param_groups[0]["lr"] = 99.0  # the state's counts
    fitted(other, resume=path)
    assert other.optimizer.param_groups[0]["lr"] < 1


def test_a_state_that_a_trainer_wrote_with_an_average_needs_one(tmp_path):
    path = begun(tmp_path, average=EMA(0.9))
    with pytest.raises(ValueError, match="the state is of average=EMA, this trainer has None"):
        trainer_in(None).load(path)
    trainer_in(None, average=EMA(0.5)).load(path)  # a setting, no part of the state


def test_a_history_with_nan_is_saved_and_read(tmp_path):
    x, labels = samples()
    x[3] = np.nan
    with pytest.warns(UserWarning, match="NaN"):
        fitted(trainer_in(tmp_path), (x, labels), valid=False, epochs=1, resume="auto")
    again = trainer_in(tmp_path)
    with pytest.warns(UserWarning, match="NaN"):
        fitted(again, (x, labels), valid=False, epochs=2, resume="auto")
    assert len(again.history) == 2 and np.isnan(again.history[0]["loss"])
