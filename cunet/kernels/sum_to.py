"""Sums over axes, kept in float32 for half types: what gradients of biases, factors and broadcast arrays need."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..device import Array, accumulator
from .axes import reduced_shape
from .capture import capturing
from .kinds import primitive, reduction

_sum: Any = np.add.reduce  # what `x.sum` calls, behind a detour


@reduction("T in_x", "A out_total", map="A(in_x)", reduce="a + b", post="out_total = a", identity="0")
def sum_elements(x, axis, keepdims):
    return x.sum(axis=axis, keepdims=keepdims)


@primitive
def sum_over(x: Array, axes: tuple[int, ...], keepdims: bool = True) -> Array:
    """Return the sums over `axes` (counted from 0), kept in float32 for half types."""
    wide = accumulator(x.dtype)
    if type(x) is np.ndarray:
        return _sum(x, axis=axes, dtype=wide, keepdims=keepdims)
    return x.sum(axis=axes, dtype=wide, keepdims=keepdims)


@sum_over.native
def _(x: Array, axes: tuple[int, ...], keepdims: bool = True) -> Array:
    """Record sums of columns, which the kernel and NumPy add up in one order; NumPy is faster where they are few."""
    alike = capturing.get() is not None and len(axes) == 1 and x.ndim > 1 and x.flags.c_contiguous
    if alike and math.prod(x.shape[axes[0] + 1 :]) > 1:
        return sum_elements(x, axis=axes, keepdims=keepdims)
    return sum_over.body(x, axes, keepdims)


@sum_over.cuda
def _on_gpu(x: Array, axes: tuple[int, ...], keepdims: bool = True) -> Array:
    """Keep a GPU busy: CuPy folds the rows of a (65536, 768) gradient in 24 blocks, whatever the GPU has."""
    if x.size == 0 or not axes:
        return NotImplemented
    kept, wide = reduced_shape(x.shape, axes, keepdims), accumulator(x.dtype)
    lengths, folded = _merged(x.shape, axes)
    x = x.reshape(lengths)
    if folded == (True,):
        return x.sum(dtype=wide).reshape(kept)
    if folded and folded[-1]:  # the last axes first: each of their sums is of one row
        x = sum_elements(x, axis=len(folded) - 1, keepdims=False)
    left = tuple([k for k, fold in enumerate(folded[:-1]) if fold])
    if left:
        x = sum_elements(x, axis=0, keepdims=False) if left == (0,) else x.sum(axis=left, dtype=wide)
    x = x.astype(wide, copy=False)
    return x if x.shape == kept else x.reshape(kept)  # no view where none is needed: gradients have owners


@functools.lru_cache(4096)
def _merged(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Return lengths, and which are folded, where neighbours that share a fate are one axis, without those of 1."""
    lengths: list[int] = []
    folded: list[bool] = []
    for k, n in enumerate(shape):
        if n > 1 and folded and folded[-1] == (k in axes):
            lengths[-1] *= n
        elif n > 1:
            lengths.append(n)
            folded.append(k in axes)
    return tuple(lengths), tuple(folded)
