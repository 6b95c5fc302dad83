"""Kernels run together on a block of rows at a time give what they give one after the other."""

import numpy as np
import pytest

import cunet
from cunet import functional as F
from cunet.kernels import KERNELS
from cunet.kernels.backends.native import native
from cunet.kernels.backends.numpy import blocks, tuning
from cunet.kernels.tiled import Tiled
from cunet.system import cpu

pytestmark = pytest.mark.cpu_only

KERNEL = {
    name: KERNELS[name] for name in ("moments", "normalize", "normalize_sums", "normalize_backward", "softmax_stats")
}
SHAPES = [(7, 300), (33, 1000), (4, 3, 500), (5, 2, 3, 70)]


@pytest.fixture(params=["numpy", "compiled", "no compiler"])
def route(request, monkeypatch):
    """Run on one route, with blocks so small that the arrays of these tests are cut."""
    if request.param == "compiled" and native.runtime() is None:
        pytest.skip("no C++ compiler that works")
    monkeypatch.setattr(native, "active", request.param != "numpy")
    if request.param == "no compiler":
        monkeypatch.setattr(native, "prepare", lambda kernel, char: False)
        for kernel in KERNELS.values():  # what was prepared for other tests
            monkeypatch.setattr(kernel, "prepared", {})
    monkeypatch.setattr(tuning, "tuning", tuning.Tuning(long=1, threaded=1, shared=600))
    return request.param


@pytest.fixture
def cuts(route, monkeypatch):
    """Return a list of how many calls were run together, for each time that any were."""
    seen = []
    for owner, name in ((native, "run_tiled"), (blocks, "rows")):
        inner = getattr(owner, name)

        def spy(calls, lead, inner=inner):
            done = inner(calls, lead)
            if done:
                seen.append(len(calls))
            return done

        monkeypatch.setattr(owner, name, spy)
    return seen


def data(rng, shape, dtype):
    return tuple(rng.normal(3, 2, shape).astype(dtype) for _ in range(2))


def forward(run, x, w):
    last = (x.ndim - 1,)
    mean, var, rstd = run(KERNEL["moments"], x, 1e-5, axis=last, keepdims=True)
    return mean, var, rstd, run(KERNEL["normalize"], x, mean, rstd, w, w)


def backward(run, g, x, mean, rstd, w):
    total, dot = run(KERNEL["normalize_sums"], g, x, mean, rstd, w, axis=(x.ndim - 1,), keepdims=True)
    return total, dot, run(KERNEL["normalize_backward"], g, x, mean, rstd, w, total, dot, 1 / x.shape[-1])


def plainly(kernel, *args, **axes):
    return kernel(*args, **axes)


def same(got, expected, route):
    """Compare: to the bit where each row is folded by the same code, else to rounding."""
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        if route == "compiled":
            assert a.tobytes() == b.tobytes()
        else:
            np.testing.assert_allclose(a, b, rtol=64 * np.finfo(a.dtype).eps, atol=64 * np.finfo(a.dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_norm_forward_and_backward(shape, dtype, route, cuts, rng):
    x, g = data(rng, shape, dtype)
    w = rng.uniform(0.5, 1, (1,) * (x.ndim - 1) + shape[-1:]).astype(dtype)
    with Tiled(x) as run:
        found = forward(run, x, w)
    assert cuts == [2]
    same(found, forward(plainly, x, w), route)
    cuts.clear()
    with Tiled(x) as run:
        back = backward(run, g, x, found[0], found[2], w)
    assert cuts == [2]
    same(back, backward(plainly, g, x, found[0], found[2], w), route)


def test_more_blocks_than_one(route, cuts, rng):
    x, _ = data(rng, (3000, 257), np.float32)
    w = np.ones((1, 257), np.float32)
    with Tiled(x) as run:
        found = forward(run, x, w)
    assert cuts == [2]
    same(found, forward(plainly, x, w), route)


def test_results_do_not_depend_on_the_number_of_threads(route, monkeypatch, rng):
    x, _ = data(rng, (900, 1100), np.float32)
    w = np.ones((1, 1100), np.float32)
    seen = set()
    for threads in (1, 2, 5):
        monkeypatch.setattr(native, "threads", threads)
        monkeypatch.setattr(cpu, "cores", lambda threads=threads: threads)
        with Tiled(x) as run:
            found = forward(run, x, w)
        seen.add(b"".join(a.tobytes() for a in found))
    assert len(seen) == 1


def test_columns_within_a_block_and_numbers(route, cuts, rng):
    x, g = data(rng, (6, 40, 30), np.float32)
    with Tiled(x) as run:
        total, dot = run(KERNEL["normalize_sums"], g, x, 0.5, 2.0, 1.0, axis=(1,), keepdims=True)
    assert cuts == [1]
    same((total, dot), KERNEL["normalize_sums"](g, x, 0.5, 2.0, 1.0, axis=(1,), keepdims=True), route)


def test_a_reduction_over_the_first_axis_is_run_whole(route, cuts, rng):
    x, _ = data(rng, (50, 30), np.float32)
    with Tiled(x) as run:
        found = run(KERNEL["moments"], x, 1e-5, axis=(0,), keepdims=True)
    assert cuts == []
    np.testing.assert_allclose(found[0], x.mean(0, keepdims=True), rtol=1e-5)


def test_a_layout_that_only_numpy_knows(route, rng):
    x = np.asfortranarray(rng.normal(size=(40, 6, 5)).astype(np.float32))
    with Tiled(x) as run:
        mean, var, rstd = run(KERNEL["moments"], x, 1e-5, axis=(1, 2), keepdims=True)
        y = run(KERNEL["normalize"], x, mean, rstd, 1.0, 0.0)
    np.testing.assert_allclose(var, x.var((1, 2), keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-5)


def test_what_cannot_wait_finds_what_it_reads(route, cuts, rng):
    x, _ = data(rng, (40, 60), np.float32)
    with Tiled(x) as run:
        mean, _, rstd = run(KERNEL["moments"], x, 1e-5, axis=(1,), keepdims=True)
        y = run(KERNEL["normalize"], x.astype(np.float16), mean, rstd, 1.0, 0.0)
    assert cuts == [1]
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.std(1), 1, atol=0.02)


def test_a_kernel_without_a_compiled_body_finds_what_it_reads(route, cuts, monkeypatch, rng):
    x, _ = data(rng, (40, 60), np.float32)
    expected = forward(plainly, x, np.ones((1, 60), np.float32))
    cuts.clear()
    monkeypatch.setattr(KERNEL["normalize"], "prepared", {"f": False})
    with Tiled(x) as run:
        found = forward(run, x, np.ones((1, 60), np.float32))
    assert cuts == ([1] if route == "compiled" else [2])
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_an_error_inside_is_the_one_that_comes_out(route, cuts, rng):
    x, _ = data(rng, (40, 60), np.float32)
    with pytest.raises(KeyError, match="mine"), Tiled(x) as run:
        run(KERNEL["moments"], x, 1e-5, axis=(1,), keepdims=True)
        raise KeyError("mine")
    assert cuts == []


@pytest.mark.parametrize("lead", [lambda x: None, lambda x: x[0], lambda x: x[:1]])
def test_what_has_no_rows_is_run_at_once(lead, route, cuts, rng):
    x, _ = data(rng, (40, 60), np.float32)
    with Tiled(lead(x)) as run:
        found = run(KERNEL["softmax_stats"], x, axis=1, keepdims=True)
        assert cuts in ([], [1])  # a long reduction alone is cut by the dispatcher
        np.testing.assert_array_equal(found[0], x.max(1, keepdims=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_loss_looks_up_each_row_of_its_own_block(smoothing, route, cuts, monkeypatch, rng):
    x, t = cunet.tensor(rng.normal(size=(90, 1000)).astype(np.float32), requires_grad=True), rng.integers(0, 1000, 90)
    loss = F.cross_entropy(x, t, label_smoothing=smoothing, reduction="none")
    assert cuts == [3 if smoothing else 2]
    monkeypatch.setattr(tuning, "tuning", tuning.Tuning(long=1 << 40, threaded=1 << 40, shared=600))
    same([loss.data], [F.cross_entropy(x, t, label_smoothing=smoothing, reduction="none").data], route)


@pytest.mark.parametrize("trained", [True, False])
def test_a_layer_norm_sums_for_its_parameters_on_the_way(trained, route, cuts, rng):
    x = cunet.tensor(rng.normal(2, 3, (512, 300)).astype(np.float32), requires_grad=True)
    w, b = (
        cunet.tensor(rng.normal(size=300).astype(np.float32), requires_grad=True) if trained else None for _ in "wb"
    )
    g = rng.normal(size=x.shape).astype(np.float32)
    F.layer_norm(x, 300, w, b).backward(g)
    assert cuts[:2] == [2, 3 if trained else 2]
    wide = x.data.astype(np.float64)
    hat = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5)
    gw = g * (w.data if trained else 1.0)
    gx = gw - gw.mean(1, keepdims=True) - hat * (gw * hat).mean(1, keepdims=True)
    gx /= np.sqrt(wide.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(x.grad, gx, rtol=1e-4, atol=1e-5)
    if trained:
        np.testing.assert_allclose(w.grad, (g * hat).sum(0), rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(b.grad, g.sum(0, dtype=np.float64), rtol=1e-4, atol=1e-3)
