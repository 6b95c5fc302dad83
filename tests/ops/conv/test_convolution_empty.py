"""Convolutions of which an axis has length 0, and outputs that no input reaches."""

import numpy as np
import pytest
from helpers import host

from cunet import F
from cunet.autograd.tensor import Tensor

CASES = {
    "no input channels": ("conv_transpose2d", (2, 0, 3, 4), (0, 3, 2, 2), (2, 3, 6, 8), {"stride": 2}),
    "no output channels": ("conv_transpose2d", (2, 3, 3, 4), (3, 0, 2, 2), (2, 0, 4, 5), {}),
    "an empty axis": ("conv_transpose2d", (2, 3, 0, 4), (3, 2, 4, 3), (2, 2, 3, 6), {}),
    "strided, an empty axis": ("conv_transpose1d", (2, 3, 0), (3, 2, 4), (2, 2, 2), {"stride": 2}),
    "no kernels": ("conv2d", (2, 3, 5, 4), (0, 3, 1, 1), (2, 0, 7, 6), {"padding": 1}),
    "no channels": ("conv2d", (2, 0, 5, 4), (3, 0, 2, 2), (2, 3, 4, 3), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_what_no_input_reaches_is_the_bias(name, dev):
    op, x_shape, weight_shape, y_shape, options = CASES[name]
    channels = y_shape[1]
    x, weight, bias = (
        Tensor(dev(np.ones(s, np.float32)), requires_grad=True) for s in (x_shape, weight_shape, (channels,))
    )
    y = getattr(F, op)(x, weight, bias, **options)
    np.testing.assert_array_equal(host(y), np.ones(y_shape))
    y.sum().backward()
    np.testing.assert_array_equal(host(x.grad), np.zeros(x_shape))
    np.testing.assert_array_equal(host(weight.grad), np.zeros(weight_shape))
    np.testing.assert_array_equal(host(bias.grad), np.full(channels, np.prod(y_shape) / max(channels, 1)))
