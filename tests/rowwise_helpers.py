"""What the tests of kernels over rows of a device share: arguments, and NumPy's answer in float64."""

import ml_dtypes
import numpy as np
import pytest
from helpers import host

from cunet.kernels import KERNELS

FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
TOLERANCE = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 2e-5, "float64": 1e-13}
every_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: np.dtype(d).name)


def wide(dtype):
    return np.float64 if dtype == np.float64 else np.float32


def arguments(name, rng, shape, dtype):
    """The arguments of a kernel for rows of `shape`, on the host."""
    lead, length = (*shape[:-1], 1), shape[-1]

    def data(low=-2.0, high=2.0):
        return rng.uniform(low, high, shape).astype(dtype)

    def factor(size, low=0.5, high=2.0):
        return rng.uniform(low, high, size).astype(wide(dtype))

    labels = rng.integers(0, length, lead)
    kept = factor(lead) * (rng.random(lead) < 0.8).astype(wide(dtype))
    return {
        "softmax_rows": lambda: (data(-9, 9),),
        "softmax_rows_backward": lambda: (data(), data(0, 1)),
        "log_softmax_rows": lambda: (data(-9, 9),),
        "log_softmax_rows_backward": lambda: (data(), data(-3, 0)),
        "label_loss_rows": lambda: (data(-9, 9), np.where(labels == 1, -100, labels), factor(lead), -100),
        "label_rows_backward": lambda: (data(), labels, factor(lead, 2, 3), factor(lead), kept, factor(())),
        "norm_rows": lambda: (data(3, 5), factor((1, length)), factor((1, length), -1, 1), 1e-3),
        "rms_rows": lambda: (data(), factor((1, length)), 1e-3),
        "norm_rows_backward": lambda: (data(), data(), factor(lead, -1, 1), factor(lead), factor((1, length)), 1.0),
    }[name]()


ROWWISE = sorted(k.name for k in KERNELS.values() if k.spec.kind == "rowwise")


def results(kernel, args, **kw):
    found = kernel(*args, **kw)
    return [host(y) for y in (found if isinstance(found, tuple) else (found,))]


def agree(actual, args, kernel, dtype, **kw):
    """Compare with the NumPy body in float64."""
    exact = [a.astype(np.float64) if getattr(a, "dtype", None) in (dtype, wide(dtype)) else a for a in args]
    for param, y, e in zip(kernel.spec.outs, actual, results(kernel, exact, **kw), strict=True):
        assert y.shape == e.shape
        assert y.dtype == (dtype if param.type == "T" else wide(dtype))
        scale = max(1.0, float(np.nanmax(np.abs(e), initial=0)))
        np.testing.assert_allclose(y.astype(np.float64), e, rtol=0, atol=TOLERANCE[np.dtype(dtype).name] * scale)


def on(dev, args):
    return [dev(a) if isinstance(a, np.ndarray) else a for a in args]
