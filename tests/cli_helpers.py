"""What the tests of the command share: a recipe of one's own, and calls of the command."""

import json

from cunet.cli import main

RECIPE = '''
import os, signal
import numpy as np
from cunet import Trainer, nn, optim
from cunet.cli import Job, Picture
from cunet.data import Loader
from cunet.train import Callback, Schedule

class Stop(Callback):
    def __init__(self, step, number):
        self.step, self.number = step, number
    def on_batch_end(self, trainer):
        if trainer.global_step == self.step and not os.path.exists("went on"):
            open("went on", "w").close()
            os.kill(os.getpid(), self.number)

def make(*, width: int = 8, rate=0.01, batch_size=16, stop=0, number=2, images=False):
    """Learn which of three numbers is largest.

    Args:
        width: units of the hidden layer
        rate: learning rate, 1 %
    """
    rng = np.random.default_rng(5)
    x = rng.normal(size=(96, 9)).astype(np.float32)
    model = nn.Sequential(nn.Linear(9, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, 3))
    optimizer = optim.Adam(model.parameters(), lr=rate)
    callbacks = [Stop(stop, number), Schedule(optim.StepLR(optimizer, 2, gamma=0.5))]
    trainer = Trainer(model, "cross_entropy", optimizer, metrics="accuracy", callbacks=callbacks, device="cpu")
    data = Loader(x, x[:, :3].argmax(axis=1), batch_size=batch_size, shuffle=True, device="cpu")
    job = Job(trainer, data, data, Picture(3, 0.5, 2.0, True))
    return job if images else tuple(job[:3])

class Mine(nn.Sequential):
    pass

def unregistered():
    trainer, *data = make()
    trainer.model = Mine(*trainer.model)
    return trainer, *data

def alone():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    return Trainer(model, "cross_entropy", "adam", device="cpu")

def blind():
    return make()[:2]

def wrong():
    return 3

def broken():
    raise TypeError("broken on purpose")

nothing = 3
'''


def asked(capsys, *arguments, status=0):
    """Run the command with ``--json``; return what it printed."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == status
    return json.loads(capsys.readouterr().out)
