"""EarlyStopping, BestWeights and Schedule, with a trainer and on logs given by hand."""

import math

import numpy as np
import pytest
from trainer_helpers import Counter, played

from cunet import F, nn, optim
from cunet.data import Loader
from cunet.train import BestWeights, Callback, EarlyStopping, Schedule, Trainer

pytestmark = pytest.mark.cpu_only


@pytest.mark.parametrize(
    ("values", "kwargs", "epochs"),
    [
        ([3, 2, 1, 0.5], {"patience": 1}, 4),
        ([3, 2, 2, 1], {"patience": 1}, 3),  # equal is no improvement
        ([3, 4, 5, 1], {"patience": 2}, 3),
        ([3, 4, 2, 4, 5, 6], {"patience": 2}, 5),  # counting starts again
        ([3, 2.95, 2.9, 2.85], {"patience": 2, "min_delta": 0.1}, 3),
        ([0.1, 0.2, 0.15, 0.1, 0.3], {"patience": 2, "mode": "max"}, 4),
        ([math.nan, math.nan, 1.0], {"patience": 2}, 2),
        ([1.0, math.nan, 0.5, 0.4], {"patience": 2}, 4),
    ],
)
def test_early_stopping_waits_its_patience(values, kwargs, epochs):
    assert played(EarlyStopping(**kwargs), values).epoch == epochs


@pytest.mark.parametrize(("restore", "weight"), [(True, 2), (False, 4)])
def test_early_stopping_restores_the_best_weights(restore, weight):
    trainer = played(EarlyStopping(patience=2, restore_best=restore), [3, 1, 2, 2])
    assert trainer.stop and trainer.model.weight.data == weight


def test_the_best_weights_also_come_back_if_patience_did_not_run_out():
    trainer = played(EarlyStopping(patience=9, restore_best=True), [3, 1, 2])
    assert not trainer.stop and trainer.model.weight.data == 2
    assert played(EarlyStopping(restore_best=True), [math.nan]).model.weight.data == 1  # no best: left alone


def test_a_second_fit_waits_anew_for_something_better():
    callback, model = EarlyStopping(patience=2), Counter()
    assert played(callback, [1, 2, 3], model=model).epoch == 3
    assert played(callback, [2, 2, 2], model=model).epoch == 2
    assert played(callback, [0.5, 0.6, 0.4], model=model).epoch == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EarlyStopping(mode="least"), 'EarlyStopping: mode must be "min" or "max", got \'least\''),
        (
            lambda: EarlyStopping("valid_wobble"),
            'EarlyStopping: mode must be "min" or "max": the name \'valid_wobble\' does not tell which is better',
        ),
        (lambda: EarlyStopping(patience=0), "EarlyStopping: patience must be at least 1, got 0"),
        (lambda: BestWeights("x", mode="least"), 'BestWeights: mode must be "min" or "max", got \'least\''),
        (lambda: Schedule(None, per="step"), 'Schedule: per must be "epoch" or "batch", got \'step\''),
        (lambda: played(EarlyStopping("f1"), [1]), "EarlyStopping: no 'f1' in the logs; there are valid_loss"),
    ],
)
def test_messages(make, message):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("kwargs", "values", "kept"),
    [({}, [3, 1, 2], 2), ({"mode": "max"}, [3, 1, 2], 1), ({"monitor": None}, [3, 1, 2], 3), ({}, [2, math.nan], 1)],
)
def test_checkpoint_keeps_the_best_or_the_last(kwargs, values, kept, tmp_path):
    path = tmp_path / "best.safetensors"
    played(BestWeights(path, **kwargs), values)
    model = Counter()
    model.load(path)
    assert model.weight.data == kept
    assert [p.name for p in tmp_path.iterdir()] == ["best.safetensors"]


def fitted(schedule, epochs, per="epoch", lr=1.0, loss=None, **kwargs):
    """Train a model whose weight grows by the learning rate in every step; return trainer and rates used."""
    model, rates = Counter(), []
    optimizer = optim.SGD(model.parameters(), lr=lr)

    class Note(Callback):
        def on_batch_end(self, trainer):
            rates.append(optimizer.param_groups[0]["lr"])

    callback = Schedule(schedule(optimizer), per=per, **kwargs)
    trainer = Trainer(
        model,
        loss or (lambda p, t: -p.sum()),
        optimizer,
        callbacks=[Note(), callback],
        progress=False,
        device="cpu",
    )
    x = np.ones(4, np.float32)
    trainer.fit(Loader(x, x, batch_size=2), (x, x), epochs=epochs)
    return trainer, rates


def test_a_schedule_per_epoch_notes_the_rate_that_was_used():
    trainer, rates = fitted(lambda o: optim.StepLR(o, step_size=1, gamma=0.5), 3)
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert [logs["lr"] for logs in trainer.history] == [1, 0.5, 0.25]


def test_a_schedule_per_batch():
    trainer, rates = fitted(lambda o: optim.LambdaLR(o, lambda step: step + 1), 2, per="batch")
    assert rates == [1, 2, 3, 4]
    assert [logs["max_lr"] for logs in trainer.history] == [2, 4]


def test_a_one_cycle_says_how_high_the_rate_was_in_each_epoch():
    trainer, rates = fitted(lambda o: optim.OneCycleLR(o, 0.5, total_steps=6, cycle_momentum=False), 3, per="batch")
    assert [logs["max_lr"] for logs in trainer.history] == [max(rates[k : k + 2]) for k in (0, 2, 4)]
    assert trainer.history[-1]["lr"] < 1e-4 < trainer.history[-1]["max_lr"]


def test_a_schedule_on_a_plateau_sees_the_monitored_value():
    trainer, rates = fitted(
        lambda o: optim.ReduceLROnPlateau(o, factor=0.1, patience=1),
        4,
        loss=lambda p, t: p.sum() * 0 + 5.0,  # never improves
        monitor="valid_loss",
    )
    assert rates == pytest.approx([1, 1, 1, 1, 1, 1, 0.1, 0.1])
    assert [logs["lr"] for logs in trainer.history] == pytest.approx([1, 1, 1, 0.1])


def test_callbacks_work_together_in_a_fit(rng, tmp_path):
    x = rng.normal(size=(64, 2)).astype(np.float32)
    y = x.sum(axis=1, keepdims=True)
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    explode = [0.1] * 4 + [1e4] * 6

    class Rates(Callback):
        def on_epoch_begin(self, trainer):
            trainer.optimizer.param_groups[0]["lr"] = explode[trainer.epoch - 1]

    stopping = EarlyStopping(patience=2, restore_best=True)
    trainer = Trainer(
        model,
        F.mse_loss,
        optimizer,
        callbacks=[Rates(), stopping, BestWeights(tmp_path / "best.safetensors")],
        device="cpu",
        progress=False,
    )
    history = trainer.fit([(x, y)], [(x, y)], epochs=10)
    assert len(history) == 6 and not trainer.interrupted
    assert trainer.evaluate([(x, y)])["loss"] == history[3]["valid_loss"] == stopping.best
    other = nn.Linear(2, 1)
    other.load(tmp_path / "best.safetensors")
    np.testing.assert_array_equal(other.weight.data, model.weight.data)


def test_a_checkpoint_looks_before_training_whether_it_can_write(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="there is no folder .*missing to write x to"):
        BestWeights(tmp_path / "missing" / "x").on_fit_begin(played(Callback(), []))
    monkeypatch.setenv("HOME", str(tmp_path))
    played(BestWeights("~/best"), [2, 1])
    assert (tmp_path / "best").is_file()
    again = BestWeights("~/best")
    with pytest.warns(UserWarning, match="is of an earlier run with a better valid_loss, 1"):
        played(again, [3])
