"""What tests share that compare layers with those of PyTorch."""

import numpy as np
from helpers import host

from cunet import device as backend


def weighted(y):
    """Return a number on which every element bears, each with a weight of its own."""
    xp = backend.array_module(y.data)
    return (y * xp.sin(xp.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum()


def in_torch(torch, layer, theirs):
    theirs = theirs.double()
    theirs.load_state_dict({name: torch.tensor(host(a)) for name, a in layer.state_dict().items()})
    return theirs


def torch_weighted(torch, y):
    return (y * torch.sin(torch.arange(y.numel(), dtype=y.dtype)).reshape(y.shape)).sum()


def assert_same_gradients(layer, theirs):
    named = dict(theirs.named_parameters())
    assert {name for name, _ in layer.named_parameters()} == set(named)
    for name, p in layer.named_parameters():
        np.testing.assert_allclose(host(p.grad), named[name].grad.numpy(), rtol=1e-8, atol=1e-11, err_msg=name)
