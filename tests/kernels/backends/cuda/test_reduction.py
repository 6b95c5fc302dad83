"""Reductions over rows and columns of a device."""

import math

import numpy as np
import pytest
from helpers import host
from rowwise_helpers import agree, every_dtype, on, results, wide

from cunet import kernels
from cunet.kernels import KERNELS
from cunet.kernels.backends.cuda import reduction, reduction_text
from cunet.kernels.spec import Definition
from cunet.kernels.sum_to import sum_over
from cunet.ops import softmax


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


# -- how the work is cut; on the simulated device, whatever is tested


@pytest.mark.parametrize("shape", [(65536, 768), (65521, 768), (4099, 1000), (1 << 20, 1), (50000, 3)])
def test_columns_keep_a_gpu_busy_for_any_number_of_rows(shape, cp):
    kernel = KERNELS["moments"]
    x = cp.ndarray.__new__(cp.ndarray)
    x._a = np.broadcast_to(np.float32(0), shape)  # nothing is computed: only the launches count
    grids = planned(kernel, cp, x, (0,))
    assert math.prod(grids[0]) >= min(500, math.prod(shape) // 8192)
    assert math.prod(grids[0]) != 24
    assert len(grids) == 2


@pytest.mark.parametrize("shape", [(3, 1 << 20), (1, 1 << 24), (8, 99991)])
def test_few_long_rows_keep_a_gpu_busy(shape, cp):
    x = cp.ndarray.__new__(cp.ndarray)
    x._a = np.broadcast_to(np.float32(0), shape)
    grids = planned(KERNELS["softmax_stats"], cp, x, (1,))
    assert math.prod(grids[0]) >= 390
    assert len(grids) == 2


@pytest.mark.parametrize(
    ("shape", "axes"), [((48, 32), (0,)), ((256, 10), (0,)), ((8192, 1024), (1,)), ((512, 7), (1,))]
)
def test_one_launch_is_enough_where_results_are_many_or_values_few(shape, axes, cp):
    x = cp.ndarray.__new__(cp.ndarray)
    x._a = np.broadcast_to(np.float32(0), shape)
    assert len(planned(KERNELS["moments"], cp, x, axes)) == 1


def planned(kernel, cp, x, axes):
    """Return the grids that a reduction of one array would be launched with."""
    types = {"T": np.dtype(np.float32), "A": np.dtype(np.float32)}
    rest = [1e-5] * (len(kernel.spec.ins) - 1)
    lead = tuple(k for k in range(2) if k not in axes)
    how = reduction.Partition(
        axes == (0,),
        math.prod(x.shape[k] for k in axes),
        math.prod(x.shape[k] for k in lead),
        ("all", *["number"] * len(rest)),
        [None, *[np.float32] * len(rest)],
        [cp.empty(4, np.float32), *rest],
    )
    _, launches = reduction.fold(Definition(kernel.spec), cp, types, how)
    assert all(math.prod(launch.block) <= 1024 for launch in launches)
    return [launch.grid for launch in launches]


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
