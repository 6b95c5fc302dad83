"""The functions of compiled kernels: accurate, odd where they should be, and the same in any place."""

import math

import numpy as np
import pytest
from helpers import ulp_distance
from native_helpers import needs_compiler, wide_floats

from cunet.kernels import elementwise

pytestmark = pytest.mark.cpu_only

ORACLES = {
    "exp": math.exp,
    "expm1": math.expm1,
    "log": math.log,
    "log1p": math.log1p,
    "tanh": math.tanh,
    "erf": math.erf,
    "erfc": math.erfc,
    "normcdf": lambda x: math.erfc(-x / math.sqrt(2)) / 2,
}
AT_INFINITY = {
    "exp": (0, np.inf),
    "expm1": (-1, np.inf),
    "log": (np.nan, np.inf),
    "log1p": (np.nan, np.inf),
    "tanh": (-1, 1),
    "erf": (-1, 1),
    "erfc": (2, 0),
    "normcdf": (0, 1),
}


def make(operation):
    """Make a kernel of one function that shall not run on NumPy."""

    def refuse(x):
        raise AssertionError("the NumPy body ran")

    kernel = elementwise("T x", "T y", operation)(refuse)
    return kernel


@pytest.fixture(scope="module")
def functions():
    """Return kernels of the mathematical functions, by name; compiled together."""
    return {name: make(f"y = {name}(x)") for name in ORACLES}


def oracle(name, x):
    if math.isnan(x):
        return math.nan
    if math.isinf(x):
        return AT_INFINITY[name][x > 0]
    try:
        return ORACLES[name](x)
    except OverflowError:
        return math.inf
    except ValueError:
        return -math.inf if x == {"log": 0, "log1p": -1}[name] else math.nan


@needs_compiler
@wide_floats
@pytest.mark.parametrize("name", list(ORACLES))
def test_functions_are_accurate(name, dtype, functions, on, rng):
    top, info = (120, np.finfo(dtype)) if dtype == np.float32 else (800, np.finfo(dtype))
    x = np.concatenate(
        [
            rng.normal(size=3000),
            rng.uniform(-top, top, 3000),
            10.0 ** rng.uniform(math.log10(info.tiny) - 5, 30, 3000) * rng.choice([-1, 1], 3000),
            [0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, info.max, -info.max, info.tiny, info.smallest_subnormal],
            1 + np.arange(-8, 9) * info.eps,
        ]
    ).astype(dtype)
    y = functions[name](x)
    expected = np.array([oracle(name, float(v)) for v in x])
    off = ulp_distance(y, expected, dtype)
    allowed = 4 + (dtype == np.float64)
    if name == "normcdf":  # the oracle rounds its argument: at -x that costs x * x units
        off /= 1 + np.where(np.abs(x) < 40, x, 0).astype(np.float64) ** 2 * (dtype == np.float64)
    assert off.max() <= allowed, f"{off.max():.3g} ulp at {x[off.argmax()]!r}: {y[off.argmax()]!r}"


@needs_compiler
@wide_floats
@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh", "erf"])
def test_odd_functions_keep_the_sign_of_zero(name, dtype, functions, on):
    y = functions[name](np.array([0.0, -0.0], dtype))
    assert np.signbit(y).tolist() == [False, True]


@needs_compiler
@wide_floats
@pytest.mark.parametrize("name", list(ORACLES))
def test_a_result_does_not_depend_on_its_place(name, dtype, functions, on, rng):
    x = rng.normal(size=67).astype(dtype) * 3
    whole = functions[name](x)
    one_by_one = np.concatenate([functions[name](x[k : k + 1]) for k in range(67)])
    assert whole.tobytes() == one_by_one.tobytes()
