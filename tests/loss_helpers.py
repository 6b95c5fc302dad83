"""What the tests of losses share."""

import numpy as np
from helpers import host

from cunet.autograd.tensor import Tensor


def run(f, x, *rest, dev, dtype=np.float32, **options):
    """Return the loss and the gradient for `x` on the host."""
    leaf = Tensor(dev(np.array(x), dtype), requires_grad=True)
    y = f(leaf, *[dev(np.array(a)) for a in rest], **options)
    y.backward(dev(np.ones(y.shape), dtype))
    return host(y), host(leaf.grad)
