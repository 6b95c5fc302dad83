"""Order: ties, NaN, infinities, empty and single elements, integers, and what is refused."""

import math

import ml_dtypes
import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor
from cunet import device as backend
from cunet.testing import gradcheck

inf, nan = math.inf, math.nan
TIED = [[2.0, 1.0, 2.0, -inf, 1.0], [nan, 3.0, inf, nan, 3.0]]


def leaf(values, dev, dtype=np.float32):
    return Tensor(dev(np.array(values, dtype)), requires_grad=True)


def test_a_sort_is_stable_and_has_nan_last(dev):
    x = leaf(TIED, dev)
    order = cunet.argsort(x)
    assert backend.is_array(order) and order.dtype == np.int64
    assert host(order).tolist() == [[3, 1, 4, 0, 2], [1, 4, 2, 0, 3]]
    y = cunet.sort(x)
    np.testing.assert_array_equal(host(y), np.sort(np.array(TIED)))
    y.backward(dev(np.arange(10.0).reshape(2, 5), np.float32))
    assert host(x.grad).tolist() == [[3, 1, 4, 0, 2], [8, 5, 7, 9, 6]]
    assert host(x.argsort(axis=None))[:3].tolist() == [3, 1, 4]


def test_the_largest_come_first_and_of_equal_ones_the_first(dev):
    x = leaf(TIED, dev)
    values, places = cunet.topk(x, 3)
    assert isinstance(values, Tensor) and backend.is_array(places)
    np.testing.assert_array_equal(host(values), [[2, 2, 1], [nan, nan, inf]])
    assert host(places).tolist() == [[0, 2, 1], [0, 3, 2]]
    values.backward(dev([[1, 2, 3], [4, 5, 6]], np.float32))
    assert host(x.grad).tolist() == [[1, 3, 2, 0, 0], [4, 0, 6, 5, 0]]
    values, places = cunet.topk(x, 2, largest=False, sorted=False)
    np.testing.assert_array_equal(host(values), [[-inf, 1], [3, 3]])
    assert host(places).tolist() == [[3, 1], [1, 4]]
    values, places = cunet.topk(x, 1, axis=0)
    assert values.shape == places.shape == (1, 5)
    assert host(places).tolist() == [[1, 1, 1, 1, 1]]
    assert cunet.topk(x, 0)[0].shape == (2, 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float64])
def test_every_dtype_is_in_order(dtype, rng, dev):
    x = rng.integers(0, 255, (3, 50)).astype(dtype)
    x[0, :2] = [0, 255]
    np.testing.assert_array_equal(host(cunet.sort(dev(x))), np.sort(x))
    values, places = cunet.topk(dev(x), 50)
    np.testing.assert_array_equal(host(values), -np.sort(-x.astype(float)))
    np.testing.assert_array_equal(np.take_along_axis(x, host(places), 1), host(values))
    np.testing.assert_array_equal(host(places), np.argsort(-x.astype(float), kind="stable"))


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("k", [1, 5, 17, 25, 26])
@pytest.mark.parametrize("length", [63, 64, 101])
def test_a_few_of_many_are_those_of_a_whole_sort(length, k, largest, rng, dev):
    """Rows full of ties, with NaN and infinities in some: where only part of a row is sorted, places are the same."""
    x = rng.integers(0, 9, (6, length)).astype(np.float32)
    x[1:3, ::7], x[2:4, ::5], x[3:5, ::6], x[5] = nan, inf, -inf, nan
    order = np.argsort(x, axis=1, kind="stable")
    if largest:  # NaN first
        order = np.stack([np.lexsort((np.where(np.isnan(row), 0, -row), ~np.isnan(row))) for row in x])
    for axis, a, expected in ((1, x, order[:, :k]), (0, x.T, order[:, :k].T)):
        values, places = cunet.topk(dev(a), k, axis, largest)
        np.testing.assert_array_equal(host(places), expected)
        np.testing.assert_array_equal(host(values), np.take_along_axis(a, expected, axis))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float16, ">f8"], ids=str)
def test_a_few_of_many_of_any_dtype(dtype, rng, dev):
    x = rng.integers(0, 2, (2, 80)).astype(dtype)
    for largest in (True, False):
        values, places = cunet.topk(dev(x), 3, largest=largest)
        np.testing.assert_array_equal(host(values), np.full((2, 3), largest, values.dtype))
        np.testing.assert_array_equal(host(places), [np.flatnonzero(row == largest)[:3] for row in x])
    assert cunet.topk(dev(x[:0]), 3)[1].shape == (0, 3)


def test_bfloat16_is_in_order(rng, dev):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = rng.standard_normal((3, 20)).astype(ml_dtypes.bfloat16)
    y = cunet.sort(dev(x))
    assert y.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(host(y).astype(float), np.sort(x.astype(float)))
    np.testing.assert_array_equal(host(cunet.argmax(dev(x), 1)), x.astype(float).argmax(1))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places_of_extremes(name, rng, dev):
    a = rng.integers(0, 3, (4, 5)).astype(np.float32)
    for given in (Tensor(dev(a), requires_grad=True), dev(a)):
        for axis in (None, 0, -1):
            for keepdims in (False, True):
                found = getattr(cunet, name)(given, axis, keepdims)
                assert not isinstance(found, Tensor)
                np.testing.assert_array_equal(host(found), getattr(np, name)(a, axis=axis, keepdims=keepdims))
    assert getattr(Tensor(dev(a)), name)(axis=1, keepdims=True).shape == (4, 1)
    assert getattr(cunet, name)([3.0, 1.0, 2.0]) == (0 if name == "argmax" else 1)


MEDIANS = [  # elements, median, gradient
    ([3.0], 3, [1]),
    ([5.0, 1.0, 2.0], 2, [0, 0, 1]),
    ([5.0, 1.0, 2.0, 4.0], 3, [0, 0, 0.5, 0.5]),
    ([2.0, 2.0, 2.0, 2.0], 2, [0, 0.5, 0.5, 0]),
    ([1.0, 1.0, 1.0], 1, [0, 1, 0]),
    ([3e38, 3e38], 3e38, [0.5, 0.5]),
    ([-3e38, 3e38], 0, [0.5, 0.5]),
    ([1.0, inf], inf, [0.5, 0.5]),
    ([-inf, 1.0, inf], 1, [0, 1, 0]),
    ([-inf, inf], nan, [0.5, 0.5]),
    ([1.0, nan, 2.0, nan], nan, [0, 0, 0, 1]),
]


@pytest.mark.parametrize(("values", "median", "gradient"), MEDIANS)
def test_the_median_of_odd_even_equal_and_infinite_numbers(values, median, gradient, dev):
    x = leaf(values, dev)
    y = cunet.median(x)
    assert y.shape == () and y.dtype == np.float32
    np.testing.assert_array_equal(host(y), np.float32(median))
    y.backward()
    assert host(x.grad).tolist() == gradient


@pytest.mark.parametrize("axis", [None, 0, -2, (0, 2), (1, -1), ()])
def test_the_median_over_axes_is_numpys(axis, rng, dev):
    a = rng.permutation(24).reshape(2, 3, 4) * 0.5
    for keepdims in (False, True):
        y = cunet.median(dev(a), axis=axis, keepdims=keepdims)
        np.testing.assert_allclose(host(y), np.median(a, axis=axis, keepdims=keepdims))
    gradcheck(lambda x: cunet.median(x, axis=axis), dev(a))
    assert cunet.median(dev([1, 2, 5, 6], np.int64)).item() == 3.5


def test_taking_adds_gradients_up(dev):
    x = leaf([[1, 2, 3], [4, 5, 6]], dev)
    places = np.array([[0, 0, -1], [2, 1, 2]])
    for given in (dev(places), Tensor(dev(places)), dev(places.astype(np.int32))):
        x.grad = None
        y = cunet.take_along_axis(x, given, -1)
        np.testing.assert_array_equal(host(y), [[1, 1, 3], [6, 5, 6]])
        y.backward(dev([[1, 2, 4], [8, 16, 32]], np.float32))
        assert host(x.grad).tolist() == [[3, 0, 4], [0, 16, 40]]
    assert host(cunet.take_along_axis(x, dev([5, 0], np.int64), None)).tolist() == [6, 1]
    assert host(cunet.take_along_axis(x, dev([[1, 0, 1]], np.int64), 0)).tolist() == [[4, 2, 6]]
    assert host(cunet.take_along_axis(x, [[1], [0]])).tolist() == [[2], [4]]
    picked = cunet.take_along_axis(x, dev([[1], [0]], np.int64))  # as a loss picks the right class
    assert host(picked).tolist() == [[2], [4]]


@pytest.mark.parametrize("shape", [(0,), (0, 3), (1, 1)], ids=str)
def test_nothing_and_one(shape, dev):
    x = leaf(np.ones(shape), dev)
    for y in (cunet.sort(x), cunet.sort(x, None), cunet.topk(x, shape[-1])[0]):
        y.sum().backward()
        assert x.grad.shape == shape
    assert cunet.argsort(x).shape == shape
    if len(shape) > 1:
        cunet.median(x, axis=1).sum().backward()


def test_what_does_not_fit_is_named(dev):
    x = leaf(TIED, dev)
    with pytest.raises(ValueError, match="topk: k must be 0 to 5, the length of axis 1, got 6"):
        cunet.topk(x, 6)
    with pytest.raises(ValueError, match="median: at least one element over axis 0 is required"):
        cunet.median(dev(np.zeros((0, 2))), axis=0)
    with pytest.raises(TypeError, match="take_along_axis: indices must be of integer dtype, got float32"):
        cunet.take_along_axis(x, dev([[1.0]], np.float32))
    with pytest.raises(ValueError, match="take_along_axis: indices must have 2 axes as x has, got 1"):
        cunet.take_along_axis(x, dev([1], np.int64))
    for f in (cunet.sort, cunet.argsort, lambda x, axis: cunet.topk(x, 1, axis)):
        with pytest.raises(np.exceptions.AxisError):
            f(x, axis=2)
        with pytest.raises(np.exceptions.AxisError):
            f(dev(1.0), axis=-1)
        with pytest.raises(TypeError):
            f(x, axis=(0, 1))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
def test_nan_is_larger_than_all_else_in_half_types_too(dtype, dev):
    x = dev(np.array([1, 3.25, 0.875, np.nan, np.nan, 3.375, -1], dtype))
    assert host(cunet.argsort(x)).tolist() == [6, 2, 0, 1, 5, 3, 4]
    assert host(cunet.topk(x, 5, largest=False)[1]).tolist() == [6, 2, 0, 1, 5]
    assert (int(cunet.argmax(x)), int(cunet.argmin(x))) == (3, 3)
