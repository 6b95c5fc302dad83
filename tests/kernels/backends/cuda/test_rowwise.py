"""Kernels that work row by row (`cunet.rowwise`), and reductions over rows and columns of a device."""

import math

import ml_dtypes
import numpy as np
import pytest
from helpers import host

import sim
from cunet import kernels
from cunet.device import is_gpu_array
from cunet.kernels import KERNELS
from cunet.kernels.backends.cuda import broadcast, lanes, reduction, reduction_text, tuning
from cunet.kernels.backends.cuda.tuning import Tuning
from cunet.kernels.spec import Definition
from cunet.kernels.sum_to import sum_over
from cunet.ops import softmax
from cunet.ops.loss import label_kernels
from cunet.ops.norm import kernels as norm_kernels

FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
TOLERANCE = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 2e-5, "float64": 1e-13}
SHAPES = [(1, 1), (37, 1), (5, 2), (5, 7), (3, 31), (2, 33), (9, 128), (3, 1000), (1, 1003), (2, 5000)]
every_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: np.dtype(d).name)


def wide(dtype):
    return np.float64 if dtype == np.float64 else np.float32


def arguments(name, rng, shape, dtype):
    """The arguments of a kernel for rows of `shape`, on the host."""
    lead, length = (*shape[:-1], 1), shape[-1]

    def data(low=-2.0, high=2.0):
        return rng.uniform(low, high, shape).astype(dtype)

    def factor(size, low=0.5, high=2.0):
        return rng.uniform(low, high, size).astype(wide(dtype))

    labels = rng.integers(0, length, lead)
    kept = factor(lead) * (rng.random(lead) < 0.8).astype(wide(dtype))
    return {
        "softmax_rows": lambda: (data(-9, 9),),
        "softmax_rows_backward": lambda: (data(), data(0, 1)),
        "log_softmax_rows": lambda: (data(-9, 9),),
        "log_softmax_rows_backward": lambda: (data(), data(-3, 0)),
        "label_loss_rows": lambda: (data(-9, 9), np.where(labels == 1, -100, labels), factor(lead), -100),
        "label_rows_backward": lambda: (data(), labels, factor(lead, 2, 3), factor(lead), kept, factor(())),
        "norm_rows": lambda: (data(3, 5), factor((1, length)), factor((1, length), -1, 1), 1e-3),
        "rms_rows": lambda: (data(), factor((1, length)), 1e-3),
        "norm_rows_backward": lambda: (data(), data(), factor(lead, -1, 1), factor(lead), factor((1, length)), 1.0),
    }[name]()


ROWWISE = sorted(k.name for k in KERNELS.values() if k.spec.kind == "rowwise")


def results(kernel, args, **kw):
    found = kernel(*args, **kw)
    return [host(y) for y in (found if isinstance(found, tuple) else (found,))]


def agree(actual, args, kernel, dtype, **kw):
    """Compare with the NumPy body in float64."""
    exact = [a.astype(np.float64) if getattr(a, "dtype", None) in (dtype, wide(dtype)) else a for a in args]
    for param, y, e in zip(kernel.spec.outs, actual, results(kernel, exact, **kw), strict=True):
        assert y.shape == e.shape
        assert y.dtype == (dtype if param.type == "T" else wide(dtype))
        scale = max(1.0, float(np.nanmax(np.abs(e), initial=0)))
        np.testing.assert_allclose(y.astype(np.float64), e, rtol=0, atol=TOLERANCE[np.dtype(dtype).name] * scale)


def on(dev, args):
    return [dev(a) if isinstance(a, np.ndarray) else a for a in args]


@every_dtype
@pytest.mark.parametrize("name", ROWWISE)
def test_rows_of_any_length(name, dtype, rng, dev):
    kernel = KERNELS[name]
    for shape in SHAPES:
        args = arguments(name, rng, shape, dtype)
        agree(results(kernel, on(dev, args)), args, kernel, dtype)


@pytest.mark.parametrize("name", ROWWISE)
def test_rows_of_nothing_and_no_rows(name, rng, dev):
    kernel = KERNELS[name]
    for shape in ((0, 5), (2, 0, 3)):
        args = arguments(name, rng, shape, np.float32)
        for param, y in zip(kernel.spec.outs, results(kernel, on(dev, args)), strict=True):
            assert y.shape == (shape if param.place == "" else (*shape[:-1], 1))


@pytest.mark.parametrize("name", ROWWISE)
def test_rows_with_nan_and_infinities_are_those_of_numpy(name, rng, dev):
    kernel = KERNELS[name]
    args = arguments(name, rng, (8, 37), np.float32)
    x = args[1 if name == "norm_rows_backward" else 0]
    x[0, 3], x[1, 0], x[2, 36], x[3, 5] = math.nan, math.inf, -math.inf, math.inf
    x[3, 6], x[4, :], x[5, :] = -math.inf, -math.inf, math.nan
    if name == "label_rows_backward":  # as the forward pass leaves them
        _, _, args[2][...], args[3][...] = label_kernels.label_loss_rows(x, args[1], args[4], -100)
    pairs = zip(results(kernel, on(dev, args)), results(kernel, args), strict=True)
    for y, e in [next(pairs)] if name == "norm_rows" else pairs:  # a mean of infinities depends on the order
        np.testing.assert_allclose(y, e, rtol=1e-5, atol=1e-5)


def test_statistics_keep_what_rounding_takes_from_the_mean(rng, dev):
    """Numbers of four neighbouring floats: the mean of their sum is off by as much as they differ."""
    x = (4096 + rng.integers(0, 4, (5, 3000)) * 2.0**-11).astype(np.float32)
    _, mean, var, rstd = (host(a) for a in norm_kernels.norm_rows(dev(x), 1.0, 0.0, 0.0))
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean[:, 0], exact.mean(axis=1), rtol=6e-8)
    np.testing.assert_allclose(var[:, 0], exact.var(axis=1), rtol=1e-5)
    np.testing.assert_allclose(rstd[:, 0], exact.std(axis=1) ** -1, rtol=1e-5)


def test_a_variance_is_never_negative(rng, dev, monkeypatch):
    """Rounding leaves less than nothing of equal numbers, where few threads add them up."""
    monkeypatch.setattr(tuning, "tuning", Tuning(row_lanes=1))
    x = np.tile(rng.uniform(0.1, 10, (60, 1)).astype(np.float32), 3001)
    _, _, var, rstd = (host(a) for a in norm_kernels.norm_rows(dev(x), 1.0, 0.0, 0.0))
    assert (var >= 0).all()
    assert (var <= 1e-10).all()
    assert (rstd > 0).all()


@every_dtype
def test_numbers_and_single_values_for_rows_and_places(dtype, rng, dev):
    kernel, (gy, x, mean, rstd, weight, _) = (
        KERNELS["norm_rows_backward"],
        arguments("norm_rows_backward", rng, (6, 40), dtype),
    )
    for args in (
        (gy, x, 0.5, rstd, 2.0, 1.0),
        (gy, x, 0.0, rstd, weight, 0.0),
        (gy, x, mean, rstd[:1], weight[:, :1].reshape(()), 1.0),
    ):
        agree(results(kernel, on(dev, args)), args, kernel, dtype)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("groups", [1, 3])
@every_dtype
def test_places_that_share_a_factor(groups, axes, dtype, rng, dev):
    """As in group norm: (N, groups, channels of a group, positions), a weight for each channel."""
    x = rng.uniform(3, 5, (4, groups, 6, 10)[: axes + 2]).astype(dtype)
    shape = (1, groups, 6, 1)[: axes + 2]
    weight, bias = (rng.uniform(-1, 2, shape).astype(wide(dtype)) for _ in range(2))
    args = (x, weight, bias, 1e-3)
    inner = 10 if axes == 2 else 1
    found = norm_kernels.norm_rows(*on(dev, args), axes=axes, cells=(groups, inner))
    agree([host(y) for y in found], args, norm_kernels.norm_rows, dtype, axes=axes)


@every_dtype
def test_rows_that_begin_between_two_loads(dtype, rng, dev):
    flat = rng.uniform(-2, 2, 5 * 64 + 1).astype(dtype)
    x = flat[1:].reshape(5, 64)
    on_device = dev(flat)[1:].reshape(5, 64)
    agree(results(softmax.softmax_rows, [on_device]), (x,), softmax.softmax_rows, dtype)
    transposed = results(softmax.softmax_rows, [dev(np.ascontiguousarray(x.T)).T])
    agree(transposed, (x,), softmax.softmax_rows, dtype)


@every_dtype
def test_factors_that_begin_between_two_loads(dtype, rng, dev):
    x = rng.uniform(3, 5, (5, 64)).astype(dtype)
    flat = rng.uniform(0.5, 2, 130).astype(wide(dtype))
    args = (x, flat[1:65].reshape(1, 64), flat[66:].reshape(1, 64), 1e-3)
    moved = dev(flat)
    found = norm_kernels.norm_rows(dev(x), moved[1:65].reshape(1, 64), moved[66:].reshape(1, 64), 1e-3)
    agree([host(y) for y in found], args, norm_kernels.norm_rows, dtype)


def test_integers_are_refused_in_the_name_of_the_op(dev):
    with pytest.raises(TypeError, match="softmax: "):
        softmax.softmax(dev(np.arange(6).reshape(2, 3)))


# -- reductions


def reductions():
    """Kernel, and its arguments for values of a shape whose axes `axis` are folded."""

    def kept(shape, axis):
        return tuple(1 if k in axis else n for k, n in enumerate(shape))

    def data(rng, shape, dtype):
        return rng.uniform(-2, 3, shape).astype(dtype)

    def factor(rng, shape, dtype):
        return rng.uniform(0.5, 2, shape).astype(wide(dtype))

    yield "moments", lambda r, s, a, t: (data(r, s, t), 1e-3)
    yield "reciprocal_rms", lambda r, s, a, t: (data(r, s, t), 0.25, 1e-3)
    yield "join_moments", lambda r, s, a, t: (data(r, s, wide(t)), factor(r, s, t), 1e-3)
    yield (
        "normalize_sums",
        lambda r, s, a, t: (data(r, s, t), data(r, s, t), factor(r, kept(s, a), t), factor(r, kept(s, a), t), 1.5),
    )
    yield "softmax_stats", lambda r, s, a, t: (data(r, s, t),)
    yield "logsumexp_forward", lambda r, s, a, t: (data(r, s, t),)
    yield "softmax_dot", lambda r, s, a, t: (data(r, s, t), data(r, s, t))
    yield "label_mean", lambda r, s, a, t: (data(r, s, wide(t)), factor(r, s, t))
    yield "sum_elements", lambda r, s, a, t: (data(r, s, t),)
    yield "weighted_gap", lambda r, s, a, t: (data(r, s, t), factor(r, kept(s, a), t), factor(r, s[-1:], t))


REDUCTIONS = dict(reductions())
LAYOUTS = [((1, 1), 0), ((7, 33), 0), ((1009, 5), 0), ((300, 70), 0), ((1, 40), 0), ((6, 5, 7), 0), ((5, 1), 0)]
LAYOUTS += [((7, 33), 1), ((3, 5000), 1), ((1, 3001), 1), ((700, 10), 1), ((6, 5, 8), 2), ((40, 1), 1)]
LAYOUTS += [((6, 5, 8), (1, 2)), ((6, 5, 8), (0, 1)), ((70, 31), (0, 1)), ((6, 5, 8), 1), ((6, 5, 8), (0, 2))]


@every_dtype
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_over_any_axes(name, dtype, rng, dev):
    kernel = KERNELS[name]
    for shape, axis in LAYOUTS:
        axes = axis if isinstance(axis, tuple) else (axis,)
        args = REDUCTIONS[name](rng, shape, axes, dtype)
        used = wide(dtype) if name in ("join_moments", "label_mean") else dtype
        agree(results(kernel, on(dev, args), axis=axes, keepdims=True), args, kernel, used, axis=axes, keepdims=True)


@every_dtype
def test_sums_over_any_axes(dtype, rng, dev):
    for shape, axes in (
        *[((7, 5, 6, 4), axes) for axes in ((0,), (3,), (0, 1), (2, 3), (0, 3), (0, 2), (1,), (0, 1, 2, 3), ())],
        *[((1, 9, 1, 4), axes) for axes in ((0,), (0, 1), (1, 2), (3,), (0, 2))],
        ((1009, 3), (0,)), ((0, 3), (0,)), ((3, 0), (0,)), ((1, 1), (0, 1)), ((3, 700), (1,)),
    ):  # fmt: skip
        x = rng.uniform(-1, 1, shape).astype(dtype)
        for keepdims in (True, False):
            y = host(sum_over(dev(x), axes, keepdims))
            assert y.dtype == wide(dtype)
            expected = x.astype(np.float64).sum(axis=axes, keepdims=keepdims)
            assert y.shape == expected.shape
            np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-4)


# -- elementwise kernels whose arguments are broadcast along rows or across them

BROADCAST = {
    "values for channels of images": ((6, 5, 48), (1, 5, 1), "row"),
    "values for samples": ((6, 5, 48), (6, 1, 1), "row"),
    "values for samples and channels": ((6, 5, 48), (6, 5, 1), "row"),
    "values for columns": ((30, 48), (48,), "col"),
    "values for pixels": ((6, 4, 4, 12), (4, 12), "col"),
    "values for the inner channels": ((2, 3, 5, 48), (1, 3, 1, 1), "row"),
    "odd rows": ((6, 5, 31), (1, 5, 1), "row"),
}


@pytest.fixture
def short(monkeypatch):
    """Broadcast arrays of any size are worth a kernel over rows."""
    monkeypatch.setattr(tuning, "tuning", Tuning(broadcast=0))


@every_dtype
@pytest.mark.parametrize("name", BROADCAST)
def test_broadcast_arguments(name, dtype, rng, dev, short):
    shape, part, place = BROADCAST[name]
    x, gy = (rng.uniform(-2, 2, shape).astype(dtype) for _ in range(2))
    mean, rstd, weight, bias, total = (rng.uniform(0.5, 2, part).astype(wide(dtype)) for _ in range(5))
    for kernel, args in (
        (norm_kernels.normalize, (x, mean, rstd, weight, bias)),
        (norm_kernels.normalize, (x, 0.5, rstd, 1.0, 0.0)),
        (norm_kernels.normalize, (x, mean.mean(keepdims=True), rstd, weight.reshape(-1)[0].reshape(()), 0.0)),
        (norm_kernels.normalize_backward, (gy, x, mean, rstd, weight, total, bias, 0.125)),
        (KERNELS["leaky_relu_backward"], (gy, x, weight)),
        (KERNELS["drop_channels"], (x, (weight > 1).astype(wide(dtype)), 2.0, 0.25, -0.5)),
    ):
        plan = broadcast.plan(kernel, on(dev, args)) if is_gpu_array(dev(x)) else None
        if plan:
            assert place in [p.place for p in plan.text.ins]
        assert plan or not is_gpu_array(dev(x))
        agree(results(kernel, on(dev, args)), args, kernel, dtype)


@pytest.mark.parametrize(
    ("shape", "parts"),
    [
        ((64, 64), [(64, 64)]),  # nothing is broadcast, and there are few elements
        ((64, 64), [()]),
        ((64, 8), [(8,)]),  # rows of a few elements
        ((8, 6, 64), [(8, 1, 64)]),  # neither along rows nor across them
        ((8, 6, 64), [(1, 6, 1), (8, 1, 64)]),
        ((2, 100000), [(2, 1)]),  # fewer rows than a GPU has processors
    ],
)
def test_what_gives_no_good_rows_is_left_to_cupy(shape, parts, rng, dev, short):
    x = dev(rng.standard_normal(shape).astype(np.float32))
    others = [dev(rng.standard_normal(p).astype(np.float32)) for p in (parts * 2)[:2]]
    assert broadcast.plan(norm_kernels.normalize, (x, others[0], others[1], 1.0, 0.0)) is None


@every_dtype
@pytest.mark.parametrize("size", [1, 31, 2048, 4096, 5000, 8192 + 16, 20001])
def test_many_elements_in_rows_of_a_block(size, dtype, rng, dev, monkeypatch):
    monkeypatch.setattr(tuning, "tuning", Tuning(broadcast=0, flat=0))
    x, gy = (rng.uniform(-3, 3, size).astype(dtype) for _ in range(2))
    g = rng.uniform(1, 2, ()).astype(wide(dtype))
    for name, args in (
        ("elu_forward", (x, 0.5)),
        ("elu_backward", (gy, x, 0.5)),
        ("gelu_backward", (gy, x)),
        ("mse_forward", (x, gy)),
        ("mse_backward", (g, x, gy)),
        ("mse_backward", (rng.uniform(1, 2, size).astype(wide(dtype)), x, gy)),
    ):
        kernel = KERNELS[name]
        if size > 1 and is_gpu_array(dev(x)):
            assert broadcast.plan(kernel, on(dev, args)).shape.total == size
        agree(results(kernel, on(dev, args)), args, kernel, dtype)
        if size > 4096:
            agree(results(kernel, [a[1:] if getattr(a, "ndim", 0) else a for a in on(dev, args)]),
                  [a[1:] if getattr(a, "ndim", 0) else a for a in args], kernel, dtype)  # fmt: skip


def test_strided_data_is_left_to_cupy(rng, dev, short):
    x, mean = dev(rng.standard_normal((64, 32)).astype(np.float32)), dev(np.ones(64, np.float32))
    assert broadcast.plan(norm_kernels.normalize, (x.T, mean, 1.0, 1.0, 0.0)) is None
    assert broadcast.plan(norm_kernels.normalize, (x.reshape(32, 64), mean, 1.0, 1.0, 0.0))


def test_a_few_elements_are_left_to_cupy(dev):
    x, mean = dev(np.ones((64, 64), np.float32)), dev(np.ones(64, np.float32))
    assert broadcast.plan(norm_kernels.normalize, (x, mean, 1.0, 1.0, 0.0)) is None


# -- how the work is cut; on the simulated device, whatever is tested

FORMS = {"held": {}, "read again": {"held": 0}, "a few lanes": {"row_lanes": 64}, "two loads": {"held": 2}}


@pytest.fixture
def cp():
    namespace = sim.namespace_or_skip()
    sim.install()
    yield namespace
    sim.uninstall()


@pytest.mark.parametrize("threads", [1, 32])
@pytest.mark.parametrize("form", FORMS)
def test_rows_come_out_the_same_however_they_are_cut(form, threads, rng, cp, monkeypatch):
    from sim.state import block

    monkeypatch.setattr(tuning, "tuning", Tuning(**FORMS[form]))
    for shape in ((3, 31), (5, 64), (2, 1000), (1, 5001)):
        for name in ROWWISE:
            args = arguments(name, rng, shape, np.float32)
            with block(threads):  # 32: warps and threads in reverse
                found = results(KERNELS[name], on(cp.asarray, args))
            agree(found, args, KERNELS[name], np.float32)


IN_ROWS = sorted(n for n, k in KERNELS.items() if k.spec.kind == "elementwise" and broadcast.fits(k.spec))


@pytest.mark.parametrize("name", IN_ROWS)
def test_every_elementwise_kernel_gives_the_same_in_rows(name, rng, cp, monkeypatch):
    kernel = KERNELS[name]
    monkeypatch.setattr(tuning, "tuning", Tuning(broadcast=0))
    args = [
        cp.asarray(rng.uniform(0.1, 0.9, (3, 64)).astype(np.float16)) if p.type == "T"
        else cp.asarray(rng.uniform(0.1, 0.9, (3, 1)).astype(np.float32)) if p.type == "A" else 1
        for p in kernel.spec.ins
    ]  # fmt: skip
    monkeypatch.setattr(tuning, "tuning", Tuning(broadcast=0, flat=0))
    assert broadcast.plan(kernel, args)
    found = results(kernel, args)
    monkeypatch.setattr(tuning, "tuning", Tuning(broadcast=1 << 20, flat=0))
    assert broadcast.plan(kernel, args) is None
    for y, e in zip(found, results(kernel, args), strict=True):
        assert y.dtype == e.dtype
        np.testing.assert_array_equal(y, e)


@pytest.mark.parametrize("shape", [(65536, 768), (65521, 768), (4099, 1000), (1 << 20, 1), (50000, 3)])
def test_columns_keep_a_gpu_busy_for_any_number_of_rows(shape, cp, monkeypatch):
    kernel = KERNELS["moments"]
    x = cp.ndarray.__new__(cp.ndarray)
    x._a = np.broadcast_to(np.float32(0), shape)  # nothing is computed: only the launches count
    grids = planned(kernel, cp, x, (0,), monkeypatch)
    assert math.prod(grids[0]) >= min(500, math.prod(shape) // 8192)
    assert math.prod(grids[0]) != 24
    assert len(grids) == 2


@pytest.mark.parametrize("shape", [(3, 1 << 20), (1, 1 << 24), (8, 99991)])
def test_few_long_rows_keep_a_gpu_busy(shape, cp, monkeypatch):
    x = cp.ndarray.__new__(cp.ndarray)
    x._a = np.broadcast_to(np.float32(0), shape)
    grids = planned(KERNELS["softmax_stats"], cp, x, (1,), monkeypatch)
    assert math.prod(grids[0]) >= 390
    assert len(grids) == 2


@pytest.mark.parametrize(
    ("shape", "axes"), [((48, 32), (0,)), ((256, 10), (0,)), ((8192, 1024), (1,)), ((512, 7), (1,))]
)
def test_one_launch_is_enough_where_results_are_many_or_values_few(shape, axes, cp, monkeypatch):
    x = cp.ndarray.__new__(cp.ndarray)
    x._a = np.broadcast_to(np.float32(0), shape)
    assert len(planned(KERNELS["moments"], cp, x, axes, monkeypatch)) == 1


def planned(kernel, cp, x, axes, monkeypatch):
    """Return the grids that a reduction of one array would be launched with."""
    grids = []

    class Program:
        def __call__(self, grid, block, args):
            assert math.prod(block) <= 1024
            grids.append(grid)

    spied = Definition(kernel.spec)
    monkeypatch.setattr(reduction, "program", lambda *args: Program())
    types = {"T": np.dtype(np.float32), "A": np.dtype(np.float32)}
    rest = [1e-5] * (len(kernel.spec.ins) - 1)
    lead = tuple(k for k in range(2) if k not in axes)
    how = reduction.Plan(axes == (0,), math.prod(x.shape[k] for k in axes), math.prod(x.shape[k] for k in lead),
                       ("all", *["number"] * len(rest)), [cp.empty(4, np.float32), *rest])  # fmt: skip
    reduction.fold(spied, cp, types, how, [])
    return grids


def test_what_lies_strided_in_memory_is_left_to_cupy(cp, rng):
    x = cp.asarray(rng.standard_normal((6, 8)).astype(np.float32))
    kernel, types = KERNELS["softmax_dot"], {"T": np.dtype(np.float32), "A": np.dtype(np.float32)}
    assert reduction.plan(kernel, cp, (x, x), types, [1])
    assert reduction.plan(kernel, cp, (x.T, x.T), types, [1]) is None
    np.testing.assert_allclose(
        softmax.softmax_dot(x.T, x.T, axis=1, keepdims=False).get(), (host(x) ** 2).sum(0), rtol=1e-6
    )


def test_a_reduction_that_asks_cupy_for_sizes_is_left_to_it(cp, rng):
    @kernels.reduction(
        "T in_x", "T out_y", map="A(in_x)", reduce="a + b", post="out_y = a / A(_in_ind.size() / _out_ind.size())",
        identity="0",
    )  # fmt: skip
    def row_means(in_x, axis, keepdims):
        return in_x.mean(axis=axis, keepdims=keepdims)

    x = rng.standard_normal((6, 8))
    np.testing.assert_allclose(row_means(cp.asarray(x), axis=1).get(), x.mean(axis=1))


# -- mistakes that must be seen

PLANTED_ROWS = {
    "first barrier": ("__syncthreads();  // all", "// all"),
    "second barrier": ("&mine, sizeof(S));\n  __syncthreads();", "&mine, sizeof(S));"),
    "shuffle": ("words[k], step)", "words[k], 1)"),
    "warps": ("lanes >> 5", "lanes >> 6"),
    "last step": ("step < warps", "step < 2"),
}


def errors_of_rows(cp, rng):
    """The largest error of kernels that join one value after another, in both orders of threads."""
    from sim.state import block

    found = []
    for name in ("softmax_rows", "norm_rows", "log_softmax_rows"):
        args = arguments(name, rng, (3, 2048), np.float32)
        KERNELS[name].prepared.clear()
        for threads in (1, 32):
            with block(threads), np.errstate(all="ignore"):
                y = results(KERNELS[name], on(cp.asarray, args))[0]
            found.append(np.abs(y - results(KERNELS[name], args)[0]).max())
        KERNELS[name].prepared.clear()
    return found


def test_rows_are_right_before_anything_is_planted(cp, rng):
    assert max(errors_of_rows(cp, rng)) < 1e-4


@pytest.mark.parametrize("mistake", PLANTED_ROWS)
def test_a_mistake_in_the_joining_of_rows_is_caught(mistake, cp, rng, monkeypatch):
    right, wrong = PLANTED_ROWS[mistake]
    assert lanes._JOIN.count(right) == 1 or mistake == "shuffle"
    monkeypatch.setattr(lanes, "_JOIN", lanes._JOIN.replace(right, wrong))
    assert not max(errors_of_rows(cp, rng)) < 1e-3  # nan counts as caught


PLANTED_COLUMNS = {
    "barrier": ("&a, sizeof(S));\n    __syncthreads();", "&a, sizeof(S));"),
    "halves": ("_half = 4", "_half = 2"),
    "rows of threads": ("_at += 8", "_at += 4"),
    "part": ("blockIdx.y * _chunk", "blockIdx.x * _chunk"),
}


def error_of_columns(cp, rng):
    from sim.state import block

    x, found = rng.uniform(1, 2, (5000, 40)), []
    kernel = KERNELS["moments"]
    for threads in (1, 32):
        kernel.prepared.clear()
        with block(threads):
            found.append(np.abs(host(kernel(cp.asarray(x), 0.0, axis=(0,), keepdims=False)[1]) - x.var(axis=0)).max())
    kernel.prepared.clear()
    return max(found)


def test_columns_are_right_before_anything_is_planted(cp, rng):
    assert error_of_columns(cp, rng) < 1e-12


@pytest.mark.parametrize("mistake", PLANTED_COLUMNS)
def test_a_mistake_in_columns_is_caught(mistake, cp, rng, monkeypatch):
    right, wrong = PLANTED_COLUMNS[mistake]
    assert reduction_text._COLUMNS.count(right) == 1
    monkeypatch.setattr(reduction_text, "_COLUMNS", reduction_text._COLUMNS.replace(right, wrong))
    assert not error_of_columns(cp, rng) < 1e-9
