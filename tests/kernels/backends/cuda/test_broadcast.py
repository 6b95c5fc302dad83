"""Elementwise kernels that go row by row, with what is broadcast along rows or across them."""

import numpy as np
import pytest
from helpers import host

import sim
from cunet import kernels
from cunet.kernels.backends.cuda import tuning
from cunet.kernels.backends.cuda.tuning import Tuning

if reason := sim.unavailable_reason():
    pytest.skip(reason, allow_module_level=True)


@kernels.elementwise("T x, bool allowed, int64 count_of", "T y", "y = allowed ? x + count_of : A(-1)")
def chosen(x, allowed, count_of):
    return np.where(allowed, x + count_of.astype(x.dtype), x.dtype.type(-1))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shapes", [[(5, 6), (1, 1)], [(5, 1), (1, 1)], [(1, 1), (5, 6)], [(5, 6), (9, 1, 1)]], ids=str)
def test_columns_of_flags_and_of_integers(shapes, dtype, rng, dev, monkeypatch):
    monkeypatch.setattr(tuning, "tuning", Tuning(broadcast=0, narrow_row=1, few_rows=1))
    x = rng.integers(-9, 9, (9, 5, 6)).astype(dtype)
    allowed, count = rng.random(shapes[0]) < 0.5, rng.integers(-9, 9, shapes[1])
    np.testing.assert_array_equal(host(chosen(dev(x), dev(allowed), dev(count))), chosen.body(x, allowed, count))
