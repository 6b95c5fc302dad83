"""Infinities in a convolution: they reach what they are multiplied with, whatever the way of computing."""

import numpy as np
import pytest
from helpers import host

from cunet import F, Tensor

OPTIONS = [{}, {"padding": 1}, {"padding": 1, "stride": 2}, {"dilation": 2}, {"padding": 1, "groups": 2}]


def gradients_by_hand(x, w, gy, padding=0, stride=1, dilation=1, groups=1):
    """Return the gradients of x and w, one product at a time; those with the padding of x are left out."""
    gx, gw = np.zeros_like(x), np.zeros_like(w)
    inner, outer = w.shape[1], w.shape[0] // groups
    for n, o, i, j in np.ndindex(*gy.shape):
        for c, a, b in np.ndindex(*w.shape[1:]):
            row, column = i * stride + a * dilation - padding, j * stride + b * dilation - padding
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                at = n, o // outer * inner + c, row, column
                gx[at] += gy[n, o, i, j] * w[o, c, a, b]
                gw[o, c, a, b] += gy[n, o, i, j] * x[at]
    return gx, gw


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("which", ["x", "weight", "gradient"])
def test_an_infinity_reaches_the_gradients_that_it_is_part_of(which, options, value, dtype, dev, rng):
    x, w = rng.standard_normal((2, 2, 7, 6)), rng.standard_normal((4, 2 // options.get("groups", 1), 3, 3))
    gy = rng.standard_normal(F.conv2d(x, w, **options).shape)
    {"x": x, "weight": w, "gradient": gy}[which][1, 0, 1, 1] = value
    leaves = [Tensor(dev(a, dtype), requires_grad=True) for a in (x, w)]
    with np.errstate(all="ignore"):
        F.conv2d(*leaves, **options).backward(dev(gy, dtype))
        expected = gradients_by_hand(*(a.astype(dtype) for a in (x, w, gy)), **options)
    for leaf, e in zip(leaves, expected, strict=True):
        np.testing.assert_allclose(host(leaf.grad), e, rtol=1e-4, atol=1e-4)
