"""Binary ops on shapes that broadcast: gradients against loops over every element of the result."""

import math
import operator

import numpy as np
import pytest
from helpers import host
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cunet
from cunet import Tensor

quick = settings(max_examples=60)
pairs = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3)

# name: (op, value, derivative by x, derivative by y), each of two Python floats
OPS = {
    "add": (operator.add, lambda x, y: x + y, lambda x, y: 1, lambda x, y: 1),
    "subtract": (operator.sub, lambda x, y: x - y, lambda x, y: 1, lambda x, y: -1),
    "multiply": (operator.mul, lambda x, y: x * y, lambda x, y: y, lambda x, y: x),
    "divide": (operator.truediv, lambda x, y: x / y, lambda x, y: 1 / y, lambda x, y: -x / y**2),
    "power": (operator.pow, math.pow, lambda x, y: y * x ** (y - 1), lambda x, y: math.log(x) * x**y),
    "maximum": (cunet.maximum, max, lambda x, y: float(x > y), lambda x, y: float(y > x)),
    "minimum": (cunet.minimum, min, lambda x, y: float(x < y), lambda x, y: float(y < x)),
}


@pytest.mark.parametrize("name", OPS)
@quick
@given(shapes=pairs, seed=st.integers(0, 2**32 - 1))
def test_gradients_are_summed_over_what_was_stretched(name, shapes, seed, dev):
    f, value, by_x, by_y = OPS[name]
    rng = np.random.default_rng(seed)
    a, b = (rng.uniform(0.5, 2, s) for s in shapes.input_shapes)
    gy = rng.standard_normal(shapes.result_shape)
    x, y = Tensor(dev(a), requires_grad=True), Tensor(dev(b), requires_grad=True)
    z = f(x, y)
    z.backward(dev(gy))

    def position(index, shape):
        return tuple(0 if n == 1 else i for i, n in zip(index[len(index) - len(shape) :], shape, strict=True))

    ga, gb, expected = np.zeros(a.shape), np.zeros(b.shape), np.empty(shapes.result_shape)
    for index in np.ndindex(*shapes.result_shape):
        i, j = position(index, a.shape), position(index, b.shape)
        u, v = float(a[i]), float(b[j])
        expected[index] = value(u, v)
        ga[i] += gy[index] * by_x(u, v)
        gb[j] += gy[index] * by_y(u, v)
    np.testing.assert_allclose(host(z), expected, rtol=1e-14)
    assert x.grad.shape == a.shape and y.grad.shape == b.shape
    np.testing.assert_allclose(host(x.grad), ga, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(host(y.grad), gb, rtol=1e-11, atol=1e-13)


@quick
@given(
    shapes=hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, min_side=0, max_side=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_where(shapes, seed, dev):
    rng = np.random.default_rng(seed)
    c, a, b = (rng.standard_normal(s) for s in shapes.input_shapes)
    gy = rng.standard_normal(shapes.result_shape)
    x, y = Tensor(dev(a), requires_grad=True), Tensor(dev(b), requires_grad=True)
    z = cunet.where(dev(c) > 0, x, y)
    z.backward(dev(gy))
    full = np.broadcast_to(c > 0, shapes.result_shape)
    assert z.shape == shapes.result_shape
    assert x.grad.shape == a.shape and y.grad.shape == b.shape
    np.testing.assert_allclose(host(x.grad).sum(), gy[full].sum(), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(host(y.grad).sum(), gy[~full].sum(), rtol=1e-11, atol=1e-12)


def test_shapes_that_do_not_fit_are_numpys_error(dev):
    with pytest.raises(ValueError):
        Tensor(dev(np.ones(3))) + Tensor(dev(np.ones(4)))


def test_float16_gradients_of_a_stretched_input_add_up_in_float32(dev):
    x = Tensor(dev(np.zeros((1, 2), np.float16)), requires_grad=True)
    (x + dev(np.zeros((5000, 2), np.float16))).sum(axis=0).backward(dev(np.ones(2, np.float16)))
    assert host(x.grad).tolist() == [[5000, 5000]]


def test_an_infinite_gradient_does_not_cross_from_the_side_not_taken(dev):
    with np.errstate(all="ignore"):
        for f in (
            lambda x: cunet.maximum(x, 0.0),
            lambda x: cunet.clip(x, 0.0, 1.0),
            lambda x: cunet.where(x.data > 0, x, 0.0),
            lambda x: -cunet.minimum(-x, 0.0),
        ):
            x = Tensor(dev([-1.0, 0.25]), requires_grad=True)
            cunet.sqrt(f(x)).sum().backward()  # sqrt at 0 hands down inf
            assert host(x.grad).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("x", "y", "by_x", "by_y"),
    [
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 1.0, 1.0, 0.0),
        (0.0, 2.0, 0.0, 0.0),
        (0.0, 0.5, math.inf, 0.0),
        (-2.0, 2.0, -4.0, math.nan),
        (-2.0, 3.0, 12.0, math.nan),
        (2.0, 0.0, 0.0, math.log(2)),
        (1.0, -2.0, -2.0, 0.0),
    ],
)
def test_powers_at_the_edges(x, y, by_x, by_y, dev):
    base, exponent = (Tensor(dev([v]), requires_grad=True) for v in (x, y))
    z = base**exponent
    assert host(z) == x**y
    z.backward()
    np.testing.assert_allclose(host(base.grad), by_x, rtol=1e-15)
    np.testing.assert_allclose(host(exponent.grad), by_y, rtol=1e-15)
