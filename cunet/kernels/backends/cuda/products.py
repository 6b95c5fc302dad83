"""Matrix products by cuBLAS, of operands as they lie: transposed, with gaps between rows, one for a whole batch."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from ....device import array_module, is_half
from .cublas import Call, Layout, NotSupported, call_of, handle, has
from .precision import current

_LONGEST = (1 << 31) - 1  # cuBLAS counts rows, columns and batches in 32 bits


def product(x: Any, y: Any, out: Any = None, add: bool = False) -> Any:
    """Return ``x @ y`` as `numpy.matmul`, written into `out`, or `add`-ed to it; NotImplemented for integers.

    Args:
        x, y: arrays of a GPU with at least one axis. Two dtypes go through that of both; sums are kept in float32 for
            half types.
        out: None, or an array of the result's shape. float32 beside half types is not rounded to them.
        add: whether `out` keeps what it has.
    """
    xp = array_module(x, y)
    kind = xp.ndarray
    if xp is np or not (isinstance(x, kind) and isinstance(y, kind)):
        return NotImplemented
    plan = _plan(x.shape, x.strides, x.dtype, y.shape, y.strides, y.dtype)
    found = handle(xp)
    if plan is None or found is None or not (out is None or _fits(out, plan)):
        return _in_steps(xp, x, y, out, add)
    z = xp.empty(plan.shape, plan.dtype) if out is None else out
    try:
        found.multiply(plan.call, x, y, z, add, current.get())
    except NotSupported:
        return _put(_by_cupy(x, y), z, add)
    return z


class Product(NamedTuple):
    """What is known of a product before its arrays are: the result's shape and dtype, and what cuBLAS is given."""

    shape: tuple[int, ...]
    dtype: np.dtype
    call: Call


@functools.lru_cache(4096)
def _plan(
    of_x: tuple[int, ...],
    x_strides: tuple[int, ...],
    dtype: np.dtype,
    of_y: tuple[int, ...],
    y_strides: tuple[int, ...],
    y_dtype: np.dtype,
) -> Product | None:
    """Return the plan of a product whose operands are read as they lie; None for others."""
    if dtype != y_dtype or not has(dtype) or min(len(of_x), len(of_y)) < 2 or of_x[-1] != of_y[-2]:
        return None
    batch, rows, columns, length = _broadcast(of_x, of_y), of_x[-2], of_y[-1], of_x[-1]
    full, many = (*batch, rows, columns), math.prod(batch)
    x = _layout(of_x, x_strides, dtype.itemsize, batch)
    y = _layout(of_y, y_strides, dtype.itemsize, batch)
    if x is None or y is None or 0 in full or not length:
        return None
    if many > 1 and not y.step and not x.flipped and x.step == rows * x.leading:
        rows, many = rows * many, 1  # one matrix y for all rows of all of the batch
    if max(rows, columns, length, many, x.leading, y.leading) > _LONGEST:
        return None
    return Product(full, dtype, call_of(dtype, x, y, (rows, columns, length), many))


def _fits(out: Any, plan: Product) -> bool:
    """Tell whether cuBLAS can write a result into an array."""
    wide = out.dtype == plan.dtype or (out.dtype.char == "f" and is_half(plan.dtype))
    return wide and out.shape == plan.shape and out.flags.c_contiguous


def _in_steps(xp: Any, x: Any, y: Any, out: Any, add: bool) -> Any:
    """Return a product that cuBLAS cannot make in one call from the arrays as they are."""
    dtype = x.dtype if x.dtype == y.dtype else np.promote_types(x.dtype, y.dtype)
    if not has(dtype) or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        return NotImplemented  # of two lengths CuPy's error tells
    a = (x[None] if x.ndim == 1 else x).astype(dtype, copy=False)
    b = (y[:, None] if y.ndim == 1 else y).astype(dtype, copy=False)
    batch = _broadcast(a.shape, b.shape)
    if not x.size or not y.size:
        z = xp.zeros((*batch, a.shape[-2], b.shape[-1]), dtype)
    else:
        a, b = _readable(xp, a, batch), _readable(xp, b, batch)
        plan = handle(xp) and _plan(a.shape, a.strides, dtype, b.shape, b.strides, dtype)
        z = product(a, b) if plan else _by_cupy(a, b)
    if x.ndim == 1 or y.ndim == 1:
        z = z.reshape(batch + a.shape[-2:-1] * (x.ndim > 1) + b.shape[-1:] * (y.ndim > 1))
    return z if out is None else _put(z, out, add)


def _readable(xp: Any, a: Any, batch: tuple[int, ...]) -> Any:
    """Return an array that cuBLAS can read: itself, or a copy."""
    if _layout(a.shape, a.strides, a.itemsize, batch) is not None:
        return a
    a = xp.ascontiguousarray(a)
    if _layout(a.shape, a.strides, a.itemsize, batch) is not None:
        return a
    return xp.ascontiguousarray(xp.broadcast_to(a, batch + a.shape[-2:]))  # some of a batch share theirs, not all


@functools.lru_cache(4096)
def _broadcast(x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the batch."""
    return np.broadcast_shapes(x[:-2], y[:-2])


def _put(z: Any, out: Any, add: bool) -> Any:
    """Write a product into an array as which cuBLAS could not write it."""
    if add:
        out += z
    else:
        out[...] = z
    return out


def _by_cupy(x: Any, y: Any) -> Any:
    """Return ``x @ y``; CuPy takes half types for no more than matrices."""
    if is_half(x.dtype) and max(x.ndim, y.ndim) > 2:
        return (x.astype(np.float32) @ y.astype(np.float32)).astype(x.dtype)
    return x @ y


@functools.lru_cache(4096)
def _layout(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int, batch: tuple[int, ...]) -> Layout | None:
    """Return how matrices lie, of which there are `batch` by broadcasting; None where cuBLAS cannot read them so."""
    (rows, columns), (down, along) = shape[-2:], (s // itemsize for s in strides[-2:])
    step = _step(shape[:-2], [s // itemsize for s in strides[:-2]], batch)
    if step is None:
        return None
    if (along == 1 or columns == 1) and (down >= columns or rows == 1):
        return Layout(False, down if rows > 1 else columns, step)
    if (down == 1 or rows == 1) and (along >= rows or columns == 1):
        return Layout(True, along if columns > 1 else rows, step)
    return None


def _step(shape: tuple[int, ...], strides: list[int], batch: tuple[int, ...]) -> int | None:
    """Return how far the matrices of a batch are from each other, 0 for a single one, None if that is no one number."""
    missing = len(batch) - len(shape)
    steps = [0] * missing + [0 if n == 1 else s for n, s in zip(shape, strides, strict=True)]
    first = expected = None
    for n, s in zip(reversed(batch), reversed(steps), strict=True):
        if n == 1:
            continue
        if first is None:
            first = expected = s
        elif s != expected:
            return None
        expected *= n
    return None if first is not None and first < 0 else first or 0
