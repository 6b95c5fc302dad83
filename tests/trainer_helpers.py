"""What the tests of training share: models, data, and callbacks that note or act."""

import os
import signal
import types

import numpy as np

from cunet import F, nn, optim
from cunet.train import Callback, Trainer


class Recorder(Callback):
    """Note every hook with the epoch."""

    def __init__(self):
        self.calls = []

    def on_fit_begin(self, trainer):
        self.calls.append(("fit begin", trainer.epoch))

    def on_epoch_begin(self, trainer):
        self.calls.append(("epoch begin", trainer.epoch))

    def on_batch_end(self, trainer):
        self.calls.append(("batch", trainer.epoch))

    def on_epoch_end(self, trainer, logs):
        self.calls.append(("epoch end", trainer.epoch))

    def on_fit_end(self, trainer):
        self.calls.append(("fit end", trainer.epoch))


class Own(Trainer):
    """Makes its updates by itself."""

    def step(self, *batch):
        self.optimizer.zero_grad()
        loss, prediction = self.compute(*batch)
        loss.backward()
        self.optimizer.step()
        return loss, prediction


class Counting(Trainer):
    """Counts its steps, which a replay would not."""

    count = 0

    def step(self, *batch):
        self.count += 1
        return super().step(*batch)


class At(Callback):
    """Do something after the batch of a number, counted from 1 over the whole fit."""

    def __init__(self, number, action):
        self.number, self.action, self.seen = number, action, 0

    def on_batch_end(self, trainer):
        self.seen += 1
        if self.seen == self.number:
            self.action(trainer)


class Counter(nn.Module):
    """A model whose weight tells how many steps were made."""

    def __init__(self):
        self.weight = nn.Parameter(np.zeros((), np.float32))

    def forward(self, x):
        return self.weight * x


def played(callback, values, name="valid_loss", model=None):
    """Hand an epoch's value at a time to a callback, the weight being the epoch's number; return the trainer."""
    trainer = types.SimpleNamespace(model=model or Counter(), stop=False, epoch=0, optimizer=None)
    callback.on_fit_begin(trainer)
    for value in values:
        trainer.epoch += 1
        trainer.model.weight.data = np.array(trainer.epoch, np.float32)
        callback.on_epoch_end(trainer, {name: value})
        if trainer.stop:
            break
    callback.on_fit_end(trainer)
    return trainer


def press_ctrl_c(trainer=None):
    os.kill(os.getpid(), signal.SIGINT)


def line(rng, n=64):
    """Samples of y = x @ [1, -2] + 3 without noise."""
    x = rng.normal(size=(n, 2)).astype(np.float32)
    return x, x @ np.array([[1.0], [-2.0]], np.float32) + np.float32(3)


def classes(rng, n=96):
    """Samples whose class is the largest of three features."""
    x = rng.normal(size=(n, 3)).astype(np.float32)
    return x, x.argmax(axis=1)


def trainer_of(model, device="cpu", loss=F.mse_loss, lr=0.1, **kwargs):
    return Trainer(model, loss, optim.SGD(model.parameters(), lr=lr), device=device, **{"progress": False, **kwargs})


def regression(device="cpu", **kwargs):
    return trainer_of(nn.Linear(2, 1), device, **kwargs)
