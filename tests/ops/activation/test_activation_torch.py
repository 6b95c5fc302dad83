"""PyTorch as a second oracle of the activations and their gradients."""

import numpy as np
import pytest
from helpers import host

from cunet import F, Tensor

#: ours, and what it is with PyTorch's functions `t`
PAIRS = {
    "sigmoid": (F.sigmoid, lambda t, x: t.sigmoid(x)),
    "tanh": (F.tanh, lambda t, x: t.tanh(x)),
    "logsigmoid": (F.logsigmoid, lambda t, x: t.logsigmoid(x)),
    "softplus": (F.softplus, lambda t, x: t.softplus(x, threshold=50)),
    "softplus beta": (lambda x: F.softplus(x, beta=0.3), lambda t, x: t.softplus(x, 0.3, 50)),
    "softsign": (F.softsign, lambda t, x: t.softsign(x)),
    "hardsigmoid": (F.hardsigmoid, lambda t, x: t.hardsigmoid(x)),
    "hardtanh": (F.hardtanh, lambda t, x: t.hardtanh(x)),
    "hardtanh limits": (lambda x: F.hardtanh(x, min_val=-0.5, max_val=2), lambda t, x: t.hardtanh(x, -0.5, 2)),
    "hardswish": (F.hardswish, lambda t, x: t.hardswish(x)),
    "relu": (F.relu, lambda t, x: t.relu(x)),
    "relu6": (F.relu6, lambda t, x: t.relu6(x)),
    "leaky_relu": (F.leaky_relu, lambda t, x: t.leaky_relu(x)),
    "threshold": (F.threshold, lambda t, x: t.threshold(x, 1.0, 0.0)),
    "elu": (lambda x: F.elu(x, alpha=0.7), lambda t, x: t.elu(x, 0.7)),
    "celu": (lambda x: F.celu(x, alpha=0.7), lambda t, x: t.celu(x, 0.7)),
    "selu": (F.selu, lambda t, x: t.selu(x)),
    "gelu": (F.gelu, lambda t, x: t.gelu(x)),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), lambda t, x: t.gelu(x, approximate="tanh")),
    "silu": (F.silu, lambda t, x: t.silu(x)),
    "mish": (F.mish, lambda t, x: t.mish(x)),
    "glu": (F.glu, lambda t, x: t.glu(x)),
    "glu axis": (lambda x: F.glu(x, axis=0), lambda t, x: t.glu(x, 0)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_agrees_with_pytorch(name, rng, dev):
    torch = pytest.importorskip("torch")
    ours, theirs = PAIRS[name]
    kinks = [0.0, 1.0, -1.0, 3.0, -3.0, 6.0]  # where the side that a derivative takes shows
    x = np.concatenate([rng.uniform(-8, 8, 234), kinks]).reshape(12, 20)
    leaf, other = Tensor(dev(x), requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(leaf), theirs(torch.nn.functional, other)
    gy = rng.standard_normal(y.shape)
    y.backward(dev(gy))
    z.backward(torch.tensor(gy))
    rtol = 1e-6 if name in ("hardsigmoid", "celu") else 1e-11  # PyTorch rounds their 1/6 and 1/alpha to float32
    np.testing.assert_allclose(host(y), z.detach().numpy(), rtol=rtol, atol=1e-12)
    np.testing.assert_allclose(host(leaf.grad), other.grad.numpy(), rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("weights", [1, 5])
def test_prelu_agrees_with_pytorch(weights, rng, dev):
    torch = pytest.importorskip("torch")
    arrays = rng.standard_normal((4, 5, 3)), rng.uniform(0, 1, weights)
    mine = [Tensor(dev(a), requires_grad=True) for a in arrays]
    other = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, z = F.prelu(*mine), torch.nn.functional.prelu(*other)
    gy = rng.standard_normal(y.shape)
    y.backward(dev(gy))
    z.backward(torch.tensor(gy))
    np.testing.assert_allclose(host(y), z.detach().numpy(), rtol=1e-13)
    for a, b in zip(mine, other, strict=True):
        np.testing.assert_allclose(host(a.grad), b.grad.numpy(), rtol=1e-13)
