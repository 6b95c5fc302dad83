"""What the tests of training share: models, data, and callbacks that note or act."""

import os
import signal

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


class At(Callback):
    """Do something after the batch of a number, counted from 1 over the whole fit."""

    def __init__(self, number, action):
        self.number, self.action, self.seen = number, action, 0

    def on_batch_end(self, trainer):
        self.seen += 1
        if self.seen == self.number:
            self.action(trainer)


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
    return Trainer(model, loss, optim.SGD(model.parameters(), lr=lr), device=device, progress=False, **kwargs)


def regression(device="cpu", **kwargs):
    return trainer_of(nn.Linear(2, 1), device, **kwargs)
