"""The trainer's step overridden, and the order of its hooks."""

import numpy as np
import pytest
from trainer_helpers import At, Recorder, line, regression, trainer_of

from cunet import F, nn, optim
from cunet.data import Loader
from cunet.train import Trainer


def test_two_losses_by_overriding_compute(rng):
    class WithPenalty(Trainer):
        def compute(self, x, target):
            loss, prediction = super().compute(x, target)
            return loss + (self.model.weight**2).sum(), prediction

    trainer = WithPenalty(nn.Linear(2, 1, init="zeros"), F.mse_loss, device="cpu", progress=False)
    trainer.optimizer = optim.SGD(trainer.model.parameters(), lr=0.1)
    trainer.fit(line(rng), line(rng), epochs=100)
    shrunk = trainer.model.weight.data  # (x'x + 1) w = x'y: about half of [1, -2]
    assert np.all(np.abs(shrunk) < [0.7, 1.4]) and trainer.history[-1]["valid_loss"] > 1


def test_clipping_by_overriding_step(rng):
    class Clipping(Trainer):
        def step(self, *batch):
            self.optimizer.zero_grad()
            loss, prediction = self.compute(*batch)
            loss.backward()
            optim.clip_grad_norm_(list(self.model.parameters()), 1e-3)
            self.optimizer.step()
            return loss, prediction

    model = nn.Linear(2, 1)
    before = model.state_dict()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    Clipping(model, F.mse_loss, optimizer, device="cpu", progress=False).fit([line(rng)])
    moved = sum(((model.state_dict()[k] - before[k]) ** 2).sum() for k in before) ** 0.5
    assert moved == pytest.approx(1e-3, rel=1e-3)


def test_accumulation_by_overriding_step(rng):
    class Accumulating(Trainer):
        steps = 0

        def step(self, *batch):
            loss, prediction = self.compute(*batch)
            (loss / 4).backward()
            self.steps += 1
            if self.steps % 4 == 0:
                self.optimizer.step()
                self.optimizer.zero_grad()
            return loss, prediction

    x, y = line(rng)
    one, four = nn.Linear(2, 1, dtype=np.float64), nn.Linear(2, 1, dtype=np.float64)
    four.load_state_dict(one.state_dict())
    trainer_of(one).fit(Loader(x, y, batch_size=64))
    optimizer = optim.SGD(four.parameters(), lr=0.1)
    Accumulating(four, F.mse_loss, optimizer, device="cpu", progress=False).fit(Loader(x, y, batch_size=16))
    np.testing.assert_allclose(four.weight.data, one.weight.data, rtol=1e-6)


def test_hooks_come_in_order_and_callbacks_too(rng):
    x, y = line(rng, 4)
    first, second = Recorder(), Recorder()
    first.calls = second.calls = calls = []
    regression(callbacks=[first, second]).fit(Loader(x, y, batch_size=2), epochs=2)
    epoch = [("epoch begin", 0), ("batch", 0), ("batch", 0), ("epoch end", 0)]
    hooks = [("fit begin", 0), *[(h, n) for n in (1, 2) for h, _ in epoch], ("fit end", 2)]
    assert calls == [hook for hook in hooks for _ in range(2)]


def test_a_callback_stops_within_an_epoch(rng):
    x, y = line(rng)
    recorder = Recorder()
    trainer = regression(callbacks=[At(5, lambda t: setattr(t, "stop", True)), recorder])
    trainer.fit(Loader(x, y, batch_size=16), (x, y), epochs=9)
    assert [(logs["epoch"], logs["complete"]) for logs in trainer.history] == [(1, True), (2, False)]
    assert "valid_loss" in trainer.history[1] and not trainer.interrupted
    assert recorder.calls[-2:] == [("epoch end", 2), ("fit end", 2)]
    trainer.fit(Loader(x, y, batch_size=16))
    assert trainer.history[-1]["complete"] and not trainer.stop
