"""Nodes that select elements by index."""

from __future__ import annotations

import numpy as np

from ...autograd.tensor import Tensor
from ...device import array_module, asnumpy
from ...ops import array, sorting
from ..reading import listed, need, numbers, reads


def _counted(indices, length: int):
    """Return indices of which negative ones count from the end as others."""
    xp = array_module(indices.data)
    return xp.where(indices.data < 0, indices.data + length, indices.data).astype(np.int64)


@reads("Gather")
def _(x, indices, axis=0):
    axis %= x.ndim
    places = _counted(indices, x.shape[axis])
    if places.ndim == 0 and type(places) is np.ndarray:
        return x[(slice(None),) * axis + (int(places),)]
    flat = x[(slice(None),) * axis + (places.reshape(-1),)]
    return array.reshape(flat, (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


@reads("GatherElements")
def _(x, indices, axis=0):
    places = _counted(indices, x.shape[axis])
    axis %= x.ndim
    x = x[tuple(slice(None) if k == axis else slice(n) for k, n in enumerate(places.shape))]
    return sorting.take_along_axis(x, places, axis)


@reads("GatherND")
def _(x, indices, batch_dims=0):
    xp, places = array_module(indices.data), indices.data
    lead = places.shape[:batch_dims]
    grids = [xp.arange(n).reshape([-1 if k == j else 1 for j in range(places.ndim - 1)]) for k, n in enumerate(lead)]
    parts = [_counted(Tensor(places[..., k]), x.shape[batch_dims + k]) for k in range(places.shape[-1])]
    return x[(*grids, *parts)]


@reads("Compress")
def _(x, condition, axis=None):
    x = array.reshape(x, (-1,)) if axis is None else x
    places = np.flatnonzero(asnumpy(condition.data))
    return x[(slice(None),) * ((axis or 0) % x.ndim) + (array_module(x.data).asarray(places),)]


@reads("NonZero")
def _(x):
    return array_module(x.data).stack(x.data.nonzero()).astype(np.int64)


@reads("OneHot", settings=(1, 2))
def _(indices, depth, values, axis=-1):
    xp = array_module(indices.data)
    count = int(np.ravel(numbers(depth))[0])
    off, on = np.asarray(listed(values), values.dtype)
    axis = axis % (indices.ndim + 1)
    places = xp.expand_dims(xp.where(indices.data < 0, indices.data + count, indices.data), axis)
    grid = xp.arange(count).reshape([-1 if k == axis else 1 for k in range(indices.ndim + 1)])
    return xp.where(places == grid, on, off)


def _extreme(largest: bool):
    def read(x, axis=0, keepdims=1, select_last_index=0):
        xp, values = array_module(x.data), x.data
        if select_last_index:
            values = xp.flip(values, axis)
        found = (values.argmax if largest else values.argmin)(axis=axis)
        found = values.shape[axis] - 1 - found if select_last_index else found
        return (xp.expand_dims(found, axis) if keepdims else found).astype(np.int64)

    return read


reads("ArgMax")(_extreme(True))
reads("ArgMin")(_extreme(False))


@reads("TopK", settings=(1,))
def _(x, k=None, axis=-1, largest=1, sorted=1):
    count = int(np.ravel(numbers(k))[0])
    if x.dtype.kind == "f":
        values, places = sorting.topk(x, count, axis, bool(largest))
        return values, places.astype(np.int64)
    xp = array_module(x.data)
    order = xp.argsort(-x.data.astype(np.int64) if largest else x.data, axis=axis, kind="stable")
    places = order.take(xp.arange(count), axis=axis)
    return xp.take_along_axis(x.data, places, axis), places.astype(np.int64)


@reads("Hardmax")
def _(x, axis=None, opset=13):
    need(opset >= 13, "Hardmax: of the operators before version 13 is not read")
    xp = array_module(x.data)
    axis = -1 if axis is None else axis
    best = xp.expand_dims(x.data.argmax(axis=axis), axis)
    grid = xp.arange(x.shape[axis]).reshape([-1 if k == axis % x.ndim else 1 for k in range(x.ndim)])
    return (best == grid).astype(x.dtype)
