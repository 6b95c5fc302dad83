"""The files of checkpoints: which stay, which are refused, and what is said."""

import numpy as np
import pytest
from checkpoint_helpers import Noise, facts, images, net, run

from cunet import nn, optim
from cunet.data import Loader
from cunet.train import Callback, Checkpoint, EarlyStopping, Schedule, Trainer


@pytest.mark.cpu_only
def test_the_newest_files_and_the_best_stay(rng, tmp_path):
    data = images(np.asarray, rng)

    class Play(Callback):
        def on_epoch_end(self, trainer, logs):
            logs["score"] = [1, 9, 2, 3, 4, 5][trainer.epoch - 1]

    def trained(epochs):
        model = net()
        checkpoint = Checkpoint(tmp_path, keep=2, monitor="score")
        trainer = Trainer(model, "cross_entropy", optim.SGD(model.parameters(), 0.1), callbacks=[Play(), checkpoint])
        trainer.fit(Loader(*data, batch_size=11), epochs=epochs, resume="auto")
        return checkpoint

    checkpoint = trained(4)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"step-00000000{k}.safetensors" for k in (4, 6, 8)]
    assert checkpoint.best_path.name == "step-000000004.safetensors"
    again = trained(6)  # what is on disk is known
    assert again.best_path.name == "step-000000004.safetensors" and again.newest.name == "step-000000012.safetensors"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.cpu_only
@pytest.mark.parametrize("damage", ["cut", "flipped", "history", "empty", "foreign"])
def test_a_damaged_file_is_named_and_the_one_before_it_taken(damage, rng, tmp_path):
    data = images(np.asarray, rng)
    whole = facts(run(data, tmp_path / "whole", "cpu"))
    run(data, tmp_path / "cut", "cpu", stop=8, every=1)
    newest = tmp_path / "cut" / "step-000000007.safetensors"
    content = newest.read_bytes()
    middle = len(content) * 3 // 4
    newest.write_bytes(
        {
            "cut": content[:middle],
            "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "history": content.replace(b"valid_loss", b"valid_losz"),
            "empty": b"",
            "foreign": b"PK\x03\x04 something else",
        }[damage]
    )
    with pytest.warns(UserWarning, match=r"step-000000007.safetensors .*trying the one before it, step-000000006"):
        assert facts(run(data, tmp_path / "cut", "cpu")) == whole


@pytest.mark.cpu_only
def test_weights_alone_and_states_of_others_are_refused_and_nothing_changes(rng, tmp_path):
    data = images(np.asarray, rng)
    trainer = run(data, tmp_path / "run", "cpu")
    file = sorted((tmp_path / "run").iterdir())[-1]
    trainer.model.save(tmp_path / "weights.safetensors")
    model = net()
    before = model.state_dict()
    sgd = Trainer(model, "cross_entropy", optim.SGD(model.parameters(), 0.1))
    adam = Trainer(model, "cross_entropy", optim.Adam(model.parameters(), 0.1))
    with pytest.raises(ValueError, match="holds arrays alone, not the state of a run"):
        adam.fit(data, resume=tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="the state is of the optimizer Adam, this trainer has SGD"):
        sgd.fit(data, resume=file)
    with pytest.raises(ValueError, match="the state has a Schedule among its callbacks"):
        adam.load(file)
    other = nn.Sequential(nn.Linear(3, 3))
    with pytest.raises(ValueError, match="does not fit the model"):
        optimizer = optim.Adam(other.parameters(), 0.1)
        callbacks = [Schedule(optim.StepLR(optimizer, 3)), EarlyStopping(), Noise()]
        callbacks = [Checkpoint(tmp_path / "new"), *callbacks]
        Trainer(other, "cross_entropy", optimizer, callbacks=callbacks).load(file)
    with pytest.raises(ValueError, match='resume="auto" needs a Checkpoint among the callbacks'):
        adam.fit(data, resume="auto")
    with pytest.raises(FileNotFoundError):
        adam.fit(data, resume=tmp_path / "none.safetensors")
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.cpu_only
def test_a_missing_entry_is_said_once_and_saves_all_the_same(rng, tmp_path):
    model = net()
    checkpoint = Checkpoint(tmp_path / "a" / "b")
    trainer = Trainer(model, "cross_entropy", optim.SGD(model.parameters(), 0.1), callbacks=[checkpoint])
    with pytest.warns(UserWarning, match="Checkpoint: no 'valid_loss' in the logs, so none is the best") as caught:
        trainer.fit(images(np.asarray, rng), epochs=2)
    assert len(caught) == 1 and checkpoint.newest.exists() and checkpoint.best_path is None


@pytest.mark.cpu_only
def test_settings_are_checked(tmp_path):
    with pytest.raises(ValueError, match="folder must be a folder, got 'x.safetensors'; BestWeights keeps"):
        Checkpoint("x.safetensors")
    for wrong in ({"keep": 0}, {"every_steps": 0}, {"every_minutes": 0}):
        with pytest.raises(ValueError, match=f"Checkpoint: {next(iter(wrong))} must be"):
            Checkpoint(tmp_path, **wrong)


@pytest.mark.cpu_only
def test_minutes_are_counted_from_the_last_save(rng, tmp_path, monkeypatch):
    import importlib

    module, clock = importlib.import_module("cunet.train.checkpoint"), [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])

    class Tick(Callback):
        def on_batch_end(self, trainer):
            clock[0] += 25

    model = net()
    callbacks = [Tick(), Checkpoint(tmp_path, keep=99, monitor=None, every_minutes=1)]
    trainer = Trainer(model, "cross_entropy", optim.SGD(model.parameters(), 0.1), callbacks=callbacks)
    trainer.fit(Loader(*images(np.asarray, rng), batch_size=2), epochs=1)
    assert [int(p.stem[5:]) for p in sorted(tmp_path.iterdir())] == [3, 6, 9, 11]
