"""Poisoned memory: what a body leaves unwritten is NaN, and ``--poison`` puts it where cunet takes its memory from."""

import numpy as np
import pytest
from poison import poisoned

pytestmark = pytest.mark.cpu_only


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_floats_are_nan(dtype):
    assert np.isnan(poisoned(np.empty)((3, 2), dtype)).all()
    assert np.isnan(poisoned(np.empty_like)(np.ones(3, dtype))).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "bool"])
def test_integers_are_what_nobody_expects(dtype):
    assert (poisoned(np.empty)(5, dtype) == np.array(-1).astype(dtype)).all()


def test_objects_and_text_are_left_alone():
    assert poisoned(np.empty)(2, object)[0] is None
    assert poisoned(np.empty)(0, "U3").shape == (0,)


def test_the_option_reaches_numpy(request):
    assert (hasattr(np.empty, "__wrapped__")) == request.config.getoption("poison")
