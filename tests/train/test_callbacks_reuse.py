"""Callbacks used again: for another model, by another run, and for metrics of which more is better."""

import numpy as np
import pytest
from trainer_helpers import Counter, played

from cunet.train import BestWeights, EarlyStopping

pytestmark = pytest.mark.cpu_only


def test_early_stopping_begins_anew_with_another_model():
    callback = EarlyStopping(patience=2, restore_best=True)
    assert played(callback, [1, 0.1, 2, 3]).model.weight.data == 2
    second = played(callback, [5, 4, 3, 6])  # another fold, worse throughout
    assert second.epoch == 4 and second.model.weight.data == 3
    assert played(callback, [np.nan]).model.weight.data == 1  # nothing to restore, and nothing of the others


def test_a_checkpoint_begins_anew_with_another_model(tmp_path):
    callback = BestWeights(tmp_path / "best.safetensors")
    played(callback, [1, 0.1])
    played(callback, [5, 6])
    assert weight(callback.path) == 1


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("valid_accuracy", 2),
        ("accuracy", 2),
        ("valid_f1", 2),
        ("top_5_acc", 2),
        ("valid_top5", 2),
        ("auroc", 2),
        ("valid_mse_loss", 1),
        ("rmse", 1),
    ],
)
def test_which_way_is_better_is_told_by_the_name(name, best, tmp_path):
    callback = EarlyStopping(name, restore_best=True)
    assert played(callback, [0.5, 0.9, 0.7], name).model.weight.data == best
    saved = BestWeights(tmp_path / "x", name)
    played(saved, [0.5, 0.9, 0.7], name)
    assert weight(saved.path) == best
    other = EarlyStopping(name, restore_best=True, mode="max" if best == 1 else "min")
    assert played(other, [0.5, 0.9, 0.7], name).model.weight.data == 3 - best


def weight(path):
    model = Counter()
    model.load(path)
    return model.weight.data


def test_a_new_checkpoint_keeps_a_better_file(tmp_path):
    path = tmp_path / "best.safetensors"
    played(BestWeights(path), [3, 0.25])
    with pytest.warns(UserWarning, match=r"best\.safetensors is of an earlier run with a better valid_loss, 0\.25"):
        played(BestWeights(path), [3, 1, 0.5])
    assert weight(path) == 2
    played(BestWeights(path), [0.2, 0.1, 0.3])  # better from the start: nothing to say
    assert weight(path) == 2
    model = Counter()
    model.save(path)  # of another hand: says nothing of its worth
    played(BestWeights(path), [7, 8, 9])
    assert weight(path) == 1
    played(BestWeights(path, "accuracy"), [0.1], "accuracy")  # another measure: not to be compared
    assert weight(path) == 1
