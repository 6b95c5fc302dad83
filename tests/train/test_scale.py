"""Scaling of the loss: gradients that float16 would lose, updates that are left out, and the state of a run."""

import numpy as np
import pytest
from checkpoint_helpers import Cut, StopAt, facts
from helpers import host, turn
from trainer_helpers import classes, line, trainer_of

import cunet
from cunet import nn, optim
from cunet.train import EMA, Callback, Checkpoint, Trainer, scale


@cunet.op
def steep(x):
    """Return x, with a gradient that is not finite."""
    return x, lambda gy: (gy * float("inf"),)


class Failing:
    """A loss whose gradients are not finite in some calls, by their numbers."""

    def __init__(self, *bad):
        self.bad, self.calls = bad, 0

    def __call__(self, prediction, target):
        self.calls += 1
        prediction = steep(prediction) if self.calls in self.bad else prediction
        return ((prediction - target) ** 2).mean()


@pytest.mark.parametrize("method", [optim.SGD, optim.Adam, optim.Muon], ids=lambda method: method.__name__)
def test_gradients_that_float16_would_lose_are_learnt_from(method, device, dev, rng):
    x = rng.normal(size=(64, 8)).astype(np.float16)

    def tiny(prediction, target):
        return (prediction * 1e-4).mean() * 1e-4  # 1.5e-10 for each element: float16 ends at 6e-8

    moved = {}
    for options in ({}, {"loss_scale": "dynamic"}, {"loss_scale": 4096.0, "clip_norm": 1e9}):
        model = nn.Linear(8, 4, bias=False, dtype=np.float16)
        before = host(model.weight).astype(np.float64)
        optimizer = method(model.parameters(), lr=1e6 if method is optim.SGD else 0.125, weight_decay=0)
        Trainer(model, tiny, optimizer, device=device, progress=False, **options).fit([(dev(x), dev(x[:, :4]))])
        moved[str(options)] = host(model.weight).astype(np.float64) - before
    nothing, *both = moved.values()
    assert not nothing.any()
    for change in both:
        assert change.any()
        if method is optim.SGD:
            expected = np.broadcast_to(-1e6 * 1e-8 / 4 * x.astype(np.float64).mean(axis=0), (4, 8))
            np.testing.assert_allclose(change, expected, rtol=0.1, atol=3e-4)  # weights of float16 are 5e-4 apart


@pytest.mark.parametrize(
    "options", [{}, {"accumulate": 3}, {"clip_norm": 0.01}, {"clip_value": 0.01}, {"on_nan": "raise"}]
)
def test_a_scale_that_rounds_nothing_changes_no_bit(options, device, dev, rng):
    x, y = (dev(part) for part in line(rng))
    weights = []
    for more in ({}, {"loss_scale": "dynamic"}, {"loss_scale": 1024}):
        with turn(more):
            cunet.manual_seed(0)
            model = nn.Linear(2, 1)
            trainer = trainer_of(model, device, **options, **more)
            trainer.fit(cunet.data.Loader(x, y, batch_size=16), epochs=2)
            assert "skipped" not in trainer.history[-1]
            weights.append([host(p).tobytes() for p in model.parameters()])
    assert weights[0] == weights[1] == weights[2]


def test_an_update_that_overflows_is_left_out_and_the_scale_halved(device, dev, rng):
    x, y = (dev(part) for part in line(rng, 16))
    model = nn.Linear(2, 1)
    optimizer = optim.Adam(model.parameters())
    seen = []

    class Noting(Callback):
        def on_batch_end(self, trainer):
            seen.append((trainer.updates.scale.value, host(model.weight).copy(), optimizer.state[0].get("step", 0)))

    ema = EMA(0.5)
    trainer = Trainer(
        model,
        Failing(2, 5),
        optimizer,
        loss_scale="dynamic",
        average=ema,
        callbacks=Noting(),
        device=device,
        progress=False,
    )
    trainer.fit(cunet.data.Loader(x, y, batch_size=4))
    assert [value for value, *_ in seen] == [2**15, 2**14, 2**14, 2**14]
    assert [steps for *_, steps in seen] == [1, 1, 2, 3]
    np.testing.assert_array_equal(seen[0][1], seen[1][1])
    assert trainer.history[-1]["skipped"] == 1 and np.isfinite(trainer.history[-1]["loss"])
    trainer.fit([(x, y)])
    assert trainer.updates.scale.value == 2**13 and trainer.history[-1]["skipped"] == 1
    fixed = trainer_of(nn.Linear(2, 1), device, Failing(1), loss_scale=8)
    fixed.fit([(x, y), (x, y)])
    assert fixed.updates.scale.value == 8 and fixed.history[-1]["skipped"] == 1


def test_the_scale_is_doubled_after_a_while_up_to_what_the_loss_holds(monkeypatch, device, dev, rng):
    monkeypatch.setattr(scale, "_PATIENCE", 3)
    for dtype, expected in ((np.float32, 2**16), (np.float16, 2**15)):
        x, y = (dev(part.astype(dtype)) for part in line(rng, 8))
        model = nn.Linear(2, 1, dtype=dtype)
        trainer = trainer_of(model, device, lambda p, t: ((p - t) ** 2).mean() * 0.01, loss_scale="dynamic")
        trainer.updates.scale.value = 2.0**12
        trainer.fit([(x, y)], epochs=14)
        assert trainer.updates.scale.value == expected


def test_what_no_scale_makes_finite_is_left_to_on_nan(rng):
    x, y = line(rng, 4)
    always = range(1, 100)
    trainer = trainer_of(nn.Linear(2, 1), loss=Failing(*always), loss_scale="dynamic", on_nan="raise")
    with pytest.raises(FloatingPointError, match="the norm of the gradients is nan in step 16 "):
        trainer.fit([(x, y)], epochs=20)
    trainer = trainer_of(nn.Linear(2, 1), loss=Failing(*always), loss_scale="dynamic")
    trainer.fit([(x, y)], epochs=20)
    assert trainer.updates.scale.value == 2.0**-5 and all(logs["skipped"] == 1 for logs in trainer.history)


@pytest.mark.cpu_only
@pytest.mark.parametrize("options", [{}, {"accumulate": 2}])
def test_a_run_goes_on_with_its_scale(options, monkeypatch, rng, tmp_path):
    monkeypatch.setattr(scale, "_PATIENCE", 4)
    x, labels = classes(rng, 24)

    def trained(folder, stop=0):
        cunet.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 3)).astype(np.float16)
        callbacks = [Checkpoint(folder, monitor=None, every_steps=1), StopAt(stop)]
        trainer = Trainer(
            model, "cross_entropy", optim.Adam(model.parameters()), callbacks=callbacks, progress=False,
            loss_scale="dynamic", **options,
        )  # fmt: skip
        trainer.updates.scale.value = 4.0
        trainer.fit(cunet.data.Loader(x, labels, batch_size=4), epochs=3, resume="auto")
        return trainer.updates.scale.state_dict(), facts(trainer)

    whole = trained(tmp_path / "whole")
    assert whole[0]["value"] > 4
    with pytest.raises(Cut):
        trained(tmp_path / "cut", 5)
    assert trained(tmp_path / "cut") == whole


@pytest.mark.cpu_only
def test_what_is_no_scale_is_refused(rng):
    for wrong, error in (("static", ValueError), (0, ValueError), (-2.0, ValueError), ([1], TypeError)):
        with pytest.raises(error, match="loss_scale must be"):
            trainer_of(nn.Linear(2, 1), loss_scale=wrong)
    x, y = (part.astype(np.float16) for part in line(rng, 4))
    with pytest.raises(ValueError, match="loss_scale must be at most 65504 for a loss of float16, got 100000"):
        trainer_of(nn.Linear(2, 1, dtype=np.float16), loss_scale=1e5).fit([(x, y)])

    class Own(Trainer):
        def step(self, *batch):
            return self.compute(*batch)

    model = nn.Linear(2, 1)
    with pytest.raises(ValueError, match="loss_scale are done by Trainer.step"):
        Own(model, "mse_loss", "sgd", loss_scale=8, device="cpu", progress=False).fit([line(rng, 4)])
