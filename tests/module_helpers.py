"""Modules that the tests of modules share."""

import numpy as np
from helpers import host

import cunet
from cunet.autograd.tensor import Tensor
from cunet.nn import Module, Parameter


class Scale(Module):
    """Multiply by a trained factor; count what came in a buffer."""

    def __init__(self, factor=2.0, dtype=np.float32):
        self.factor = Parameter(np.full(3, factor, dtype))
        self.total = Tensor(np.zeros((), dtype))

    def forward(self, x):
        return x * self.factor


class Net(Module):
    """Every way in which something can belong to a module."""

    def __init__(self):
        self.first = Scale(1.0)
        self.blocks = [Scale(2.0), (Scale(3.0), Scale(4.0))]
        self.by_name = {"a": Scale(5.0), "b": [Parameter(np.ones(2, np.float32))]}
        self.rate = 0.5
        self.label = "net"
        self.none = None
        self.again = self.first


def keys(model):
    return list(model.state_dict())


def check_within_vmap(layer, x):
    """See that a layer does in evaluation with each sample what it does with the batch, once it has seen that."""
    layer(x)
    layer.eval()
    found = cunet.vmap(lambda a: layer(a[None])[0])(x)
    np.testing.assert_allclose(host(found), host(layer(x)), rtol=1e-5, atol=1e-6)
