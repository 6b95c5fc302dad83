"""Compiled reductions, and factors along a row, agree with the NumPy bodies."""

import itertools
import math

import numpy as np
import pytest
from compiled_helpers import SHAPES, close, launcher, ours, values
from helpers import turn
from native_helpers import needs_compiler, wide_floats

from cunet.kernels import KERNELS

pytestmark = pytest.mark.cpu_only

REDUCTIONS = ours("reduction")


DTYPES = (np.float32, np.float64)
#: Shapes of the data, and the axes that are summed.
FOLDS = [
    ((1,), (0,)), ((7,), (0,)), ((1000,), (0,)), ((5, 3), (1,)), ((5, 3), (0,)), ((5, 3), (0, 1)),
    ((3, 1000), (1,)), ((1000, 3), (0,)), ((4, 600), (0,)), ((2, 3, 5), (1,)), ((2, 3, 5), (0, 1)),
    ((2, 3, 5), (1, 2)), ((3, 200, 7), (1,)), ((2, 3, 129), (2,)), ((300, 4, 2), (2,)),
]  # fmt: skip


def agrees(kernel, shape, axes, dtype, rng):
    if kernel.name in ("softmax_stats", "logsumexp_forward") and len(axes) > 1:
        axes = axes[:1]
    kept = tuple(1 if k in axes else n for k, n in enumerate(shape))
    args = []
    for p in kernel.spec.ins:
        number = p.name.startswith("extra") or p.name in ("in_keep", "in_spread")
        args.append(0.5 if number else values(p, shape if p.type == "T" else kept, dtype, rng))
    call = launcher(kernel, dtype)
    got = call(*args, axis=axes, keepdims=True)
    assert got is not NotImplemented
    expected = kernel.body(*args, axis=axes if len(axes) > 1 or "norm" in kernel.__module__ else axes[0], keepdims=True)
    close(got, expected, dtype, 32 + math.prod(shape) / 50)
    flat = call(*args, axis=axes, keepdims=False)
    for a, b in zip(got if isinstance(got, tuple) else [got], flat if isinstance(flat, tuple) else [flat], strict=True):
        assert a.tobytes() == b.tobytes()


@needs_compiler
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_agree_with_numpy(name, on, rng):
    for dtype, (shape, axes) in itertools.product(DTYPES, FOLDS):
        with turn(dtype, shape, axes):
            agrees(KERNELS[name], shape, axes, dtype, rng)


COLUMNS = [n for n in (*ours("elementwise"), *REDUCTIONS) if any(p.place == "col" for p in KERNELS[n].spec.ins)]
NUMBERS = {"in_keep", "in_spread", "scale", "keep", "spread", "total", "g"}


def agrees_along_rows(kernel, other, shape, dtype, rng):
    special = {
        "t": rng.integers(0, shape[-1], SHAPES["column"](shape)), "c": np.arange(shape[-1]), "ignored": 1, "p": 2,
        **{name: 0.5 for name in NUMBERS},
    }  # fmt: skip
    args = []
    for k, p in enumerate(kernel.spec.ins):
        place = "full" if p.type == "T" else "row" if p.place == "col" else other
        args.append(special[p.name] if p.name in special else values(p, SHAPES[place](shape), dtype, rng) + k)
        if isinstance(args[-1], np.ndarray) and p.type in ("T", "A"):
            args[-1] = args[-1].astype(dtype) / 4
    fold = (len(shape) - 1,) if other == "column" else tuple(range(len(shape) - 1))
    axes = {"axis": fold, "keepdims": True} if kernel.spec.kind == "reduction" else {}
    got = launcher(kernel, dtype)(*args, **axes)
    assert got is not NotImplemented
    with np.errstate(all="ignore"):
        expected = kernel.body(*args, **axes)
    close(got, expected, dtype, 32 + shape[-1] / 50)


@needs_compiler
@pytest.mark.parametrize("name", COLUMNS)
def test_factors_along_a_row_beside_numbers(name, on, rng):
    kernel = KERNELS[name]
    others = ("column", "row") if "norm" in kernel.__module__ else ("column",)  # the rest are about rows
    for dtype, shape, other in itertools.product(DTYPES, [(5, 7), (3, 40), (2, 3, 300), (4, 9000)], others):
        with turn(dtype, shape, other):
            agrees_along_rows(kernel, other, shape, dtype, rng)


@needs_compiler
@wide_floats
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", ["moments", "join_moments", "softmax_stats", "logsumexp_forward"])
def test_what_is_folded_twice_agrees_at_the_edges(name, axis, dtype, on, rng):
    kernel = KERNELS[name]
    x = rng.normal(size=(13, 200)).astype(dtype)
    for row, (place, value) in enumerate(
        [(0, np.nan), (63, np.inf), (64, -np.inf), (199, np.nan), (198, -np.inf), (100, np.finfo(dtype).max)]
    ):
        x[row, place] = value
    x[6], x[7], x[8, :100], x[9] = -np.inf, 3.0, np.inf, 4096 + x[9]
    x[10, [5, 70, 140]] = 9.0  # ties in several lanes
    x = np.ascontiguousarray(x.T) if axis == 0 else x
    args = [x, np.abs(x)] if name == "join_moments" else [x]
    args += [1e-5] * (len(kernel.spec.ins) - len(args))
    axes = (axis,) if "moments" in name else axis
    got = launcher(kernel, dtype)(*args, axis=axes, keepdims=True)
    with np.errstate(all="ignore"):
        expected = kernel.body(*args, axis=axes, keepdims=True)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=256 * np.finfo(dtype).eps)


@needs_compiler
@pytest.mark.parametrize("axis", [0, 1])
def test_a_compiled_variance_is_never_negative(axis, on, rng):
    x = np.repeat(rng.uniform(0.1, 10, (3000, 1)).astype(np.float32), 777, axis=1)  # equal numbers: rounding is all
    x = np.ascontiguousarray(x.T) if axis == 0 else x
    _, var, rstd = launcher(KERNELS["moments"], "f")(x, 0.0, axis=(axis,), keepdims=True)
    assert (var >= 0).all()
    assert (var <= 1e-9).all()
    assert (rstd > 0).all()


@needs_compiler
@pytest.mark.parametrize("axes", [(0, 2), (0, 1, 3)])
def test_axes_that_are_no_neighbours_stay_with_numpy(axes, on, rng):
    x = rng.normal(size=(2, 3, 4, 5))
    call = launcher(KERNELS["softmax_dot"], "d")
    assert call(x, x, axis=axes, keepdims=True) is NotImplemented
    np.testing.assert_allclose(KERNELS["softmax_dot"](x, x, axis=axes, keepdims=True), (x * x).sum(axes, keepdims=True))
