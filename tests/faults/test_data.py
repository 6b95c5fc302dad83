"""Data that cannot be learnt from are named, and nothing is learnt from them."""

import re

import numpy as np
import pytest
from fault_helpers import STEPS, fitted, goes_on, parameters, samples, trainer_in, weights
from loader_helpers import Pairs

from cunet.data import Loader

pytestmark = pytest.mark.cpu_only

X, LABELS = samples()


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, changed(LABELS, 3, 3)), "class labels must be 0 to 2, .* got 3"),
        ((X, changed(LABELS, 3, -1)), "class labels must be 0 to 2, .* got -1"),
        ((X, LABELS + 0.5), "class labels must be of integer dtype"),
        ((X[:, :2], LABELS), "Linear: x must have|in_features"),
        ((X, LABELS[:19]), "arrays must have equal lengths"),
        ((X[:0], LABELS[:0]), "there must be at least one sample"),
        ((X.astype(object), LABELS), "an array of objects"),
        ((X.astype(str), LABELS), "an array of strings"),
        ([], "the training data yields no batch in epoch 1"),
        ([(X[:1], LABELS[:1])], "more than one value per channel, got 1"),
        (Pairs([X[0], X[1, :2]], LABELS[:2]), "samples must have equal shapes"),
        (Pairs(["one", "two"], LABELS[:2]), "samples must be numbers, got '(one|two)'"),
    ],
    ids=[
        *("label-above", "label-below", "label-half", "width", "lengths", "no-sample", "objects", "strings"),
        *("no-batch", "one-sample", "ragged", "words"),
    ],
)
def test_what_cannot_be_learnt_from_is_named_and_changes_nothing(data, message):
    trainer = trainer_in(None)
    before, state = parameters(trainer), trainer.optimizer.state_dict()
    with pytest.raises((ValueError, TypeError, IndexError)) as caught:
        trainer.fit(data)
    assert re.search(message, str(caught.value)), caught.value
    assert parameters(trainer) == before and trainer.optimizer.state_dict() == state
    assert trainer.global_step == 0 and trainer.history == []


def test_a_last_batch_of_one_loses_no_step_before_it(tmp_path):
    x, labels = samples(21)
    trainer = trainer_in(tmp_path)
    with pytest.raises(ValueError, match="more than one value per channel") as caught:
        trainer.fit(Loader(x, labels, batch_size=5))
    assert "drop_last" in "".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert trainer.global_step == STEPS
    good = trainer_in(None)
    good.fit(Loader(x, labels, batch_size=5, drop_last=True))
    assert weights(trainer) == weights(good)  # running statistics as well
    evaluated = good.evaluate(Loader(x, labels, batch_size=5))
    assert np.isfinite(evaluated["loss"])  # one sample can be evaluated


@pytest.mark.parametrize("value", [np.nan, np.inf], ids=["nan", "inf"])
@pytest.mark.parametrize("policy", [None, "raise", "stop", "skip", "restore"])
def test_values_in_the_data_that_are_not_finite(policy, value, tmp_path):
    data = changed(X, (7, 1), value), LABELS
    trainer = trainer_in(tmp_path, on_nan=policy)
    if policy == "raise":
        with pytest.raises(FloatingPointError, match=r"is (nan|inf) in step \d \(batch \d of epoch 1\)"):
            fitted(trainer, data, valid=False)
    else:
        with pytest.warns(UserWarning, match=r"step \d"):
            fitted(trainer, data, valid=False)
    sound = all(np.isfinite(array).all() for array in trainer.model.state_dict().values())
    assert sound == (policy is not None)
    if policy == "skip":
        assert [logs["skipped"] for logs in trainer.history] == [1, 1, 1]
        assert all(np.isfinite(logs["loss"]) for logs in trainer.history)


def test_a_wrong_label_within_an_epoch_loses_nothing_before_it(tmp_path):
    bad = [(X[:5], LABELS[:5]), (X[5:10], changed(LABELS[5:10], 2, 9))]
    trainer = trainer_in(tmp_path)
    with pytest.raises(ValueError, match="class labels must be 0 to 2"):
        trainer.fit(bad)
    assert trainer.global_step == 1 and (tmp_path / "step-000000001.safetensors").exists()
    first = trainer_in(None)
    first.fit(bad[:1])
    assert parameters(trainer) == parameters(first)


def test_empty_data_to_validate_on_lose_the_validation(tmp_path):
    trainer = trainer_in(tmp_path)
    with pytest.raises(ValueError, match="Trainer.evaluate: the data yields no batch"):
        trainer.fit((X, LABELS), [], batch_size=5)
    assert trainer.global_step == STEPS and "loss" in trainer.history[0]
    assert goes_on(tmp_path)[-1] == 3 * STEPS
