"""What the tests of losses share."""

import numpy as np
import pytest
from helpers import host

from cunet.autograd.tensor import Tensor


def run(f, x, *rest, dev, dtype=np.float32, **options):
    """Return the loss and the gradient for `x` on the host."""
    leaf = Tensor(dev(np.array(x), dtype), requires_grad=True)
    y = f(leaf, *[dev(np.array(a)) for a in rest], **options)
    y.backward(dev(np.ones(y.shape), dtype))
    return host(y), host(leaf.grad)


def compare(ours, theirs, arrays, dev, rng, differentiable=(0,)):
    """Compare a loss and its gradients with PyTorch's; ``theirs(torch, *tensors)``."""
    torch = pytest.importorskip("torch")
    tensors = [torch.tensor(a, requires_grad=i in differentiable) for i, a in enumerate(arrays)]
    leaves = [Tensor(dev(a), requires_grad=i in differentiable) for i, a in enumerate(arrays)]
    y, z = ours(*leaves), theirs(torch, *tensors)
    gy = rng.standard_normal(tuple(z.shape))
    y.backward(dev(gy))
    z.backward(torch.tensor(gy))
    np.testing.assert_allclose(host(y), z.detach().numpy(), rtol=1e-12, atol=1e-14)
    for i in differentiable:
        np.testing.assert_allclose(host(leaves[i].grad), tensors[i].grad.numpy(), rtol=1e-10, atol=1e-13)
