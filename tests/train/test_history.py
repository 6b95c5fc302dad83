"""The history of a run: a list as ever, that can be looked at."""

import copy
import pickle

import numpy as np
import pytest
from trainer_helpers import classes, trainer_of

from cunet import nn
from cunet.train import History

pytestmark = pytest.mark.cpu_only


def test_a_trainer_has_one_that_survives_copies_and_files(rng, tmp_path):
    trainer = trainer_of(nn.Linear(3, 3), loss="cross_entropy", metrics=["accuracy", "confusion_matrix"])
    history = trainer.fit(classes(rng), classes(rng, 20), epochs=2)
    assert type(history) is History and history is trainer.history and len(history) == 2
    for other in (copy.deepcopy(trainer).history, pickle.loads(pickle.dumps(history))):
        assert type(other) is History and other[1]["loss"] == history[1]["loss"]
    trainer.save(tmp_path / "run.safetensors")
    other = trainer_of(nn.Linear(3, 3), loss="cross_entropy", metrics=["accuracy", "confusion_matrix"])
    other.load(tmp_path / "run.safetensors")
    assert type(other.history) is History and other.history[0]["accuracy"] == history[0]["accuracy"]


def test_tables_have_a_row_for_each_epoch():
    history = History([
        {"epoch": 0, "valid_loss": 3.0, "seconds": 1.5, "complete": True},
        {"epoch": 1, "loss": 0.123456, "valid_loss": float("nan"), "<b>": np.float32(2), "matrix": np.eye(2),
         "seconds": 2.0, "samples_per_second": 7.0, "skipped": 1, "complete": True},
    ])  # fmt: skip
    assert history.rows()[0] == ["epoch", "valid loss", "loss", "<b>", "seconds"]
    assert history.rows()[1:] == [["0", "3.0000", "-", "-", "1.5000"], ["1", "nan", "0.1235", "2.0000", "2.0000"]]
    assert str(history).splitlines()[1].split() == ["0", "3.0000", "-", "-", "1.5000"]
    assert "&lt;b&gt;" in history._repr_html_() and "<b>" not in history._repr_html_()
    assert str(History()) == "no epochs yet" and History()._repr_html_() == "<p>no epochs yet</p>"


def test_it_draws_its_curves():
    pytest.importorskip("matplotlib")
    history = History([{"epoch": k, "loss": 1 / k, "valid_loss": 2 / k, "f1": 1 - 1 / k} for k in (1, 2, 3)])
    loss, f1 = history.plot()
    np.testing.assert_allclose(loss.lines[1].get_ydata(), [2, 1, 2 / 3])
    assert [ax.get_ylabel() for ax in history.plot("f1")] == ["f1"]
