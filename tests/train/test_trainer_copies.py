"""Copies of a Trainer, and of all it holds, train on as the first does, and leave it alone."""

import copy
import pickle

import numpy as np
import pytest

from cunet import F, nn, optim
from cunet.data import Loader
from cunet.random import Generator
from cunet.train import EarlyStopping, Schedule, Trainer

pytestmark = pytest.mark.cpu_only


@pytest.mark.parametrize("again", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["deepcopy", "pickle"])
def test_a_copy_of_a_trainer_trains_on(again, rng):
    x = rng.normal(size=(32, 3)).astype(np.float32)
    y = x.sum(axis=1, keepdims=True)
    model = nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3, generator=Generator(5)), nn.Linear(8, 1)
    )
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    callbacks = [Schedule(optim.StepLR(optimizer, 1, gamma=0.5)), EarlyStopping("loss", restore_best=True)]
    trainer = Trainer(model, F.mse_loss, optimizer, callbacks=callbacks, device="cpu", progress=False)
    loader = Loader(x, y, batch_size=8, shuffle=True, generator=Generator(3))
    trainer.fit(loader, epochs=2)
    other, loader_twin = again((trainer, loader))
    before = model.state_dict()
    other.fit(loader_twin, epochs=2)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert any((other.model.state_dict()[name] != before[name]).any() for name in before)
    trainer.fit(loader, epochs=2)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, other.model.state_dict()[name])
    losses = [[logs["loss"] for logs in t.history] for t in (trainer, other)]
    assert losses[0] == losses[1] and trainer.history[-1]["lr"] == other.history[-1]["lr"]
