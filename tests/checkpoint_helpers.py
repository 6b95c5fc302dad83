"""Runs that are cut off and go on, for the tests of checkpoints."""

import json

import numpy as np
from helpers import host

import cunet
from cunet import F, nn, optim
from cunet.data import Loader
from cunet.train import Callback, Checkpoint, EarlyStopping, Schedule, Trainer

SAMPLES = 22


class Noise(Callback):
    """Shift the data a little after each epoch, as an augmentation would, by a stream of its own."""

    def __init__(self):
        self.draws = 0

    def on_epoch_end(self, trainer, logs):
        self.draws += 1

    def state_dict(self):
        return {"draws": self.draws}

    def load_state_dict(self, state):
        self.draws = state["draws"]


class StopAt(Callback):
    """End the program as a power cut would: nothing after this step runs."""

    def __init__(self, step):
        self.step = step

    def on_batch_end(self, trainer):
        if trainer.global_step == self.step:
            raise Cut


class Cut(Exception):
    pass


def images(device_array, rng):
    x = rng.standard_normal((SAMPLES, 1, 6, 6)).astype(np.float32)
    return device_array(x), device_array(rng.integers(0, 3, SAMPLES))


def net():
    cunet.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.4), nn.Linear(64, 3)
    )


def run(data, folder, device, stop=0, every=None, make=optim.Adam, extra=(), compile="auto"):
    """Make everything as a program would that is started anew, and train; return the trainer."""
    model = net()
    optimizer = make(model.parameters(), lr=0.01)
    schedule = Schedule(optim.StepLR(optimizer, 3, 0.5), per="batch")
    checkpoint = Checkpoint(folder, keep=2, every_steps=every)
    callbacks = [checkpoint, schedule, EarlyStopping(patience=9, restore_best=True), Noise(), *extra]
    callbacks += [StopAt(stop)] if stop else []
    trainer = Trainer(
        model, F.cross_entropy, optimizer, metrics="accuracy", callbacks=callbacks, device=device, compile=compile
    )
    loader = Loader(*data, batch_size=5, shuffle=True, generator=cunet.Generator(3, "order"))
    try:
        trainer.fit(loader, data, epochs=3, resume="auto")
    except Cut:
        return None
    return trainer


def facts(trainer):
    """Return everything that a run leaves, times left out."""
    plain = [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_second")} for row in trainer.history]
    state = trainer.optimizer.state_dict()
    arrays = [host(v).tobytes() for v in trainer.model.state_dict().values()]
    slots = [{k: host(v).tobytes() if hasattr(v, "tobytes") else v for k, v in s.items()} for s in state["state"]]
    return (
        arrays,
        slots,
        json.dumps(state["param_groups"]),
        json.dumps(plain),
        cunet.random.get_state(),
        trainer.global_step,
    )
