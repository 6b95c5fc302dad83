"""Sizes that no array has: refused, or without a loop that counts to them; and calls that no op understands."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Tensor

CONVOLVE = {"conv2d": F.conv2d, "conv_transpose2d": F.conv_transpose2d}
POOL = {"max_pool2d": F.max_pool2d, "avg_pool2d": F.avg_pool2d}


@pytest.mark.parametrize("name", [*CONVOLVE, *POOL])
def test_a_stride_beyond_the_axis_is_that_of_one_window(name, dev):
    found = []
    for stride in (7, 2**31 - 1):
        x = Tensor(dev(np.arange(4.0).reshape(1, 1, 2, 2)), requires_grad=True)
        if name in CONVOLVE:
            size = 1 if "transpose" in name else 2
            y = CONVOLVE[name](x[:, :, :size, :size], dev(np.arange(4.0).reshape(1, 1, 2, 2)), stride=stride)
        else:
            y = POOL[name](x, 2, stride=stride)
        y.sum().backward()
        found.append((host(y), host(x.grad)))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


REFUSED = [
    (lambda x: F.conv2d(x, x, stride=2**31), ValueError, r"conv2d: stride must be below 2\*\*31, got 2147483648"),
    (lambda x: F.conv2d(x, x, dilation=2**63), ValueError, "conv2d: dilation must be below"),
    (lambda x: F.max_pool2d(x, 2, stride=2**70), ValueError, "max_pool2d: stride must be below"),
    (lambda x: F.adaptive_max_pool2d(x, 2**63), ValueError, "adaptive_max_pool2d: output_size must be below"),
    (lambda x: F.interpolate(x, size=0.5), ValueError, "interpolate: size must be an int above 0.*got 0.5"),
    (lambda x: F.interpolate(x, size="2"), ValueError, "interpolate: size must be an int above 0"),
    (lambda x: F.interpolate(x, scale_factor=1e30), ValueError, "interpolate: scale_factor must be a number"),
    (lambda x: cunet.split(x[0, 0, 0, 0], [1]), ValueError, "split: 1 or more parts of at least one axis"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=[str(k) for k in range(len(REFUSED))])
def test_what_cannot_be_is_refused_by_name(call, error, message, dev):
    with pytest.raises(error, match=message):
        call(dev(np.ones((1, 1, 2, 2), np.float32)))
