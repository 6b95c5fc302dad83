"""Gradients of arithmetic at the ends of the range."""

import math

import numpy as np
import pytest
from helpers import host

from cunet import Tensor

DIVISIONS = [  # x, y, gradient of x / y, gradient of y: -gradient * x / y**2
    (0.0, 1e-40, 1.0, -0.0),
    (-0.0, 1e-40, 1.0, 0.0),
    (1e-45, 1e-39, 1.0, -1e33),
    (1e30, 1e10, 1e20, -1e30),  # gradient * (x / y) is near the end of the range
    (3e38, 10.0, 20.0, -6e37),
    (1.0, 1e-30, 1e-30, -1e30),
    (1.0, 0.0, 1.0, -math.inf),
    (0.0, 0.0, 1.0, math.nan),
]


@pytest.mark.parametrize(("x", "y", "gradient", "expected"), DIVISIONS)
def test_the_gradient_of_a_divisor(x, y, gradient, expected, dev):
    numerator, divisor = (Tensor(dev([v], np.float32), requires_grad=True) for v in (x, y))
    with np.errstate(all="ignore"):
        (numerator / divisor).backward(dev([gradient], np.float32))
    g = host(divisor.grad)
    np.testing.assert_allclose(g, [expected], rtol=0.5 if 0 < x < 1e-40 else 1e-6)  # 1e-45 is one bit
    assert np.signbit(g[0]) == (math.copysign(1, expected) < 0) or math.isnan(expected)


def test_a_divisor_of_another_dtype_and_shape(dev, rng):
    x, y = rng.standard_normal((3, 1)), rng.uniform(0.5, 2, 4).astype(np.float32)
    divisor = Tensor(dev(y), requires_grad=True)
    (Tensor(dev(x)) / divisor).sum().backward()
    assert host(divisor.grad).dtype == np.float32
    np.testing.assert_allclose(host(divisor.grad), -(x / y.astype(float) ** 2).sum(0), rtol=1e-6, atol=1e-6)
