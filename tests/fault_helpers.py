"""Runs that something happens to, for the tests of faults: they are small, and saved after each step."""

import numpy as np
from checkpoint_helpers import facts

import cunet
from cunet import nn, optim
from cunet.data import Loader
from cunet.train import Checkpoint, Schedule, Trainer

EPOCHS, STEPS = 3, 4  # steps of an epoch


def samples(n=20):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 3)).astype(np.float32), rng.integers(0, 3, n)


def trainer_in(folder, callbacks=(), kind=Trainer, every=1, **options):
    """Make a trainer as a program would that is started anew; it saves to `folder` unless that is None."""
    cunet.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
    optimizer = optim.Adam(model.parameters(), 0.05)
    saving = [] if folder is None else [Checkpoint(folder, keep=3, every_steps=every, monitor=None)]
    own = [Schedule(optim.StepLR(optimizer, 3, 0.5), per="batch")]
    return kind(model, options.pop("loss", "cross_entropy"), optimizer, callbacks=[*own, *callbacks, *saving],
                device="cpu", progress=False, **options)  # fmt: skip


def fitted(trainer, data=None, valid=True, epochs=EPOCHS, **options):
    data = data or samples()
    loader = Loader(*data, batch_size=len(data[0]) // STEPS, shuffle=True)
    trainer.fit(loader, data if valid else None, epochs=epochs, **options)
    return trainer


def undisturbed(folder, **options):
    """Return what a run leaves that nothing happens to."""
    return facts(fitted(trainer_in(folder, **options), resume="auto"))


def goes_on(folder, **options):
    """Return what a run leaves that is started again with what is in `folder`."""
    return facts(fitted(trainer_in(folder, **options), resume="auto"))


def weights(trainer):
    return {name: array.tobytes() for name, array in trainer.model.state_dict().items()}


def parameters(trainer):
    """Return the weights alone: where a loss raises, running statistics have seen the batch before it."""
    return [p.data.tobytes() for p in trainer.model.parameters()]


class Pages:
    """A file that holds so many bytes and no more, as one on a full disk."""

    def __init__(self, file, room, error):
        self._file, self._room, self._error = file, room, error

    def write(self, data):
        if self._file.tell() + len(bytes(data)) > self._room:
            raise self._error
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._file.close()


def full_disk(monkeypatch, error, room=1000):
    """Let every file that is written to be such a one; return what ends that."""
    import builtins

    real = builtins.open

    def opened(path, mode="r", *args, **kwargs):
        file = real(path, mode, *args, **kwargs)
        return Pages(file, room, error) if set(mode) & set("wax+") and str(path).endswith(".part") else file

    monkeypatch.setattr(builtins, "open", opened)
    return lambda: monkeypatch.setattr(builtins, "open", real)
