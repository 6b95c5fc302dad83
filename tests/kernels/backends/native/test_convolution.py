"""Compiled convolution and pooling: they agree with NumPy, whatever the shape, the layout and the threads."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cunet import F
from cunet.autograd.tensor import Tensor
from cunet.kernels.backends.native import compiler as build
from cunet.kernels.backends.native import convolution, native, pooling
from cunet.kernels.backends.native import functions as library
from cunet.ops.conv import primitives as conv
from cunet.ops.pool import kernels as pool_kernels
from cunet.ops.windows import Windows, three

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(native.runtime() is None, reason="no C++ compiler that works"),
]
wide_floats = pytest.mark.parametrize("dtype", [np.float32, np.float64])
LANES = 16  # of the widest vectors


@pytest.fixture(autouse=True)
def on(monkeypatch):
    monkeypatch.setattr(native, "active", True)


def sliding(sizes, kernel, stride=1, padding=0, dilation=1):
    """Return windows; numbers stand for all axes."""
    ndim = len(sizes)
    stride, padding, dilation = ((v,) * ndim if isinstance(v, int) else v for v in (stride, padding, dilation))
    out = [
        (n + 2 * p - (k - 1) * d - 1) // s + 1
        for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ]
    assert min(out) > 0
    return Windows(three(sizes, 1), three(out, 1), three(kernel, 1), three(stride, 1), three(padding, 0),
                   three(dilation, 1))  # fmt: skip


def arrays_of(windows, n, groups, channels, outputs, dtype, rng):
    """Return x, weight, bias and gy; `channels` and `outputs` are those of a group."""
    shapes = (
        (n, groups * channels, *windows.sizes),
        (groups * outputs, channels, *windows.kernel),
        (groups * outputs,),
        (n, groups * outputs, *windows.out),
    )
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def compiled(x, w, b, gy, windows, groups):
    results = (
        convolution.convolve(x, w, b, windows, groups),
        convolution.input_gradient(gy, w, windows, groups),
        convolution.weight_gradient(x, gy, windows, groups, sums := np.empty_like(b)),
        sums,
    )
    assert all(r is not NotImplemented for r in results)
    return results


def by_numpy(x, w, b, gy, windows, groups):
    native.disable()
    try:
        return (
            conv.convolve(x, w, b, windows, groups),
            conv.convolve_input_gradient(gy, w, windows, groups),
            conv.convolve_weight_gradient(x, gy, windows, groups)[0],
            gy.sum((0, 2, 3, 4)),
        )
    finally:
        native.enable()


def agree(got, expected, terms):
    """Compare with room for the rounding of sums of so many terms of about 1."""
    for g, e, count in zip(got, expected, terms, strict=True):
        assert g.shape == e.shape and g.dtype == e.dtype
        off = np.abs(g - e).max()
        allowed = 8 * np.finfo(e.dtype).eps * max(count, 4) ** 0.5 * max(1, np.abs(e).max())
        assert off <= allowed, f"{off:.3g} > {allowed:.3g}"


def check(windows, n, groups, channels, outputs, dtype, rng):
    arrays = arrays_of(windows, n, groups, channels, outputs, dtype, rng)
    terms = channels * windows.taps, outputs * windows.taps, n * windows.total, n * windows.total
    agree(compiled(*arrays, windows, groups), by_numpy(*arrays, windows, groups), terms)


# -- convolution

CASES = {
    "3x3": (sliding((9, 11), (3, 3)), 3, 1, 5, 9),
    "same": (sliding((8, 8), (3, 3), padding=1), 2, 1, 3, 17),
    "5x5 same": (sliding((14, 14), (5, 5), padding=2), 2, 1, 7, 33),
    "padding beyond the kernel": (sliding((5, 6), (2, 3), padding=4), 2, 1, 2, 3),
    "kernel of the size of the image": (sliding((6, 7), (6, 7)), 3, 1, 2, 8),
    "dilated": (sliding((13, 12), (3, 2), dilation=(2, 3), padding=(2, 1)), 2, 1, 4, 6),
    "stride 2, a rest unused": (sliding((10, 12), (3, 3), stride=2), 2, 1, 3, 5),
    "stride 3 beyond the kernel": (sliding((11, 10), (2, 1), stride=3), 2, 1, 3, 4),
    "stride, dilation, padding": (
        sliding((15, 14), (3, 4), stride=(2, 3), dilation=(3, 2), padding=(3, 2)),
        2,
        1,
        3,
        4,
    ),
    "stride 2, 1x1": (sliding((8, 9), (1, 1), stride=2), 2, 1, 5, 6),
    "1x1": (sliding((7, 9), (1, 1)), 2, 1, 12, 20),
    "1x1, padded": (sliding((4, 4), (1, 1), padding=1), 2, 1, 3, 4),
    "one element": (sliding((1, 1), (1, 1)), 1, 1, 1, 1),
    "groups": (sliding((9, 9), (3, 3), padding=1), 2, 3, 2, 4),
    "depthwise": (sliding((12, 13), (3, 3), padding=1), 2, 6, 1, 1),
    "depthwise, stride 2, 5x5": (sliding((12, 13), (5, 5), padding=2, stride=2), 2, 6, 1, 1),
    "depthwise, two outputs each": (sliding((9, 17), (1, 3), padding=(0, 1)), 2, 5, 1, 2),
    "1-d": (sliding((50,), (5,), padding=2), 2, 1, 3, 10),
    "1-d, stride 4": (sliding((50,), (8,), stride=4, padding=2), 2, 1, 3, 10),
    "3-d": (sliding((5, 6, 7), (3, 2, 3), padding=(1, 0, 1)), 2, 1, 2, 5),
    "3-d, strides": (sliding((7, 6, 9), (3, 3, 3), stride=(2, 1, 2), padding=1), 2, 2, 2, 3),
    "3-d, one deep": (sliding((3, 6, 7), (3, 3, 3), padding=(0, 1, 1)), 2, 1, 2, 5),
    "no wider than a vector": (sliding((16, 16), (3, 3), padding=1), 1, 1, 2, 24),
}


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


STRIPS = {
    "rows": (sliding((150, 120), (3, 3), padding=1), 2, 1, 12, 3),
    "rows with stride": (sliding((301, 160), (3, 3), stride=2, padding=1), 1, 1, 6, 3),
    "a line": (sliding((40000,), (9,), padding=4), 1, 1, 5, 3),
    "layers": (sliding((24, 40, 40), (3, 3, 3), padding=1), 1, 1, 5, 3),
    "layers in place": (sliding((24, 40, 40), (3, 3, 3)), 1, 1, 5, 3),
    "a line shorter than its padding": (sliding((5,), (2,), dilation=20, padding=20), 1, 1, 3, 4),
    "few samples": (sliding((33, 20), (3, 3), padding=1), 1, 1, 2, 40),
}


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
    made = library._text("cunet_convolve", "f")
    monkeypatch.setattr(library, "SOURCES", {"cunet_convolve": library.SOURCES["cunet_convolve"]})
    results = []
    for width in (16, 32, 64):
        text = f"{build.SLOW}#define CUNET_VECTOR_BYTES {width}\n{made}"
        monkeypatch.setattr(library, "_text", lambda name, char, text=text: text)
        monkeypatch.setattr(library, "_functions", {})
        results.append({name: [a.tobytes() for a in compiled(*arrays[name], cases[name][0], cases[name][2])]
                        for name in cases})  # fmt: skip
    for name in cases:
        assert results[0][name] == results[1][name] == results[2][name], name


def element(windows, window, tap):
    """Return which element (d, h, w) a tap of a window meets; it may lie in the padding."""
    steps = zip(window, tap, windows.stride, windows.padding, windows.dilation, strict=True)
    return tuple(o * s - p + t * d for o, t, s, p, d in steps)


def seen(windows, at):
    """Return for which (tap, window) the element `at` = (d, h, w) is met, by counting."""
    marks = np.zeros((*windows.kernel, *windows.out), bool)
    for tap in np.ndindex(windows.kernel):
        for window in np.ndindex(windows.out):
            marks[tap + window] = element(windows, window, tap) == at
    return marks


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("outputs", [2, 20])
@pytest.mark.parametrize("name", ["3x3", "same", "stride 2, a rest unused", "dilated"])
def test_what_is_not_finite_reaches_only_what_sees_it(name, outputs, bad, rng):
    """Rows of an image lie behind each other: windows that would reach from one into the next do not exist."""
    windows = CASES[name][0]
    x, w, b, gy = arrays_of(windows, 1, 1, 1, outputs, np.float32, rng)
    for at in [(0, 0, windows.sizes[2] - 1), (0, windows.sizes[1] - 1, 0), (0, 2, 3)]:
        met = seen(windows, at)
        x[0, 0][at], before = bad, x[0, 0][at]
        y, gw = convolution.convolve(x, w, b, windows, 1), convolution.weight_gradient(x, gy, windows, 1)
        x[0, 0][at] = before
        np.testing.assert_array_equal(~np.isfinite(y), np.broadcast_to(met.any((0, 1, 2)), y.shape))
        np.testing.assert_array_equal(
            ~np.isfinite(gw[:, 0]), np.broadcast_to(met.any((3, 4, 5)).ravel(), gw[:, 0].shape)
        )
    for at in [(0, 0, windows.out[2] - 1), (0, windows.out[1] - 1, 0)]:
        gy[0, 0][at], before = bad, gy[0, 0][at]
        gx = convolution.input_gradient(gy, w, windows, 1)
        gw = convolution.weight_gradient(np.ones_like(x), gy, windows, 1)
        gy[0, 0][at] = before
        reached = {element(windows, at, tap) for tap in np.ndindex(windows.kernel)}
        np.testing.assert_array_equal(~np.isfinite(gx).ravel(), [e in reached for e in np.ndindex(windows.sizes)])
        assert np.isfinite(gw[1:]).all() and not np.isfinite(gw[0]).all()


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
    monkeypatch.setattr(build, "compile_all", lambda texts: [build.CompileError("no such register")] * len(texts))
    x, w = Tensor(np.ones((1, 1, 4, 4), np.float32)), np.ones((1, 1, 3, 3), np.float32)
    with pytest.warns(UserWarning, match=r"function 'cunet_convolve' runs on NumPy(.|\n)*no such register"):
        assert F.conv2d(x, w).data.tolist() == [[[[9, 9], [9, 9]]]]
    F.conv2d(x, w)


def run_compiled(script):
    """Run a script in a process of its own, on the compiled route; return what it printed."""
    env = os.environ | {"CUNET_NATIVE": "1"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, env=env)
    assert not done.returncode, done.stderr
    return done.stdout


def test_memory_does_not_grow_with_the_batch():
    """A thread holds a padded image, whatever the batch; columns of this one would be 230 MB."""
    script = """
        import resource, numpy as np
        from cunet.kernels.backends.native import convolution
        from cunet.ops.windows import Windows
        windows = Windows((1, 24, 24), (1, 24, 24), (1, 5, 5), (1, 1, 1), (0, 2, 2), (1, 1, 1))
        x, w = np.ones((256, 16, 1, 24, 24), "f"), np.ones((16, 16, 1, 5, 5), "f")
        def step(k):
            y = convolution.convolve(x[:k], w, None, windows, 1)
            convolution.weight_gradient(x[:k], y, windows, 1)
            convolution.input_gradient(y, w, windows, 1)
            return y
        step(8)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        step(256)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / x.nbytes)
    """
    assert float(run_compiled(script)) < 3  # the output, the gradient of the input, and a little


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system for a page that nobody may read")
def test_nothing_is_read_beyond_an_array():
    """Vectors of the last windows of an image that is read in place would reach over its end."""
    script = """
        import ctypes, mmap, numpy as np
        from cunet.kernels.backends.native import convolution
        from cunet.ops.windows import Windows
        pages = mmap.mmap(-1, 2 * mmap.PAGESIZE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
        assert not ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + mmap.PAGESIZE), mmap.PAGESIZE, 0)
        for height, width, kernel in [(2, 4, 1), (4, 4, 2), (5, 5, 1), (9, 9, 1), (9, 7, 3), (17, 19, 3), (3, 21, 2)]:
            shape = (1, 2, 1, height, width)
            size = 2 * height * width
            x = np.frombuffer(pages, np.float32, size, mmap.PAGESIZE - 4 * size).reshape(shape)
            out = (1, height - kernel + 1, width - kernel + 1)
            windows = Windows((1, height, width), out, (1, kernel, kernel), (1, 1, 1), (0, 0, 0), (1, 1, 1))
            for outputs in (1, 3, 20):
                w = np.ones((outputs, 2, 1, kernel, kernel), np.float32)
                y = convolution.convolve(x, w, None, windows, 1)
                convolution.weight_gradient(x, y, windows, 1)
        print("read")
    """
    assert run_compiled(script) == "read\n"


# -- pooling

POOLS = {
    "2x2": sliding((12, 14), (2, 2), 2),
    "2x2, odd sizes": sliding((9, 37), (2, 2), 2),
    "2x2, three deep": sliding((3, 6, 6), (1, 2, 2), (1, 2, 2)),
    "2x2x2": sliding((4, 6, 6), (2, 2, 2), 2),
    "3x3, stride 2": sliding((11, 14), (3, 3), 2, 1),
    "3x3": sliding((6, 40), (3, 3), 1, 1),
    "dilated": sliding((9, 9), (2, 3), (2, 1), (1, 1), (2, 2)),
    "gaps": sliding((10, 11), (2, 2), 3),
    "1-d": sliding((21,), (4,), 2, 1),
    "beyond the end": Windows((1, 5, 5), (1, 3, 3), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1)),  # ceil_mode
}


def run_pool(name, arrays, windows, shape, *options):
    """Return the compiled result and NumPy's."""
    got = pooling.pool(name, arrays, windows.numbers(), shape, *options or (0, 0.0))
    expected = getattr(pool_kernels, name).body(*arrays.values(), *options, *windows.numbers(), shape=shape)
    return got, expected


def same(got, expected):
    assert got.dtype == expected.dtype and got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


@wide_floats
@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("kind", ["random", "ties", "nan", "infinity"])
def test_largest_elements_agree_with_numpy(kind, name, dtype, rng):
    windows = POOLS[name]
    x = rng.standard_normal((5, *windows.sizes)).astype(dtype)
    if kind == "ties":
        x = np.round(x)
    elif kind != "random":
        x[rng.random(x.shape) < 0.3] = np.nan if kind == "nan" else -np.inf
    out = (5, *windows.out)
    y, expected = run_pool("max_pool_forward", {"x": x}, windows, out)
    same(y, expected)
    same(*run_pool("max_pool_indices", {"x": x}, windows, out))
    gy = rng.integers(1, 9, out).astype(dtype)  # sums of these are exact in any order
    same(*run_pool("max_pool_backward", {"gy": gy, "x": x, "y": y}, windows, x.shape))


@wide_floats
@pytest.mark.parametrize("options", [(0, 0.0), (1, 0.0), (0, 3.0)], ids=str)
@pytest.mark.parametrize("name", POOLS)
def test_means_agree_with_numpy(name, options, dtype, rng):
    windows = POOLS[name]
    x = rng.integers(-9, 9, (5, *windows.sizes)).astype(dtype)
    same(*run_pool("avg_pool_forward", {"x": x}, windows, (5, *windows.out), *options))
    gy = rng.standard_normal((5, *windows.out)).astype(dtype)
    got, expected = run_pool("avg_pool_backward", {"gy": gy}, windows, x.shape, *options)
    np.testing.assert_allclose(got, expected, rtol=0, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pooling_takes_the_compiled_route_where_there_is_one(name, rng, monkeypatch):
    taken = []
    original = pooling.pool

    def watched(kernel, *args):
        result = original(kernel, *args)
        taken.append((kernel, result is not NotImplemented))
        return result

    monkeypatch.setattr(pooling, "pool", watched)
    x = Tensor(rng.standard_normal((2, 3, 8, 8)).astype(np.float32), requires_grad=True)
    getattr(F, name)(x, 2).sum().backward()
    stem = name[:3]
    assert taken == [(f"{stem}_pool_forward", True), (f"{stem}_pool_backward", True)]
    del taken[:]
    getattr(F, f"adaptive_{name}")(Tensor(x.data), 3)  # parts of unequal length
    getattr(F, name)(Tensor(x.data), 8)  # one window over all
    getattr(F, name)(Tensor(x.data.astype(np.float16)), 2)  # which nobody asks it for
    assert [t for _, t in taken] == [False] * 2


def test_the_number_of_threads_changes_no_pool(rng, monkeypatch):
    windows = sliding((40, 41), (3, 3), 2, 1)
    x = rng.standard_normal((300, *windows.sizes)).astype(np.float32)
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(native, "threads", threads)
        y = pooling.pool("max_pool_forward", {"x": x}, windows.numbers(), (300, *windows.out), 0, 0.0)
        gx = pooling.pool("max_pool_backward", {"gy": y, "x": x, "y": y}, windows.numbers(), x.shape, 0, 0.0)
        results.append(y.tobytes() + gx.tobytes())
    assert results[0] == results[1] == results[2]
