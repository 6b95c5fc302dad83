import math

import ml_dtypes
import numpy as np
import pytest
from helpers import assert_ulp, host, ulp_distance

from cunet.autograd.tensor import Tensor

pytestmark = pytest.mark.cpu_only

inf, nan = math.inf, math.nan
FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("value", [1.0, -3.5, 1.5, -1e-3, 300.0])
def test_the_next_number_is_one_ulp_away(dtype, value):
    x = np.array(value, dtype)
    up = np.nextafter(x, np.array(inf, dtype))
    assert up.dtype == dtype
    assert ulp_distance(up, x) == ulp_distance(x, x) + 1 == 1


@pytest.mark.parametrize("dtype", FLOATS)
def test_subnormals_and_zeros_count_in_steps_of_the_smallest_number(dtype):
    tiny = np.nextafter(np.array(0, dtype), np.array(1, dtype))
    assert ulp_distance(tiny, np.array(0, dtype)) == 1
    assert ulp_distance(np.array(0, dtype), tiny) == 1
    assert ulp_distance(tiny, -tiny) == 2
    assert ulp_distance(np.array(-0.0, dtype), np.array(0.0, dtype)) == 0


@pytest.mark.parametrize("dtype", FLOATS)
def test_infinity_is_one_step_above_the_largest_number(dtype):
    largest = np.nextafter(np.array(inf, dtype), np.array(0, dtype))
    assert ulp_distance(np.array(inf, dtype), largest) == 1
    assert ulp_distance(np.array(-inf, dtype), largest) > 100
    assert ulp_distance(largest, np.array(inf, dtype)) == inf
    assert ulp_distance(np.array(inf, dtype), np.array(inf, dtype)) == 0
    assert ulp_distance(np.array(-inf, dtype), np.array(inf, dtype)) == inf


def test_a_reference_that_overflows_the_dtype_is_met_by_infinity():
    assert ulp_distance(np.float32(inf), np.float64(1e39), np.float32) == 0
    assert ulp_distance(np.float32(3.4e38), np.float64(1e39), np.float32) > 100
    assert ulp_distance(np.float32(-inf), np.float64(1e39), np.float32) > 100


def test_nan_is_near_nan_only():
    a, b = np.array([nan, nan, 1.0, inf, nan]), np.array([nan, 1.0, nan, nan, inf])
    assert ulp_distance(a, b).tolist() == [0, inf, inf, inf, inf]


def test_fractions_of_the_unit_show_the_rounding():
    assert ulp_distance(np.float32(1), np.float64(1 + 2.0**-25), np.float32) == 0.25


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (np.float64(1), 1.0, "dtype float64"),
        (np.ones(2, np.float32), 1.0, r"shape \(2,\)"),
        (np.array([1, 2, 3], np.float32), [1.0, 2.0, 3.001], r"ulp at \(2,\)"),
        (np.array([1, nan], np.float32), [1.0, 1.0], "inf ulp"),
    ],
)
def test_assert_ulp_says_what_is_wrong(actual, expected, words):
    with pytest.raises(AssertionError, match=words):
        assert_ulp(actual, expected, np.float32, 4)


def test_assert_ulp_accepts_what_is_close_and_what_is_empty():
    assert_ulp(np.nextafter(np.float32(3), np.float32(4)), 3.0, np.float32, 1)
    assert_ulp(np.empty((0, 3), np.float32), np.empty((0, 3)), np.float32, 0)


def test_host_takes_tensors_arrays_and_scalars():
    x = np.arange(3.0)
    assert host(x) is x
    assert host(Tensor(x)).tolist() == [0, 1, 2]
    assert host(2.5).shape == ()
