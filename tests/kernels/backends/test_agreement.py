"""A user's kernel whose body and text disagree is noticed at its first call in a dtype, and only then."""

import re
import warnings

import numpy as np
import pytest
from helpers import host

from cunet import native
from cunet.kernels import KERNELS, elementwise, grid, inplace, listening, reduction, rowwise
from cunet.kernels.tiled import Tiled


@pytest.fixture(autouse=True)
def texts_run(device):
    if device == "cpu" and not native.enabled():
        pytest.skip("no text runs here")


def said(call, *args, **options):
    """Return what a call warns of, here."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call(*args, **options)
    assert all(w.filename == __file__ for w in seen)
    return [str(w.message) for w in seen]


def linear(text, of=lambda x, k: 2 * x + k):
    @elementwise("T x, A k", "T y", text)
    def line(x, k):
        return of(x, k)

    return line


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_another_constant_is_told_with_both_values_and_once(dtype, dev):
    kernel, x = linear("y = 3 * x + k"), dev([1.0, 2.0], dtype)
    (text,) = said(kernel, x, 0.5)
    assert text.startswith(f"kernel 'line' ({__name__}): its NumPy body and its text, compiled for ")
    assert f"differ in {np.dtype(dtype).name}; the text runs" in text
    found = re.search(r"for x = (\S+), k = 0.5 the body gives y = (\S+), the text y = (\S+)$", text)
    x_value, body, there = map(float, found.groups())
    np.testing.assert_allclose([body, there], [2 * x_value + 0.5, 3 * x_value + 0.5], rtol=1e-5)
    assert said(kernel, x, 0.5) == []
    np.testing.assert_array_equal(host(kernel(x, 0.5)), [3.5, 6.5])


def test_each_dtype_is_looked_at_by_itself(dev):
    kernel = linear("y = A(2.0000001f) * x + k")  # the constant of a float, which is 2 in float32
    assert said(kernel, dev([1.0], np.float32), 0.5) == []
    kernel = linear("y = A(2.00001f) * x + k")
    assert said(kernel, dev([1.0], np.float32), 0.5) == []
    (text,) = said(kernel, dev([1.0], np.float64), 0.5)
    assert "float64" in text


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("y = 2 * x - k", lambda x, k: 2 * x + k),
        ("y = x >= 0 ? x : k * x", lambda x, k: np.where(x > 0, x, k * x) + (x == 0)),  # at one point alone
        ("y = exp(x)", lambda x, k: np.exp(np.minimum(x, 500))),  # where exp leaves the range
        ("y = x > 0 ? log(x) : A(0)", lambda x, k: np.log(x)),  # a number for NaN
        ("y = log(x)", lambda x, k: np.log(np.abs(x))),  # NaN for a number
    ],
)
def test_a_difference_in_a_part_of_the_range_is_noticed(text, body, dev):
    assert len(said(linear(text, body), dev([0.25, 0.5]), 0.5)) == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("y = sqrt(log(x)) / k", lambda x, k: np.sqrt(np.log(x)) / k),  # NaN and infinite on both sides
        ("y = exp(x) * sin(x)", lambda x, k: np.exp(x) * np.sin(x)),
        ("y = 1 / (1 + exp(-x))", lambda x, k: (1 + np.tanh(x / 2)) / 2),
        ("A t = tanh(x); y = 1 - t * t", lambda x, k: 1 / np.cosh(x) ** 2),  # cancels, relative to most of it little
        ("y = x * A(1e-6)", lambda x, k: 1e-6 * x),
        ("y = pow(abs(x), k)", lambda x, k: np.abs(x) ** k),
    ],
)
def test_what_rounding_does_is_no_difference(text, body, dtype, dev):
    assert said(linear(text, body), dev([1.0, 2.0], dtype), 0.5) == []


def test_a_small_result_is_judged_by_its_own_size(dev):
    assert len(said(linear("y = x * A(2e-6)", lambda x, k: 1e-6 * x), dev([1.0]), 0.5)) == 1


def test_masks_labels_and_factors_are_what_a_call_has(dev):
    @elementwise("T x, bool taken, int64 label, A factor", "T y", "y = taken ? x * factor : A(label)")
    def chosen(x, taken, label, factor):
        assert set(np.unique(label)) <= {3, 4}
        return np.where(taken, x * factor, label)

    args = dev([1.0, 2.0]), dev([True, True]), dev([3, 4]), dev([0.5, 0.25])
    assert said(chosen, *args) == []
    chosen.change(operation="y = taken ? x * factor : A(label + 1)")
    (text,) = said(chosen, *args)
    assert re.search(r"taken = False, label = [34], factor = ", text)


def test_a_body_that_refuses_what_is_drawn_is_left_alone(dev):
    def body(x, k):
        if (x < 0).any():
            raise ValueError("x must be > 0")
        return x

    kernel = linear("y = 2 * x", body)
    assert said(kernel, dev([1.0]), 0.5) == []
    np.testing.assert_array_equal(host(kernel(dev([1.0]), 0.5)), [2.0])


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("text", ["out_y = a", "out_y = a + 1"])
def test_reductions(text, keepdims, dev):
    @reduction("T in_x, A in_k", "A out_y", map="A(in_x) * in_k", reduce="a + b", post=text, identity="0")
    def dotted(x, k, *, axis, keepdims):
        return (x * k).sum(axis=axis, keepdims=keepdims)

    found = said(dotted, dev(np.ones((3, 4))), dev(np.ones(4)), axis=0, keepdims=keepdims)
    assert len(found) == (text != "out_y = a")
    assert all(re.search(r"for in_x = \[.*\.\.\..*\], in_k = \[.*\] the body gives out_y = ", text) for text in found)


@pytest.mark.parametrize(("outs", "text"), [("T y, A total", "p + q"), ("T y, A total", "p > q ? p : q")])
def test_rowwise_kernels(outs, text, dev, device):
    @rowwise("T x, col A k", "T y, row A total", f"fold(A sum, 0, x * k, {text}); total = sum; each(y = x * total);")
    def scaled(x, k):
        total = (x * k).sum(axis=-1, keepdims=True)
        return x * total, total

    found = said(scaled, dev(np.ones((64, 4))), dev(np.ones(4)))
    assert len(found) == (device != "cpu" and text != "p + q")  # the text is for GPUs alone


def test_in_place_kernels(dev):
    @inplace("T g, A rate", "T w", "w -= g * rate", scratch=1)
    def step(g, rate, w, s):
        np.multiply(g, rate, out=s)
        w -= s

    w = dev(np.ones(3))
    assert said(step, dev(np.ones(3)), 0.5, w) == []
    np.testing.assert_array_equal(host(w), [0.5, 0.5, 0.5])
    step.change(operation="w += g * rate")
    (text,) = said(step, dev(np.ones(3)), 0.5, w)
    assert re.search(r"for g = \S+, rate = 0.5, w = \S+ the body gives w = ", text)
    np.testing.assert_array_equal(host(w), [1, 1, 1])


def test_raw_arrays_are_those_of_the_call(dev):
    @elementwise("T x, raw int64 index, raw T table", "T y", "y = x + table[index[i]]")
    def looked_up(x, index, table):
        return x + table[index]

    args = dev([1.0, 2.0, 3.0]), dev([1, 0, 1]), dev([7.0, 8.0])
    assert said(looked_up, *args) == []
    looked_up.change(operation="y = x - table[index[i]]")
    (text,) = said(looked_up, *args)
    assert "x of shape (3,), index of shape (3,), table of shape (2,) (at (0,)) the body gives y = 9" in text


def test_grid_kernels_on_a_gpu(dev, device):
    @grid("raw T x, int64 last", "raw T y", "y[i] = x[last - i]")
    def turned(x, last, *, shape):
        return x[::-1]

    x = dev([1.0, 2.0, 3.0])
    assert said(turned, x, 2, shape=(3,), threads=3) == []
    turned.change(operation="y[i] = x[i]")
    assert len(said(turned, x, 2, shape=(3,), threads=3)) == (device != "cpu")


def test_a_grid_kernel_that_fills_given_arrays(dev, device):
    @grid("raw T x", "T y", "y = 2 * x[i]")
    def doubled(x, y):
        np.multiply(x, 2, out=y)

    x, y = dev([1.0, 2.0]), dev([0.0, 0.0])
    assert said(doubled, x, y) == []
    np.testing.assert_array_equal(host(y), [2, 4])
    doubled.change(operation="y = 3 * x[i]")
    assert len(said(doubled, x, y)) == (device != "cpu")


def test_what_runs_tile_by_tile_is_looked_at_too(dev, device):
    kernel, x = linear("y = 3 * x + k"), dev(np.ones((512, 256), np.float32))

    def call():
        with Tiled(x) as run:
            run(kernel, x, 0.5)

    assert len(said(call)) == 1
    assert said(call) == []


def test_nobody_sees_the_comparison_and_the_arguments_stay(dev):
    kernel, x, calls = linear("y = 2 * x + k"), dev([1.0, 2.0]), []
    with listening(lambda kernel, args, options, proceed: (calls.append(args[0]), proceed())[1]):
        kernel(x, 0.5)
    assert [a is x for a in calls] == [True]
    np.testing.assert_array_equal(host(x), [1, 2])


def test_a_warning_that_is_an_error_leaves_a_kernel_that_runs(dev):
    kernel, x = linear("y = 3 * x + k"), dev([1.0])
    with pytest.raises(UserWarning, match="the text runs"):
        kernel(x, 0.5)
    np.testing.assert_array_equal(host(kernel(x, 0.5)), [3.5])


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3)])
def test_a_first_call_of_any_shape_will_do(shape, dev):
    kernel = linear("y = 3 * x + k")
    assert len(said(kernel, dev(np.ones(shape)), 0.5)) == 1


@pytest.mark.cpu_only
def test_a_first_call_of_other_bytes_will_do():
    kernel = linear("y = 3 * x + k")
    assert len(said(kernel, np.ones(3, ">f4")[::-1], 0.5)) <= 1


def test_kernels_of_the_library_are_never_compared(dev):
    kernel = KERNELS["elu_forward"]
    right = kernel.spec.operation
    kernel.change(operation="y = x")
    try:
        assert said(kernel, dev([-1.0]), 0.5) == []
    finally:
        kernel.change(operation=right)
