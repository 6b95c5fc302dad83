"""What the tests of autograd share."""

import numpy as np
import pytest

from cunet.autograd.tensor import Tensor


@pytest.fixture
def leaf(dev):
    """``leaf(values, dtype=float32)``: a tensor on the device that requires a gradient."""
    return lambda values, dtype=np.float32: Tensor(dev(values, dtype), requires_grad=True)
