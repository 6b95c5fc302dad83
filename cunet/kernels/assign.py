"""Copies into arrays that are there, of any layout; what NumPy's reshape and assembly copy by goes through them.

NumPy copies in one thread, and a recorder of steps hears of kernels only. So where arrays are long, or a step is
recorded, these copy by the runtime; else, and for all other arrays, NumPy does, or CuPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..device import Array, array_module
from .backends.native import native
from .backends.numpy import tuning as settings
from .capture import capturing
from .kinds import primitive

_ZERO = np.zeros((), np.int8)


@primitive
def assign(out: Array, x: Array) -> None:
    """Write `x`, which broadcasts, into all of `out`; they have no memory in common."""
    out[...] = x


@assign.native
def _(out: np.ndarray, x: Any) -> Any:
    if not _suits(out) or not out.flags.writeable:
        return NotImplemented
    x = np.zeros((), out.dtype) if type(x) is int and x == 0 else x
    if type(x) is not np.ndarray or x.dtype != out.dtype:
        return NotImplemented
    runtime = native.runtime()
    code = -1 if runtime is None else runtime.cunet_assign(id(x), id(out), native.threads)
    return NotImplemented if code else None


def _suits(x: Any) -> bool:
    """Tell whether copies of such an array are the runtime's."""
    return type(x) is np.ndarray and (x.size >= settings.tuning.long or capturing.get() is not None)


def reshaped(x: Any, shape: Any) -> Any:
    """Return ``x.reshape(shape)``."""
    if not _suits(x) or x.flags.c_contiguous or not native.active:
        return x.reshape(shape)
    try:
        return x.reshape(shape, copy=False)
    except TypeError:  # NumPy 2.0 does not tell
        return x.reshape(shape)
    except ValueError:
        to = np.broadcast_to(_ZERO, x.shape).reshape(shape).shape  # or the error that it is
    y = np.empty(x.shape, x.dtype)
    assign(y, x)
    return y.reshape(to)


def zeros(like: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return zeros to write into."""
    if capturing.get() is None or type(like) is not np.ndarray:
        return array_module(like).zeros(shape, dtype)
    y = np.empty(shape, dtype)
    assign(y, 0)
    return y


def concatenated(arrays: Sequence[Any], axis: int | None) -> Any:
    """Return NumPy's ``concatenate``, which for arrays in the order of C is in that order too."""
    first = arrays[0]
    ndim = getattr(first, "ndim", 0)
    if axis is None or not -ndim <= axis < ndim or not all([_suits(a) and _joins(a, first, axis) for a in arrays]):
        return array_module(*arrays).concatenate(arrays, axis=axis)
    k = axis % ndim
    y = np.empty((*first.shape[:k], sum([a.shape[k] for a in arrays]), *first.shape[k + 1 :]), first.dtype)
    start = 0
    for a in arrays:
        stop = start + a.shape[k]
        assign(y[(slice(None),) * k + (slice(start, stop),)], a)
        start = stop
    return y


def stacked(arrays: Sequence[Any], axis: int) -> Any:
    """Return NumPy's ``stack``."""
    ndim = getattr(arrays[0], "ndim", 0) + 1
    if not -ndim <= axis < ndim or not all([_suits(a) and a.shape == arrays[0].shape for a in arrays]):
        return array_module(*arrays).stack(arrays, axis=axis)
    index = (slice(None),) * (axis % ndim)
    return concatenated([a[(*index, None)] for a in arrays], axis)


def _joins(a: np.ndarray, first: np.ndarray, axis: int) -> bool:
    """Tell whether arrays can be joined along an axis, have one dtype, and lie in the order of C."""
    k = axis % first.ndim
    rest = a.shape[:k] + a.shape[k + 1 :]
    return a.dtype == first.dtype and a.flags.c_contiguous and rest == first.shape[:k] + first.shape[k + 1 :]
