"""Matrix products by cuBLAS, of operands as they lie: transposed, with gaps between rows, one for a whole batch."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ....device import array_module, is_gpu_array, is_half
from .cublas import NotSupported, Operand, handle, has
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
    dtype = _common(x.dtype, y.dtype)
    if not has(dtype) or not (is_gpu_array(x) and is_gpu_array(y)):
        return NotImplemented
    x, y = x.astype(dtype, copy=False), y.astype(dtype, copy=False)
    a, b = x[None] if x.ndim == 1 else x, y[:, None] if y.ndim == 1 else y
    if a.shape[-1] != b.shape[-2]:
        return NotImplemented  # CuPy's error says it
    full = _broadcast(a.shape, b.shape)
    whole = None if out is None or x.ndim == 1 or y.ndim == 1 else out
    z = whole if whole is not None and _fits(whole, full, dtype) else None
    if z is None:
        z = _multiplied(xp, a, b, xp.empty(full, dtype), False)
        if x.ndim == 1 or y.ndim == 1:
            z = z.reshape(full[:-2] + full[-2:-1] * (x.ndim > 1) + full[-1:] * (y.ndim > 1))
        return z if out is None else _put(z, out, add)
    return _multiplied(xp, a, b, z, add)


@functools.lru_cache(256)
def _common(x: np.dtype, y: np.dtype) -> np.dtype:
    return x if x == y else np.promote_types(x, y)


@functools.lru_cache(4096)
def _broadcast(x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...]:
    return (*np.broadcast_shapes(x[:-2], y[:-2]), x[-2], y[-1])


def _put(z: Any, out: Any, add: bool) -> Any:
    """Write a product into an array as which cuBLAS could not write it."""
    if add:
        out += z
    else:
        out[...] = z
    return out


def _fits(out: Any, full: tuple[int, ...], dtype: np.dtype) -> bool:
    """Tell whether cuBLAS can write into an array; it counts on `full`, the shape of the result."""
    wide = out.dtype == dtype or (out.dtype.char == "f" and is_half(dtype))
    return wide and out.shape == full and out.flags.c_contiguous


def _multiplied(xp: Any, x: Any, y: Any, out: Any, add: bool) -> Any:
    """Return ``x @ y`` in `out`, which is contiguous."""
    batch, (rows, columns), length = out.shape[:-2], out.shape[-2:], x.shape[-1]
    if not out.size:
        return out
    if not length:
        return out if add else _put(0, out, False)
    many, found = math.prod(batch), handle(xp)
    a, b = _operand(xp, x, batch), _operand(xp, y, batch)
    if many > 1 and not b.step and not a.flipped and a.step == rows * a.leading:
        rows, many = rows * many, 1  # one matrix y for all rows of all of the batch
    sizes = (rows, columns, length)
    if found is None or max(*sizes, many, a.leading, b.leading) > _LONGEST:
        return _put(_by_cupy(x, y), out, add)
    try:
        found.multiply(a, b, Operand(out, False, columns, rows * columns), sizes, many, add, current.get())
    except NotSupported:
        return _put(_by_cupy(x, y), out, add)
    return out


def _by_cupy(x: Any, y: Any) -> Any:
    """Return ``x @ y``; CuPy takes half types for no more than matrices."""
    if is_half(x.dtype) and max(x.ndim, y.ndim) > 2:
        return x.astype(np.float32) @ y.astype(np.float32)
    return x @ y


def _operand(xp: Any, a: Any, batch: tuple[int, ...]) -> Operand:
    """Return an array, of which the leading axes broadcast to `batch`, as cuBLAS takes it: as it lies, else a copy."""
    found = _layout(a.shape, a.strides, a.itemsize, batch)
    if found is None:
        a = xp.ascontiguousarray(a)
        found = _layout(a.shape, a.strides, a.itemsize, batch)
    if found is None:  # neither all of the batch have their own, nor all the same
        a = xp.ascontiguousarray(xp.broadcast_to(a, batch + a.shape[-2:]))
        found = _layout(a.shape, a.strides, a.itemsize, batch)
    assert found is not None
    return Operand(a, *found)


@functools.lru_cache(4096)
def _layout(
    shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int, batch: tuple[int, ...]
) -> tuple[bool, int, int] | None:
    """Return flipped, leading and step of `Operand`, None where there are none."""
    (rows, columns), (down, along) = shape[-2:], (s // itemsize for s in strides[-2:])
    step = _step(shape[:-2], [s // itemsize for s in strides[:-2]], batch)
    if step is None:
        return None
    if (along == 1 or columns == 1) and (down >= columns or rows == 1):
        return False, down if rows > 1 else columns, step
    if (down == 1 or rows == 1) and (along >= rows or columns == 1):
        return True, along if columns > 1 else rows, step
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
