"""Compiled convolution is the same whatever the layout, the threads and the width of vectors."""

import numpy as np
import pytest
from convolution_helpers import CASES, STRIPS, agree, arrays_of, by_numpy, compiled
from native_helpers import needs_compiler, wide_floats

from cunet.kernels.backends.native import compiler as build
from cunet.kernels.backends.native import functions as library
from cunet.kernels.backends.native import native
from cunet.kernels.backends.native.text import single

pytestmark = [pytest.mark.cpu_only, needs_compiler, pytest.mark.usefixtures("on")]

LAYOUTS = {
    "channels last": lambda a: np.ascontiguousarray(np.moveaxis(a, 1, -1)),
    "reversed": lambda a: np.ascontiguousarray(a[:, ::-1, :, ::-1, ::-1]),
    "a part": lambda a: np.pad(a, [(1, 1)] * 5),
    "not aligned": lambda a: a,
}


def laid_out(name, a):
    """Return an array equal to `a` in another layout."""
    if name == "channels last":
        return np.moveaxis(LAYOUTS[name](a), -1, 1)
    if name == "reversed":
        return LAYOUTS[name](a)[:, ::-1, :, ::-1, ::-1]
    if name == "a part":
        return LAYOUTS[name](a)[(slice(1, -1),) * 5]
    memory = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    memory[...] = a
    return memory


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", ["3x3", "same", "1x1", "stride 2, 1x1", "depthwise"])
def test_the_layout_changes_nothing(case, layout, rng):
    windows, n, groups, *channels = CASES[case]
    arrays = arrays_of(windows, n, groups, *channels, np.float32, rng)
    expected = compiled(*arrays, windows, groups)
    x, w, b, gy = arrays
    others = laid_out(layout, x), laid_out(layout, w), np.repeat(b, 2)[::2], laid_out(layout, gy)
    for got, e in zip(compiled(*others, windows, groups), expected, strict=True):
        assert got.tobytes() == e.tobytes()


def test_one_number_for_all_elements_of_the_gradient(rng):
    windows, n, groups, *channels = CASES["same"]
    x, w, b, gy = arrays_of(windows, n, groups, *channels, np.float64, rng)
    ones = np.broadcast_to(np.float64(1), gy.shape)
    agree(compiled(x, w, b, ones, windows, groups), by_numpy(x, w, b, np.ones_like(gy), windows, groups), [100] * 4)


@wide_floats
@pytest.mark.parametrize("case", ["same", "depthwise", "groups", "stride, dilation, padding", "1-d"])
def test_the_number_of_threads_changes_nothing(case, dtype, rng, monkeypatch):
    windows, _, groups, *channels = CASES[case]
    arrays = arrays_of(windows, 11, groups, *channels, dtype, rng)
    results = []
    for threads in (1, 2, 3, 8):
        monkeypatch.setattr(native, "threads", threads)
        results.append([r.tobytes() for r in compiled(*arrays, windows, groups)])
    assert all(r == results[0] for r in results)


def test_the_width_of_vectors_changes_nothing(rng, monkeypatch):
    """On another processor vectors are shorter, or longer; the order of sums is the same."""
    cases = {**CASES, **{name: STRIPS[name] for name in ("rows", "layers")}}
    arrays = {name: arrays_of(*case, np.float32, rng) for name, case in cases.items()}
    made = library.unit("cunet_convolve", "f").text()
    monkeypatch.setattr(library, "SOURCES", {"cunet_convolve": library.SOURCES["cunet_convolve"]})
    results = []
    for width in (16, 32, 64):
        unit = single("width", f"{build.SLOW}#define CUNET_VECTOR_BYTES {width}\n{made}")
        monkeypatch.setattr(library, "unit", lambda name, char, unit=unit: unit)
        monkeypatch.setattr(library, "_functions", {})
        results.append({name: [a.tobytes() for a in compiled(*arrays[name], cases[name][0], cases[name][2])]
                        for name in cases})  # fmt: skip
    for name in cases:
        assert results[0][name] == results[1][name] == results[2][name], name
