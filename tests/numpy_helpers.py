"""Functions of NumPy on Tensors against NumPy, and their derivatives against differences."""

import numpy as np
from helpers import host, turn

from cunet import Tensor
from cunet.testing import gradcheck

B = np.array([[0.5, 2.0, 1.25], [1.5, 0.25, 3.5], [3.0, 1.0, 0.75], [2.5, 1.75, 2.25]])


def parts(y):
    """Return results as a tuple."""
    return tuple(y) if isinstance(y, (tuple, list)) else (y,)


def check_calls(calls, rng, dev, wide=()):
    """Check calls, by name, of an array (4, 3) of different positive numbers and of B; `wide`: those in float64."""
    a = rng.permutation(np.linspace(0.5, 1.5, 12)).reshape(4, 3)
    for name, f in calls.items():
        with turn(name):
            check_call(f, a, dev, name in wide)


def check_call(f, a, dev, wide):
    expected = f(a, B)
    y = f(Tensor(dev(a), requires_grad=True), dev(B))
    assert isinstance(y, (tuple, list)) == isinstance(expected, (tuple, list))
    for mine, theirs in zip(parts(y), parts(expected), strict=True):
        assert isinstance(mine, Tensor) and mine.requires_grad
        assert mine.dtype == theirs.dtype
        np.testing.assert_allclose(host(mine), theirs, rtol=1e-12, atol=1e-14)
    for x in (a.astype(np.float32), a[::-1, ::-1]):
        b = B.astype(x.dtype)
        for mine, theirs in zip(parts(f(Tensor(dev(x)), dev(b))), parts(f(x, b)), strict=True):
            assert isinstance(mine, Tensor) and mine.shape == theirs.shape
            assert mine.dtype == (np.float64 if wide else x.dtype)  # also where NumPy's is that of a list
            np.testing.assert_allclose(host(mine), theirs, rtol=2e-5 if x.dtype == np.float32 else 1e-12, atol=1e-6)
    gradcheck(lambda t: parts(f(t, dev(B))), dev(a), order=2)
