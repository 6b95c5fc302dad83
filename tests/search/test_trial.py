"""Trials: a mapping of values, and what is told on the way; a Trainer's epochs are told by `Pruning`."""

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")

from search_helpers import found  # noqa: E402

import cunet  # noqa: E402
from cunet import nn, optim  # noqa: E402
from cunet.search import Float, Pruning  # noqa: E402
from cunet.train import Trainer  # noqa: E402

pytestmark = pytest.mark.cpu_only

RATES = {"lr": Float(1e-6, 1, log=True)}


def trained(trial, monitor="valid_loss", epochs=3, **options):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 4)).astype(np.float32)
    model = nn.Linear(4, 3)
    optimizer = optim.SGD(model.parameters(), lr=trial["lr"])
    trainer = Trainer(model, "cross_entropy", optimizer, callbacks=Pruning(trial, monitor), progress=False, **options)
    return trainer.fit((x, x[:, :3].argmax(axis=1)), epochs=epochs, validation_split=0.25)[-1]["valid_loss"]


def test_a_trial_is_a_mapping():
    seen = []

    def build(trial):
        seen.append((dict(**trial), len(trial), repr(trial), trial.number))
        return trial["lr"]

    found(build, 1, RATES)
    values, count, text, number = seen[0]
    assert values.keys() == {"lr"} and count == 1 and number == 0 and text == f"Trial(0, {values})"


def test_a_trainer_gives_up_what_is_worse_than_others():
    result = found(trained, 9, RATES, method="random")
    states = {trial.state for trial in result.trials}
    assert states == {"complete", "pruned"}
    for trial in result.trials:
        assert len(trial.curve) == 3 if trial.state == "complete" else len(trial.curve) < 3
        assert trial.value == list(trial.curve.values())[-1]
    assert all(trial.state == "complete" for trial in result.trials[:5])  # the median rule waits for five
    assert {t.state for t in found(trained, 9, RATES, method="random", pruner=None).trials} == {"complete"}


def test_a_training_that_diverges_is_the_worst():
    result = found(lambda trial: trained(trial, on_nan="raise"), 2, {"lr": [1e-2, 1e38]}, method="grid")
    assert [trial.value for trial in result.trials] == [pytest.approx(1, abs=1), np.inf]
    assert result.best.params == {"lr": 1e-2}
    for mode, worst in (("min", np.inf), ("max", -np.inf)):
        assert found(lambda trial: float("nan"), 1, RATES, mode=mode).trials[0].value == worst


def test_pruning_names_an_entry_that_is_not_there():
    with pytest.raises(ValueError, match="Pruning: no 'valid_accuracy' in the logs; there are epoch, loss"):
        found(lambda trial: trained(trial, "valid_accuracy"), 1, RATES)


def test_the_weights_of_a_trial_come_again_by_its_seed():
    def build(trial):
        assert cunet.random.default_generator("dropout").seed == trial.seed
        return float(nn.Linear(2, 2).weight.data.sum())

    first, second = (found(build, 3, RATES, seed=seed) for seed in (1, 1))
    assert [t.value for t in first.trials] == [t.value for t in second.trials]
    assert len({t.value for t in first.trials}) == 3
