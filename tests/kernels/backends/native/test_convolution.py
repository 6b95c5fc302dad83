"""Compiled convolution agrees with NumPy, whatever the shape."""

import numpy as np
import pytest
from convolution_helpers import CASES, STRIPS, arrays_of, check, sliding
from hypothesis import given, settings
from hypothesis import strategies as st
from native_helpers import needs_compiler, wide_floats

from cunet import F
from cunet.autograd.tensor import Tensor
from cunet.kernels.backends.native import compiler as build
from cunet.kernels.backends.native import convolution, native
from cunet.kernels.backends.native import functions as library

pytestmark = [pytest.mark.cpu_only, needs_compiler, pytest.mark.usefixtures("on")]

LANES = 16  # of the widest vectors


@wide_floats
@pytest.mark.parametrize("name", CASES)
def test_convolution_agrees_with_numpy(name, dtype, rng):
    check(*CASES[name], dtype, rng)


@pytest.mark.parametrize("outputs", [1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 31, 32, 33, 48, 65])
def test_any_number_of_channels(outputs, rng):
    windows = sliding((6, 9), (3, 3), padding=1)
    check(windows, 2, 1, 3, outputs, np.float32, rng)
    check(windows, 2, 1, outputs, 3, np.float32, rng)


@pytest.mark.parametrize("width", range(1, 2 * LANES + 4))
def test_any_width(width, rng):
    """The vectors of a plane begin and end anywhere in its rows, and the last one does not pass its end."""
    check(sliding((3, width), (1, 1)), 1, 1, 2, 3, np.float32, rng)
    check(sliding((3, width), (2, 3), padding=1), 1, 1, 2, 9, np.float32, rng)


@pytest.mark.parametrize("name", STRIPS)
def test_an_image_in_strips(name, rng):
    """Images beyond what stays in a cache are worked on in strips."""
    check(*STRIPS[name], np.float64, rng)


@st.composite
def convolutions(draw):
    ndim = draw(st.integers(1, 3))
    axes = [
        (draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 3)), draw(st.integers(1, 3)))
        for _ in range(ndim)
    ]
    sizes = [max(1, (k - 1) * d + 1 - 2 * p) + draw(st.integers(0, 9)) for k, _, p, d in axes]
    windows = sliding(tuple(sizes), *(tuple(a) for a in zip(*axes, strict=True)))
    return windows, *(draw(st.integers(1, top)) for top in (3, 3, 4, 9))


@settings(max_examples=150)
@given(convolutions())
def test_any_convolution_agrees_with_numpy(case):
    check(*case, np.float64, np.random.default_rng(0))


def test_what_the_compiler_does_not_do_is_numpys(rng, monkeypatch):
    windows, n, groups, *channels = CASES["same"]
    x, w, b, gy = arrays_of(windows, n, groups, *channels, np.float16, rng)
    assert convolution.convolve(x, w, b, windows, groups) is NotImplemented  # half types
    assert (
        convolution.weight_gradient(x[:0].astype("f"), gy[:0].astype("f"), windows, groups) is NotImplemented
    )  # no samples
    monkeypatch.setattr(native, "active", False)
    assert convolution.convolve(x.astype("f"), w.astype("f"), None, windows, groups) is NotImplemented


def test_code_that_does_not_compile_is_reported_once(rng, monkeypatch):
    monkeypatch.setattr(library, "_functions", {})
    monkeypatch.setattr(build, "compile_all", lambda units: [build.CompileError("no such register")] * len(units))
    x, w = Tensor(np.ones((1, 1, 4, 4), np.float32)), np.ones((1, 1, 3, 3), np.float32)
    with pytest.warns(UserWarning, match=r"function 'cunet_convolve' runs on NumPy(.|\n)*no such register"):
        assert F.conv2d(x, w).data.tolist() == [[[[9, 9], [9, 9]]]]
    F.conv2d(x, w)
