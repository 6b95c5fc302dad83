"""Statistics of NumPy on Tensors."""

import numpy as np
import pytest
from helpers import host
from numpy_helpers import check_calls

from cunet import Tensor
from cunet.ops.numpy_statistics import STATISTICS


def holes(x, b):
    """Return numbers with NaN among them."""
    return np.where(b > 2.4, np.nan, x)


CALLS = {
    "average": lambda x, b: np.average(x, axis=0),
    "average with weights": lambda x, b: np.average(x, weights=b),
    "average by weights": lambda x, b: np.average(b, axis=0, weights=x[:, 0]),
    "average, and the weights' sum": lambda x, b: np.average(b, axis=1, weights=x, returned=True),
    "average that keeps axes": lambda x, b: np.average(x, axis=1, weights=b, keepdims=True),
    "corrcoef": lambda x, b: np.corrcoef(x),
    "corrcoef of columns": lambda x, b: np.corrcoef(x * b, rowvar=False),
    "cov": lambda x, b: np.cov(x),
    "cov of one": lambda x, b: np.cov(x[0], bias=True),
    "cov of columns": lambda x, b: np.cov(x, rowvar=False, ddof=0),
    "nancumprod": lambda x, b: np.nancumprod(holes(x, b), axis=0),
    "nancumsum": lambda x, b: np.nancumsum(holes(x, b)),
    "nanmax": lambda x, b: np.nanmax(holes(x, b), axis=0),
    "nanmean": lambda x, b: np.nanmean(holes(x, b), axis=1, keepdims=True),
    "nanmedian": lambda x, b: np.nanmedian(holes(x, b), axis=0),
    "nanpercentile": lambda x, b: np.nanpercentile(holes(x, b), 40),
    "nanquantile": lambda x, b: np.nanquantile(holes(x, b), [0.1, 0.7, 1.0], axis=1, keepdims=True),
    "nanmin": lambda x, b: np.nanmin(holes(x, b)),
    "nanprod": lambda x, b: np.nanprod(holes(x, b), axis=1),
    "nanstd": lambda x, b: np.nanstd(holes(x, b), axis=0),
    "nansum": lambda x, b: np.nansum(holes(x, b), axis=(0, 1)),
    "nanvar": lambda x, b: np.nanvar(holes(x, b), axis=0, ddof=1),
    "partition": lambda x, b: np.partition(x, 1),
    "partition of all": lambda x, b: np.partition(x, [2, 7], axis=None),
    "percentile": lambda x, b: np.percentile(x, 30),
    "percentile of an axis": lambda x, b: np.percentile(x, [10, 50, 100], axis=0),
    "ptp": lambda x, b: np.ptp(x, axis=1),
    "quantile": lambda x, b: np.quantile(x, 0.3, axis=1, keepdims=True),
    "quantile of two axes": lambda x, b: np.quantile(x.reshape(2, 2, 3), [[0.2], [0.9]], axis=(0, 2)),
}


def test_calls(rng, dev):
    check_calls(CALLS, rng, dev)


@pytest.mark.cpu_only
def test_every_function_is_called():
    assert {f.__name__ for f in STATISTICS} <= {name.split()[0].rstrip(",") for name in CALLS}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's
def test_rows_of_nan(dev):
    x = np.array([[np.nan, np.nan], [1.0, np.nan], [1.0, 3.0]])
    for f in (np.nanmax, np.nanmin, np.nanmean, np.nansum, np.nanprod, np.nanvar, np.nanstd):
        np.testing.assert_array_equal(host(f(Tensor(dev(x)), axis=1)), f(x, axis=1))
        np.testing.assert_array_equal(
            host(f(Tensor(dev(x[1:])), axis=1, keepdims=True)), f(x[1:], axis=1, keepdims=True)
        )
    for f in (
        np.nanmedian,
        np.ptp,
        lambda x, axis: np.quantile(x, [0.2, 0.6], axis=axis),
        lambda x, axis: np.percentile(x, 5, axis),
    ):
        np.testing.assert_array_equal(host(f(Tensor(dev(x)), axis=1)), f(x, axis=1))


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: np.average(x, weights=[1.0, 2.0]), ValueError, r"weights must have shape \(4, 3\).* got \(2,\)"),
        (lambda x: np.quantile(x, 2.0), ValueError, "q must be between 0 and 1, got 2.0"),
        (lambda x: np.quantile(x[:0], 0.5), ValueError, r"at least one element .* got shape \(0, 3\)"),
        (lambda x: np.quantile(x, 0.5, method="lower"), TypeError, "takes no method='lower'"),
        (lambda x: np.percentile(x, x[0]), TypeError, "takes no q= that is a Tensor"),
        (lambda x: np.cov(x, x), TypeError, "takes no y="),
        (lambda x: np.nansum(x, where=[True]), TypeError, "takes no where="),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(Tensor(np.ones((4, 3)), requires_grad=True))
