"""special.py against math (float64) and mpmath (as many digits as it takes)."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_ulp

from cunet.kernels.backends.numpy import erf_tables, special

pytestmark = pytest.mark.cpu_only
FUNCTIONS = [special.erf, special.erfc, special.normal_cdf, special.gelu, special.gelu_derivative]
by_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
by_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def exact(name):
    """Return the function in 60 digits, rounded once at the end."""
    mp = pytest.importorskip("mpmath").mp

    def half_erfc(x):
        return mp.erfc(-x / mp.sqrt(2)) / 2

    formulas = {
        "erf": mp.erf,
        "erfc": mp.erfc,
        "normal_cdf": half_erfc,
        "gelu": lambda x: x * half_erfc(x),
        "gelu_derivative": lambda x: mp.diff(lambda v: v * half_erfc(v), x),
    }

    def values(xs):
        with mp.workdps(60):
            return np.array([float(formulas[name](mp.mpf(float(x)))) for x in xs])

    return values


def points(rng, dtype, count, low, high):
    """Return numbers all over [low, high], dense around 0 and with some that are very small."""
    small = np.exp(rng.uniform(-60, 0, count // 4)) * rng.choice([-1, 1], count // 4)
    x = np.concatenate([rng.uniform(low, high, count), rng.standard_normal(count), small])
    return x.astype(dtype)


def normal_results(x, reference, dtype):
    """Drop what is subnormal, where a unit in the last place is a large part of the number."""
    keep = np.abs(reference) >= np.finfo(dtype).tiny
    return x[keep], reference[keep]


@pytest.mark.parametrize("function", FUNCTIONS[:4], ids=lambda f: f.__name__)
@pytest.mark.parametrize(("dtype", "low", "high", "limit"), [(np.float32, -14, 10, 2), (np.float64, -38, 27, 3)])
def test_values_to_a_few_ulp(function, dtype, low, high, limit, rng):
    if function is special.erfc:
        low, high = -high, -low
    x = points(rng, dtype, 600, low, high)
    x, reference = normal_results(x, exact(function.__name__)(x), dtype)
    assert x.size > 1000
    assert_ulp(function(x), reference, dtype, limit)


def test_erf_and_erfc_agree_with_the_c_library(rng):
    x = points(rng, np.float64, 20_000, -6, 26)
    np.testing.assert_allclose(special.erf(x), [math.erf(v) for v in x], rtol=2e-15, atol=0)
    np.testing.assert_allclose(special.erfc(x), [math.erfc(v) for v in x], rtol=3e-15, atol=0)


def test_float32_everywhere_against_float64_of_the_c_library(rng):
    x = points(rng, np.float32, 20_000, -9, 9)
    assert_ulp(special.erf(x), [math.erf(v) for v in x], np.float32, 2)
    assert_ulp(special.erfc(x), [math.erfc(v) for v in x], np.float32, 2)


@by_dtype
def test_gelu_derivative_is_the_derivative_of_gelu(dtype, rng):
    x = points(rng, dtype, 300, -14, 14)
    reference = exact("gelu_derivative")(x)
    # It crosses 0 at -0.75: there only the error against the terms, which are about 1/4, can be small.
    eps = np.finfo(dtype).eps
    actual = special.gelu_derivative(x)
    assert actual.dtype == dtype
    np.testing.assert_allclose(actual, reference, rtol=4 * eps, atol=eps)
    tail = x < -2
    np.testing.assert_allclose(actual[tail], reference[tail], rtol=8 * eps, atol=float(np.finfo(dtype).tiny))


@pytest.mark.parametrize(
    ("function", "x", "value"),
    [  # Abramowitz & Stegun, tables 7.1, 7.3 and 26.1; the last four mpmath
        (special.erf, 0.5, 0.5204998778),
        (special.erf, 1.0, 0.8427007929),
        (special.erf, 2.0, 0.9953222650),
        (special.normal_cdf, 1.0, 0.841344746068543),
        (special.normal_cdf, -3.0, 0.001349898031630),
        (special.erfc, 10.0, 2.0884875837625448e-45),
        (special.erfc, 26.0, 5.663192408856143e-296),
        (special.normal_cdf, -10.0, 7.61985302416052606e-24),
        (special.gelu, -10.0, -7.61985302416052606e-23),
    ],
)
def test_printed_values(function, x, value):
    assert function(np.float64(x)) == pytest.approx(value, rel=1e-9)


def test_the_float32_tail_of_gelu_does_not_vanish():
    x = np.array([-5, -10, -13], np.float32)
    np.testing.assert_allclose(special.gelu(x), [-1.4332579e-06, -7.6198530e-23, -7.9523137e-38], rtol=2e-7, atol=0)
    assert (special.gelu_derivative(x) < 0).all()


@by_dtype
def test_special_arguments(dtype):
    inf, nan = np.inf, np.nan
    x = np.array([0.0, -0.0, inf, -inf, nan, 1e30, -1e30], dtype)
    for function, expected in [
        (special.erf, [0.0, -0.0, 1, -1, nan, 1, -1]),
        (special.erfc, [1, 1, 0, 2, nan, 0, 2]),
        (special.normal_cdf, [0.5, 0.5, 1, 0, nan, 1, 0]),
        (special.gelu, [0, 0, inf, 0, nan, 1e30, 0]),
        (special.gelu_derivative, [0.5, 0.5, 1, 0, nan, 1, 0]),
    ]:
        np.testing.assert_array_equal(function(x), np.array(expected, dtype), err_msg=function.__name__)
    assert list(np.signbit(special.erf(x[:2]))) == [False, True]


@by_dtype
def test_subnormal_arguments_and_results(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    np.testing.assert_array_equal(special.erf(np.array([tiny, -tiny, 8 * tiny])), np.array([1, -1, 9], dtype) * tiny)
    x, smallest_normal = (9.6, 1.2e-38) if dtype == np.float32 else (26.8, 2.3e-308)
    assert 0 < special.erfc(dtype(x)) < smallest_normal
    assert special.erfc(dtype(x)) == pytest.approx(math.erfc(dtype(x)), rel=1e-3)


@by_dtype
def test_erf_is_odd_and_bounded_and_its_mirror_images_add_up(dtype, rng):
    x = np.sort(points(rng, dtype, 5000, -7, 7))
    np.testing.assert_array_equal(special.erf(-x), -special.erf(x))
    assert np.abs(special.erf(x)).max() == 1
    assert (np.diff(special.erf(x)) >= -2 * np.finfo(dtype).eps).all()
    np.testing.assert_allclose(special.erf(x) + special.erfc(x), 1, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(special.normal_cdf(x) + special.normal_cdf(-x), 1, rtol=2 * np.finfo(dtype).eps)


@by_function
def test_shapes_dtypes_and_layouts(function, rng):
    x = rng.standard_normal((6, 8)).astype(np.float32)
    expected = function(x)
    assert expected.shape == (6, 8) and expected.dtype == np.float32
    np.testing.assert_array_equal(function(x[::2, ::-3]), expected[::2, ::-3])
    np.testing.assert_array_equal(function(np.asfortranarray(x)), expected)
    np.testing.assert_array_equal(function(x[0, 0]), expected[0, 0])
    assert function(x[0, 0]).shape == () and function(x[0, 0]).dtype == np.float32
    assert function(np.empty((0, 3), np.float32)).shape == (0, 3)
    np.testing.assert_array_equal(function([0, 1]), function(np.array([0.0, 1.0])))


@by_function
@by_dtype
def test_the_argument_is_left_alone_and_not_returned(function, dtype, rng):
    x = rng.standard_normal(50).astype(dtype)
    before = x.copy()
    x.flags.writeable = False
    assert not np.shares_memory(function(x), x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("name", ["ATANH_ERF32", "ERFC32", "NORMAL32"])
def test_coefficients_are_those_of_the_fit(name):
    """The float32 tables; ``python tools/fit_erf.py --check`` fits all of them again."""
    pytest.importorskip("mpmath")
    path = Path(__file__).parents[4] / "tools" / "fit_erf.py"
    spec = importlib.util.spec_from_file_location("fit_erf", path)
    fit_erf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fit_erf)
    table, worst = fit_erf.table(name)
    assert getattr(erf_tables, name) == table
    assert worst < 6e-9  # a tenth of a unit in float32
