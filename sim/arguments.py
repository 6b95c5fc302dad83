"""The arguments of a kernel: checked, broadcast, merged, and described as CuPy describes them to make the source."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np
from cupy._core import _carray, _kernel, _scalar

from .array import SCALARS, ndarray, wrap
from .graph import poisoned

ARRAY, INDEXER, SCALAR = 1, 2, 3  # CuPy's kinds of arguments


def check(args: Sequence[Any]) -> None:
    """Refuse what CuPy does not take as an argument, NumPy arrays above all."""
    for a in args:
        if not isinstance(a, (ndarray, *SCALARS)):
            raise TypeError(f"Unsupported type {type(a)}")


@functools.lru_cache(4096)
def _array_info(dtype: np.dtype, ndim: int, contiguous: bool, index32: bool) -> Any:
    return _kernel._ArgInfo(ARRAY, cupy.ndarray, dtype, ndim, contiguous, index32)


def argument(a: Any, dtype: Any) -> tuple[Any, bytes]:
    """Return CuPy's description of an argument (which decides the source) and the bytes passed by value."""
    if isinstance(a, np.ndarray):
        info = _array_info(a.dtype, a.ndim, bool(a.flags.c_contiguous), a.nbytes <= 1 << 31)
        pad = [0] * (a.ndim == 0)
        return info, np.array([a.ctypes.data, a.size, *a.shape, *pad, *a.strides, *pad], np.int64).tobytes()
    value = np.empty((), dtype)
    with np.errstate(all="ignore"):
        value[()] = a
    return _kernel._ArgInfo(SCALAR, _scalar.CScalar, np.dtype(dtype), 0, True, True), value.tobytes()


def indexer(shape: Sequence[int]) -> tuple[Any, bytes]:
    """Describe the loop index over `shape`, as `argument` does."""
    n = math.prod(shape)
    info = _kernel._ArgInfo(INDEXER, _carray.Indexer, None, len(shape), True, n <= 1 << 31)
    return info, np.array([n, *(shape or (1,)), *([0] * max(len(shape), 1))], np.int64).tobytes()


def broadcast(args: Sequence[Any], params: Sequence[Any], size: int | None) -> tuple[list[Any], tuple[int, ...]]:
    """Broadcast the arrays that are not raw; return memory and scalars, and the common shape."""
    plain = [a._a if isinstance(a, ndarray) else a for a in args]
    arrays = [a for a, p in zip(plain, params, strict=False) if isinstance(a, np.ndarray) and not p.raw]
    if size is not None:
        if arrays:
            raise ValueError("Specified 'size' can be used only if all of the ndarray are 'raw'.")
        return plain, (size,)
    if not arrays:
        raise ValueError("Loop size is undecided.")
    shape = np.broadcast_shapes(*[a.shape for a in arrays])
    for i, (a, p) in enumerate(zip(plain, params, strict=False)):
        if isinstance(a, np.ndarray) and not p.raw and a.shape != shape:
            plain[i] = np.broadcast_to(a, shape)
    return plain, shape


def dtypes_of(args: Sequence[Any]) -> tuple[Any, ...]:
    """Return the dtype of each array, None for a scalar: what CuPy resolves placeholders from."""
    return tuple(a.dtype if isinstance(a, np.ndarray) else None for a in args)


def outputs(kernel: Any, given: list[ndarray], dtypes: Any, shape: Any, sized: bool) -> list[ndarray]:
    """Return the outputs: those given, checked, or new ones."""
    for out, p in zip(given, kernel.out_params, strict=False):
        if not p.raw and out.shape != tuple(shape):
            raise ValueError(f"Out shape is mismatched: {out.shape} instead of {tuple(shape)}")
    if not given and not sized and any(p.raw for p in kernel.out_params):
        raise ValueError("Output array size is Undecided")
    return given or [wrap(poisoned(shape, t)) for t in dtypes]


def _merge_axes(arrays: list[np.ndarray], shape: tuple[int, ...]) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """Join neighbouring axes that all arrays walk in one stride, as CuPy does before it picks a kernel."""
    if len(shape) <= 1 or not arrays:
        return arrays, shape
    if all(a.flags.c_contiguous for a in arrays):
        return [a.reshape(-1) for a in arrays], (math.prod(shape),)
    if len(shape) == 2 and len(arrays) > 1:
        return arrays, shape
    strided = [a for a in arrays if not a.flags.c_contiguous]
    kept: list[int] = []
    merged: list[int] = []
    for axis, n in enumerate(shape):
        if n == 1:
            continue
        if kept and all(a.strides[kept[-1]] == n * a.strides[axis] for a in strided):
            kept[-1], merged[-1] = axis, merged[-1] * n
        else:
            kept.append(axis)
            merged.append(n)
    views = [
        np.lib.stride_tricks.as_strided(a, merged, [a.strides[k] for k in kept], writeable=a.flags.writeable)
        for a in arrays
    ]
    return views, tuple(merged)


def reduce_dims(args: list[Any], params: Sequence[Any], shape: tuple[int, ...]) -> tuple[list[Any], tuple[int, ...]]:
    """Merge the axes of all arguments that are arrays and not raw."""
    where = [i for i, (a, p) in enumerate(zip(args, params, strict=False)) if isinstance(a, np.ndarray) and not p.raw]
    views, shape = _merge_axes([args[i] for i in where], shape)
    args = list(args)
    for i, view in zip(where, views, strict=True):
        args[i] = view
    return args, shape
