"""Rounding and remainders: signs, whole numbers, ends of the range, operators, and gradients of 0."""

import math
import operator

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor

inf, nan = math.inf, math.nan
CONSTANT = ("sign", "floor", "ceil", "trunc", "round")
#: Of every sign, infinite, 0, and such that the quotient rounds to a whole number that is too large.
DIVIDENDS = [7.0, -7.0, 7.0, -7.0, 0.0, -0.0, 0.0, 1.0, -1.0, 1.0, 5.0, -5.0, 0.0, inf, 1.0, 6.0, 3e4, nan, 1.0, 0.0]
DIVISORS = [3.0, 3.0, -3.0, -3.0, 3.0, 3.0, -3.0, inf, inf, -inf, 0.0, 0.0, 0.0, 2.0, 0.1, -2.0, 3.0, 1.0, nan, inf]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_remainders_and_quotients_are_numpys_on_every_route(dtype, dev):
    x, y = np.array(DIVIDENDS, dtype), np.array(DIVISORS, dtype)
    with np.errstate(all="ignore"):
        for name in ("remainder", "floor_divide"):
            expected = getattr(np, name)(x, y)
            found = host(getattr(cunet, name)(dev(x), dev(y)))
            assert found.dtype == dtype
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_a_remainder_lies_between_0_and_its_divisor(rng, dev):
    """``x - y * floor(x / y)`` does not: x / y is rounded."""
    x, y = rng.uniform(-100, 100, 20_000).astype(np.float32), rng.uniform(-3, 3, 20_000).astype(np.float32)
    left, often = host(cunet.remainder(dev(x), dev(y))), host(cunet.floor_divide(dev(x), dev(y)))
    assert ((left * np.sign(y) >= 0) & (abs(left) <= abs(y))).all()
    assert (often == np.floor(often)).all()
    np.testing.assert_allclose(often * y.astype(float) + left, x, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", CONSTANT)
def test_what_is_constant_has_a_gradient_of_0(name, dev):
    x = Tensor(dev([-1.5, 0.0, 2.0, inf, nan], np.float32), requires_grad=True)
    y = getattr(cunet, name)(x)
    assert y.requires_grad
    y.backward(dev([1, inf, nan, 1, 1], np.float32))
    assert host(x.grad).tolist() == [0, 0, 0, 0, 0]


def test_a_sawtooth_has_the_slope_of_its_teeth(dev):
    x = Tensor(dev([-2.25, 0.0, 3.5], np.float64), requires_grad=True)
    (x - np.floor(x)).sum().backward()
    assert host(x.grad).tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_integers_stay_integers(dtype, dev):
    x = np.array([5, 7, 200 if dtype == np.uint8 else -7], dtype)
    t = Tensor(dev(x))
    for f in (lambda x: x % 3, lambda x: x // 3, lambda x: 7 % x, lambda x: x.round(), lambda x: x % x):
        np.testing.assert_array_equal(host(f(t)), f(x))
        assert f(t).dtype == f(x).dtype
    for y, expected in zip(divmod(t, 2), divmod(x, 2), strict=True):
        np.testing.assert_array_equal(host(y), expected)


@pytest.mark.parametrize("f", [operator.mod, operator.floordiv, divmod], ids=lambda f: f.__name__)
def test_operators_on_either_side(f, rng, dev):
    a, b = rng.uniform(0.5, 4, (2, 3)).astype(np.float32), rng.uniform(0.5, 2, 3).astype(np.float32)
    x, y = Tensor(dev(a), requires_grad=True), Tensor(dev(b))
    for left, right, plain in (
        (x, y, f(a, b)),
        (x, dev(b), f(a, b)),
        (dev(b), x, f(b, a)),
        (x, 1.5, f(a, np.float32(1.5))),
        (2, x, f(np.float32(2), a)),
        (x, np.float64(1.5), f(a, np.float32(1.5))),
    ):
        found = f(left, right)
        pairs = zip(found, plain, strict=True) if isinstance(plain, tuple) else [(found, plain)]
        for part, expected in pairs:
            assert isinstance(part, Tensor) and part.requires_grad and part.dtype == np.float32
            np.testing.assert_array_equal(host(part), expected)


def test_the_gradient_of_a_divisor_counts_how_often_it_went_in(dev):
    x, y = (Tensor(dev([7.0, -7.0, 6.0], np.float32), requires_grad=True) for _ in range(2))
    divisor = Tensor(dev([3.0], np.float32), requires_grad=True)
    (x % divisor).backward(dev([1, 10, 100], np.float32))
    assert host(x.grad).tolist() == [1, 10, 100]
    assert host(divisor.grad).tolist() == [-2 + 3 * 10 - 2 * 100]
    cunet.where(dev([False] * 3), x % (y * 0), y).sum().backward()  # an infinite slope and a gradient of 0
    assert host(y.grad).tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_decimals_that_a_number_does_not_have_leave_it_alone(dtype, dev):
    largest = np.finfo(dtype).max
    x = np.array([largest, -largest, inf, nan, 0.0, 1234.5, 1.25, 1.75], dtype)
    np.testing.assert_array_equal(host(cunet.round(dev(x), 400)), x)
    found = host(cunet.round(dev(x), 1))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.array([largest, -largest, inf, nan, 0, 1234.5, 1.2, 1.8], dtype))
    np.testing.assert_array_equal(host(cunet.round(dev(x[5:]), -2)), np.array([1200, 0, 0], dtype))
    np.testing.assert_array_equal(host(cunet.round(dev(x[5:]), -400)), np.zeros(3, dtype))
    np.testing.assert_array_equal(host(Tensor(dev(x[5:])).round()), np.array([1234, 1, 2], dtype))


def test_decimals_are_an_integer(dev):
    assert host(cunet.round(dev([1.26]), np.int64(1))).tolist() == [1.3]
    with pytest.raises(TypeError, match=r"round: decimals must be an integer, got 1\.5"):
        cunet.round(dev([1.26]), 1.5)


def test_shapes_and_bytes_of_any_kind(rng, dev):
    for shape in ((), (0,), (2, 0), (1,)):
        x = Tensor(dev(rng.standard_normal(shape)), requires_grad=True)
        for y in (x % 0.7, x // 0.7, 0.7 % x, *(getattr(cunet, name)(x) for name in CONSTANT)):
            assert y.shape == shape
            y.sum().backward()
            assert x.grad.shape == shape


def test_numbers_alone_and_two_dtypes(dev):
    assert cunet.remainder(7.0, [3.0, -3.0]).data.tolist() == [1, -2]
    assert cunet.remainder(7, 3).item() == 1
    mixed = cunet.remainder(dev([7.5], np.float32), dev([2.0], np.float64))
    assert mixed.dtype == np.float64 and mixed.item() == 1.5
    assert cunet.floor_divide(dev([7], np.int64), dev([2.0], np.float64)).item() == 3
