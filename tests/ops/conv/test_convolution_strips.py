"""Transposed convolutions of short rows by long kernels, whose zeros outnumber the data."""

import numpy as np
import pytest
from helpers import host

from cunet import F


def expected(x, weight, stride, extra):
    """Add up the kernel of each element at its place."""
    n, kernel = x.shape[2], weight.shape[2]
    y = np.zeros((len(x), weight.shape[1], (n - 1) * stride + kernel + extra))
    for t in range(n):
        y[:, :, t * stride : t * stride + kernel] += np.einsum("nc,cok->nok", x[:, :, t], weight)
    return y


@pytest.mark.parametrize("kernel", [5, 14, 16, 21, 33])
@pytest.mark.parametrize("stride, extra", [(1, 0), (2, 1), (3, 2)])
def test_what_no_tap_reaches_is_zero(kernel, stride, extra, rng, dev):
    for n in (1, 2, 5):
        x, weight = rng.standard_normal((2, 3, n)), rng.standard_normal((3, 2, kernel))
        y = F.conv_transpose1d(dev(x), dev(weight), stride=stride, output_padding=extra)
        np.testing.assert_allclose(host(y), expected(x, weight, stride, extra), rtol=1e-12, atol=1e-12)
