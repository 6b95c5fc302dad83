"""Gradients of arithmetic at the ends of the range."""

import math

import numpy as np
import pytest
from helpers import flushes, host

import cunet
from cunet import Tensor

DIVISIONS = [  # x, y, gradient of x / y, gradient of y: -gradient * x / y**2
    (1e30, 1e10, 1e20, -1e30),  # gradient * (x / y) is near the end of the range
    (3e38, 10.0, 20.0, -6e37),
    (1.0, 1e-30, 1e-30, -1e30),
    (1.0, 0.0, 1.0, -math.inf),
    (0.0, 0.0, 1.0, math.nan),
]


SUBNORMAL_DIVISIONS = [
    (0.0, 1e-40, 1.0, -0.0),
    (-0.0, 1e-40, 1.0, 0.0),
    (1e-45, 1e-39, 1.0, -1e33),
]


def gradient_of_divisor(x, y, gradient, dev):
    numerator, divisor = (Tensor(dev([v], np.float32), requires_grad=True) for v in (x, y))
    with np.errstate(all="ignore"):
        (numerator / divisor).backward(dev([gradient], np.float32))
    return host(divisor.grad)


@pytest.mark.parametrize(("x", "y", "gradient", "expected"), DIVISIONS)
def test_the_gradient_of_a_divisor(x, y, gradient, expected, dev):
    g = gradient_of_divisor(x, y, gradient, dev)
    np.testing.assert_allclose(g, [expected], rtol=1e-6)
    assert np.signbit(g[0]) == (math.copysign(1, expected) < 0) or math.isnan(expected)


@pytest.mark.parametrize(("x", "y", "gradient", "expected"), SUBNORMAL_DIVISIONS)
def test_the_gradient_of_a_subnormal_divisor(x, y, gradient, expected, dev):
    g = gradient_of_divisor(x, y, gradient, dev)
    if flushes(dev):
        assert not np.isfinite(g[0])  # the divisor is 0 there
        return
    np.testing.assert_allclose(g, [expected], rtol=0.5 if x else 1e-6)  # 1e-45 is one bit
    assert np.signbit(g[0]) == (math.copysign(1, expected) < 0)


def test_a_divisor_of_another_dtype_and_shape(dev, rng):
    x, y = rng.standard_normal((3, 1)), rng.uniform(0.5, 2, 4).astype(np.float32)
    divisor = Tensor(dev(y), requires_grad=True)
    (Tensor(dev(x)) / divisor).sum().backward()
    assert host(divisor.grad).dtype == np.float32
    np.testing.assert_allclose(host(divisor.grad), -(x / y.astype(float) ** 2).sum(0), rtol=1e-6, atol=1e-6)


STEEP = {  # an op, and where its slope is infinite or NaN
    "sqrt": (cunet.sqrt, 0.0),
    "sqrt of less": (cunet.sqrt, -1.0),
    "log": (cunet.log, 0.0),
    "log1p": (cunet.log1p, -1.0),
    "log2": (cunet.log2, 0.0),
    "log10": (cunet.log10, 0.0),
    "reciprocal": (cunet.reciprocal, 0.0),
    "divisor": (lambda x: 1 / x, 0.0),
    "dividend": (lambda x: x / (x.detach() - 1), 1.0),
    "by the number 0": (lambda x: x / 0.0, 1.0),
    "power": (lambda x: x**0.5, 0.0),
    "power of a tensor": (lambda x: cunet.power(x, Tensor(x.data * 0 + 0.5)), 0.0),
    "exponent": (lambda x: cunet.power(x.detach(), x), -1.0),
    "exp": (cunet.exp, 1000.0),
    "expm1": (cunet.expm1, 1000.0),
    "exp2": (cunet.exp2, 2000.0),
    "square": (cunet.square, math.inf),
    "sinh": (cunet.sinh, 1000.0),
    "cosh": (cunet.cosh, 1000.0),
    "tan": (cunet.tan, math.inf),
    "arcsin": (cunet.arcsin, 1.0),
    "arccos": (cunet.arccos, 1.0),
    "arccosh": (cunet.arccosh, 1.0),
    "arctanh": (cunet.arctanh, 1.0),
}


@pytest.mark.parametrize("name", STEEP)
def test_a_gradient_of_zero_stays_zero_where_the_slope_is_infinite(name, dev):
    f, at = STEEP[name]
    for values in (at, [at, at]):  # NumPy makes numbers of arrays of no axis
        x = Tensor(dev(values), requires_grad=True)
        with np.errstate(all="ignore"):
            y = f(x)
            cunet.where(dev(np.zeros(x.shape, bool)), y, 0.0).sum().backward()
            assert (host(x.grad) == 0).all()
            x.grad = None
            f(x).sum().backward()
        assert not np.isfinite(host(x.grad)).any()
