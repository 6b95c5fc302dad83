"""Questions about elements: plain arrays of bools, as comparisons give them."""

import math

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor
from cunet import device as backend

VALUES = [1.0, 0.0, -0.0, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_kinds_of_numbers(name, dtype, dev):
    x = np.array(VALUES, dtype)
    f = getattr(cunet, name)
    for given in (Tensor(dev(x), requires_grad=True), dev(x)):
        found = f(given)
        assert backend.is_array(found) and found.dtype == bool
        np.testing.assert_array_equal(host(found), getattr(np, name)(x))
    assert host(f(dev([1, 2], np.int64))).tolist() == [name == "isfinite"] * 2


@pytest.mark.parametrize("name", ["all", "any"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
def test_folded_over_axes(name, axis, dev):
    x = np.array([[1.0, 0.0, math.nan], [2.0, 3.0, -1.0]])
    t = Tensor(dev(x), requires_grad=True)
    for keepdims in (False, True):
        expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
        for found in (
            getattr(cunet, name)(t, axis, keepdims),
            getattr(t, name)(axis=axis, keepdims=keepdims),
            getattr(cunet, name)(dev(x), axis=axis, keepdims=keepdims),
        ):
            assert not isinstance(found, Tensor)
            np.testing.assert_array_equal(host(found), expected)


def test_of_nothing_and_of_bools(dev):
    empty = dev(np.zeros((0, 2)))
    assert bool(cunet.all(empty)) and not bool(cunet.any(empty))
    assert host(cunet.any(empty, axis=0)).tolist() == [False, False]
    assert bool(cunet.any(Tensor(dev([1.0, 2.0])) > 1.5)) and not bool(cunet.all(Tensor(dev([1.0, 2.0])) > 1.5))
    assert cunet.isnan(math.nan) and cunet.all([1.0, 2.0])


def test_infinities_and_nan_are_replaced(dev):
    for dtype in (np.float16, np.float32, np.float64):
        x = Tensor(dev(VALUES, dtype), requires_grad=True)
        y = cunet.nan_to_num(x)
        np.testing.assert_array_equal(host(y), np.nan_to_num(np.array(VALUES, dtype)))
        y.sum().backward()
        assert host(x.grad).tolist() == [1, 1, 1, 0, 0, 0]
        assert host(cunet.nan_to_num(x, 1, 2, -3)).tolist() == [1, 0, 0, 2, -3, 1]
    whole = dev([1, 2], np.int64)
    assert host(cunet.nan_to_num(whole)).tolist() == [1, 2]


def test_the_largest_number_of_bfloat16(dev):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    y = cunet.nan_to_num(dev(np.array([math.inf, -math.inf], ml_dtypes.bfloat16)))
    largest = float(ml_dtypes.finfo(ml_dtypes.bfloat16).max)
    assert host(y).astype(float).tolist() == [largest, -largest]
