"""What the tests of launches and waits share: a small network, and a step of it that is counted."""

import numpy as np

import cunet
import sim
from cunet import F, nn, optim

xp = sim.namespace_or_skip()
stats = xp._stats


def mlp(*middle):
    middle = middle or (nn.BatchNorm1d(32), nn.ELU(), nn.Dropout(0.5))
    return nn.Sequential(nn.Linear(20, 32), *middle, nn.Linear(32, 10)).to("gpu")


def batch(rng, n=48, shape=(20,), classes=10):
    return rng.standard_normal((n, *shape)).astype(np.float32), rng.integers(0, classes, n)


def step(model, optimizer, x, target, loss=F.cross_entropy, clip=None):
    optimizer.zero_grad()
    value = loss(model(cunet.Tensor(x)), target)
    value.backward()
    if clip:
        clip(model.parameters())
    optimizer.step()
    return value


def warm(model, optimizer, x, target, **kw):
    """Two steps: kernels are made, and the optimiser's flat buffers."""
    for _ in range(2):
        step(model, optimizer, x, target, **kw)


def quiet_step(rng, model, make_optimizer=optim.Adam, shape=(20,), target=None, **kw):
    """Make a step under the ban of synchronisations and uploads."""
    x, labels = batch(rng, shape=shape)
    x, target = xp.asarray(x), xp.asarray(labels if target is None else target)
    optimizer = make_optimizer(model.parameters())
    warm(model, optimizer, x, target, **kw)
    with stats.forbid(), stats.counting() as counted:
        value = step(model, optimizer, x, target, **kw)
    assert np.isfinite(value.item())
    return counted
