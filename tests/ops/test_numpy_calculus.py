"""`numpy.gradient`, `interp` and `trapezoid` on Tensors."""

import numpy as np
import pytest
from helpers import host
from numpy_helpers import check_calls

from cunet import Tensor

PLACES = [0.0, 0.5, 2.0, 2.25]

CALLS = {
    "gradient": lambda x, b: np.gradient(x),
    "gradient along an axis": lambda x, b: np.gradient(x, axis=-1),
    "gradient along two": lambda x, b: np.gradient(x.reshape(2, 2, 3), axis=(2, 0)),
    "gradient of one axis": lambda x, b: np.gradient(x[:, 0]),
    "gradient at a distance": lambda x, b: np.gradient(x, 0.5, axis=0),
    "gradient at distances": lambda x, b: np.gradient(x, 0.5, 2.0),
    "gradient with edges of order 2": lambda x, b: np.gradient(x, edge_order=2),
    "gradient at places": lambda x, b: np.gradient(x, PLACES, axis=0),
    "gradient at places with edges of order 2": lambda x, b: np.gradient(x, PLACES, 0.25, edge_order=2),
    "gradient by places": lambda x, b: np.gradient(b, np.cumsum(x[:, 0]), axis=0),
    "gradient by its distance": lambda x, b: np.gradient(b, x[0, 0], axis=0),
    "interp": lambda x, b: np.interp(2 * x, [0.0, 1.1, 2.3, 9.0], b[:, 0]),
    "interp outside": lambda x, b: np.interp(2 * x, [1.3, 2.2], [4.0, 5.0]),
    "interp with values outside": lambda x, b: x * np.interp(2 * x, [1.3, 2.2], [4.0, 5.0], left=-1.0, right=7.0),
    "interp by values": lambda x, b: np.interp(b, [0.0, 1.1, 2.3], x[0]),
    "interp by places": lambda x, b: np.interp(b, 1.013 * np.cumsum(x[:, 0]), b[:, 1]),
    "interp of one point": lambda x, b: np.interp(x, [1.0], x[0, :1]),
    "trapezoid": lambda x, b: np.trapezoid(x),
    "trapezoid at a distance": lambda x, b: np.trapezoid(x, dx=0.5, axis=0),
    "trapezoid at places": lambda x, b: np.trapezoid(b, x[:, 0], axis=0),
    "trapezoid at many places": lambda x, b: np.trapezoid(b, x, axis=1),
}


def test_calls(rng, dev):
    check_calls(CALLS, rng, dev)


def test_interp_at_its_points(dev):
    x = np.array([0.0, 0.1, 0.3, 1.0, np.nan, np.inf, -np.inf])
    args = [0.0, 0.1, 0.3, 1.0], [5.0, -1.0, 0.7, 0.2]
    np.testing.assert_array_equal(host(np.interp(Tensor(dev(x)), *args)), np.interp(x, *args))


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda x: np.gradient(x, 1.0, 2.0, 3.0),
            TypeError,
            "one distance, or one for each of 2 axes is required, got 3",
        ),
        (lambda x: np.gradient(x, edge_order=3), ValueError, "edge_order must be 1 or 2, got 3"),
        (lambda x: np.gradient(x[:1]), ValueError, "at least 2 samples along each axis are required, got 1"),
        (
            lambda x: np.gradient(x, [1.0, 2.0], axis=0),
            ValueError,
            r"4 places are required along axis 0, got shape \(2,\)",
        ),
        (lambda x: np.interp(x, [1.0], [1.0, 2.0]), ValueError, r"as many places as values .* got \(1,\) and \(2,\)"),
        (lambda x: np.interp(x, [1.0], [1.0], period=2.0), TypeError, r"np\.interp would lose .*takes no period="),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(Tensor(np.ones((4, 3)), requires_grad=True))
