"""What tests of every kind share: back to NumPy, and errors in units of the last place."""

import contextlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np

import cunet
from cunet import device as backend
from cunet.autograd.tensor import Tensor
from cunet.ops.slopes import times


def training_step(step):
    """Return a step; one that is recorded and replayed where the environment says ``CUNET_COMPILE=1``."""
    return cunet.compile(step) if os.environ.get("CUNET_COMPILE") == "1" else step


@contextlib.contextmanager
def turn(*what):
    """Say of a failure in which turn of a test's loop it came; a loop is cheaper than as many tests."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in the turn {', '.join(map(str, what))}")
        raise


def host(x):
    """Return a Tensor, an array of any device or a scalar as a NumPy array."""
    x = x.data if isinstance(x, Tensor) else x
    return backend.asnumpy(x) if backend.is_array(x) else np.asarray(x)


def flushes(dev):
    """Tell whether float32 kernels of the device under test take subnormal numbers for 0, as CuPy has them compiled."""
    return host(times(dev(np.ones(1, np.float32)), dev(np.full(1, 1e-40, np.float32))))[0] == 0


def _finfo(dtype):
    if dtype.name == "bfloat16":
        import ml_dtypes

        return ml_dtypes.finfo(dtype)
    return np.finfo(dtype)


def ulp_distance(actual, reference, dtype=None):
    """Return how far `actual` is from `reference`, in units in the last place that the reference has in `dtype`.

    Fractions count, so a float64 reference shows how well a float32 result was rounded (0.5: perfectly).
    ``nan`` is at distance 0 from ``nan`` and infinitely far from all else. An infinity is at distance 0 from
    what rounds to it in `dtype`, otherwise it stands one step above the largest number, as in IEEE 754.
    Both zeros are equal.

    Args:
        dtype: of the unit; the reference's own if not given.
    """
    actual, reference = host(actual), host(reference)
    info = _finfo(np.dtype(dtype or reference.dtype))
    a, r = actual.astype(np.float64), reference.astype(np.float64)
    with np.errstate(all="ignore"):
        rounded = r.astype(info.dtype).astype(np.float64)
        exponent = np.where(r == 0, info.minexp, np.frexp(r)[1] - 1)
        unit = np.ldexp(1.0, np.maximum(exponent, info.minexp) - info.nmant)
        # In two steps, because the step above the largest float64 is no float64.
        above = np.copysign(np.ldexp(0.5, int(info.maxexp)) / unit * 2, a)
        distance = np.abs(np.where(np.isinf(a), above, a / unit) - r / unit)
    distance = np.where(np.isinf(r) & (a != r), np.inf, distance)
    distance = np.where(np.isnan(a) | np.isnan(r), np.inf, distance)
    return np.where((a == rounded) & np.isinf(a) | (np.isnan(a) & np.isnan(r)), 0.0, distance)


def assert_ulp(actual, expected, dtype, max_ulp):
    """Assert that `actual` has dtype `dtype`, the shape of the float64 `expected`, and is at most `max_ulp` off."""
    actual, expected = host(actual), np.asarray(expected, np.float64)
    assert actual.dtype == dtype, f"dtype {actual.dtype}, expected {np.dtype(dtype)}"
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    if actual.size == 0:
        return
    distance = ulp_distance(actual, expected, dtype)
    at = np.unravel_index(np.argmax(distance), distance.shape)
    assert distance[at] <= max_ulp, (
        f"{distance[at]:.4g} ulp at {tuple(map(int, at))}: got {actual[at]!r}, expected {expected[at]!r},"
        f" at most {max_ulp} allowed ({(distance > max_ulp).sum()} of {distance.size} beyond)"
    )


def run_script(code, env=None, check=True, before=(), **options):
    """Run a program on the compiled route in a process of its own, with more environment; return what became of it."""
    root = str(Path(__file__).parents[1])  # wherever it runs, this tree is what it imports
    full = {**os.environ, "PYTHONPATH": root, "CUNET_NATIVE": "1", **(env or {})}
    command = [*before, sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, env=full, timeout=300, **options)
    assert not check or done.returncode == 0, done.stderr
    return done
