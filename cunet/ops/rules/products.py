"""Products of many factors, in pairs."""

from __future__ import annotations

from typing import Any

from ...autograd.rules import composite
from ...kernels.axes import folded_axes, one_axis, reduced_shape
from .. import cumulative, math, reduce
from ..array import astype, concatenate, reshape, transpose
from ..indexing import getitem


@composite(reduce.prod)
def _(x, axis=None, keepdims=False, dtype=None):
    x = x if dtype is None else astype(x, dtype)
    axes = folded_axes(x.ndim, axis)
    kept = tuple(k for k in range(x.ndim) if k not in axes)
    rows = reshape(transpose(x, kept + axes), (*[x.shape[k] for k in kept], -1)) if x.size else None
    if rows is None:
        return reduce.prod(x.data, axis=axis, keepdims=keepdims)
    while (length := rows.shape[-1]) > 1:
        half = length // 2
        pairs = math.multiply(getitem(rows, (..., slice(half))), getitem(rows, (..., slice(half, 2 * half))))
        rows = concatenate([pairs, getitem(rows, (..., slice(2 * half, None)))], axis=-1) if length % 2 else pairs
    return reshape(rows, reduced_shape(x.shape, axis, keepdims))


@composite(cumulative.cumprod)
def _(x, axis=None, dtype=None):
    x = x if dtype is None else astype(x, dtype)
    y: Any = reshape(x, (-1,)) if axis is None or not x.ndim else x
    k = 0 if axis is None or not x.ndim else one_axis(x.ndim, axis)
    before, reach = (slice(None),) * k, 1
    while reach < y.shape[k]:
        far = math.multiply(getitem(y, (*before, slice(reach, None))), getitem(y, (*before, slice(None, -reach))))
        y = concatenate([getitem(y, (*before, slice(reach))), far], axis=k)
        reach *= 2
    return y
