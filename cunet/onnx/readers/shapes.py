"""Nodes that move elements, and those that tell or make shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...autograd.tensor import Tensor
from ...device import array_module
from ...ops import array, rearrange, resize
from ..reading import listed, need, numbers, reads
from .elementwise import cast


@reads("Shape")
def _(x, start=0, end=None):
    return np.asarray(x.shape, np.int64)[start:end]


@reads("Size")
def _(x):
    return np.asarray(x.size, np.int64)


@reads("Reshape", settings=(1,))
def _(x, shape=None, allowzero=0):
    wanted = [x.shape[k] if n == 0 and not allowzero else n for k, n in enumerate(listed(shape))]
    return array.reshape(x, tuple(wanted))


@reads("Flatten")
def _(x, axis=1):
    axis = axis + x.ndim if axis < 0 else axis
    return array.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@reads("Transpose")
def _(x, perm=None):
    return array.transpose(x, perm if perm is None else tuple(perm))


@reads("Squeeze", settings=(1,))
def _(x, axes=None):
    return array.squeeze(x, None if axes is None else tuple(listed(axes)))


@reads("Unsqueeze", settings=(1,))
def _(x, axes):
    return array.expand_dims(x, tuple(listed(axes)))


@reads("Expand", settings=(1,))
def _(x, shape):
    return array.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(listed(shape))))


@reads("Tile", settings=(1,))
def _(x, repeats):
    return array.tile(x, tuple(listed(repeats)))


@reads("Concat")
def _(*arrays, axis=1):
    return array.concatenate(arrays, axis=axis)


@reads("Split", settings=(1,))
def _(x, split=None, axis=0, num_outputs=None, results=1):
    lengths = listed(split)
    if split is None:
        step = -(-x.shape[axis] // (num_outputs or results))
        cuts = [step * k for k in range(1, num_outputs or results)]
    else:
        need(sum(lengths) == x.shape[axis], f"Split: lengths {lengths} must sum to {x.shape[axis]}")
        cuts = np.cumsum(lengths)[:-1].tolist()
    return array.split(x, cuts, axis)


@reads("Slice", settings=(1, 2, 3, 4))
def _(x, starts, ends, axes=None, steps=None):
    first, last = listed(starts), listed(ends)
    along = listed(axes) if axes is not None else list(range(len(first)))
    stride = listed(steps) if steps is not None else [1] * len(first)
    index = [slice(None)] * x.ndim
    for a, b, axis, step in zip(first, last, along, stride, strict=True):
        need(step != 0, "Slice: a step must not be 0")
        index[axis] = _part(a, b, step, x.shape[axis])
    return x[tuple(index)]


def _part(first: int, last: int, step: int, n: int) -> slice:
    """Return the part of an axis of length n; limits beyond it are its ends."""
    first, last = (k + n if k < 0 else k for k in (first, last))
    if step > 0:
        return slice(min(max(first, 0), n), min(max(last, 0), n), step)
    last = min(max(last, -1), n - 1)
    return slice(min(max(first, 0), n - 1), None if last < 0 else last, step) if n and first >= 0 else slice(0, 0)


@reads("Pad", settings=(1, 2, 3))
def _(x, pads=None, constant_value=None, axes=None, mode="constant", value=0.0):
    widths = listed(pads)
    along = [a % x.ndim for a in listed(axes)] if axes is not None else list(range(x.ndim))
    pairs = [(0, 0)] * x.ndim
    for k, axis in enumerate(along):
        pairs[axis] = (widths[k], widths[k + len(along)])
    index = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(pairs, x.shape, strict=True))
    x = x[index]  # a negative width cuts
    pairs = [(max(a, 0), max(b, 0)) for a, b in pairs]
    if mode == "constant":
        fill = value if constant_value is None else numbers(constant_value)
        return array.pad(x, pairs, fill if np.ndim(fill) == 0 else fill[0])
    need(mode in ("reflect", "edge", "wrap"), f"Pad: mode {mode!r} is not known")
    names = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    return resize.pad(x, [w for pair in pairs[::-1] for w in pair], names[mode])


@reads("DepthToSpace")
def _(x, blocksize=1, mode="DCR"):
    n, c, h, w = x.shape
    b = blocksize
    split, order = ((n, b, b, c // b**2, h, w), (0, 3, 4, 1, 5, 2)) if mode == "DCR" else (
        (n, c // b**2, b, b, h, w), (0, 1, 4, 2, 5, 3))  # fmt: skip
    return array.reshape(array.transpose(array.reshape(x, split), order), (n, c // b**2, h * b, w * b))


@reads("SpaceToDepth")
def _(x, blocksize=1, mode="DCR"):
    n, c, h, w = x.shape
    b = blocksize
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    parts = array.transpose(array.reshape(x, (n, c, h // b, b, w // b, b)), order)
    return array.reshape(parts, (n, c * b * b, h // b, w // b))


@reads("Trilu", settings=(1,))
def _(x, k=None, upper=1):
    return (rearrange.triu if upper else rearrange.tril)(x, int(numbers(k) or 0))


@reads("CenterCropPad", settings=(1,))
def _(x, shape, axes=None):
    along = [a % x.ndim for a in axes] if axes is not None else list(range(x.ndim))
    for axis, length in zip(along, listed(shape), strict=True):
        n = x.shape[axis]
        if n > length:
            first = (n - length) // 2
            x = x[(slice(None),) * axis + (slice(first, first + length),)]
        pairs = [(0, 0)] * x.ndim
        pairs[axis] = (max(length - n, 0) // 2, -(-max(length - n, 0) // 2))
        x = array.pad(x, pairs)
    return x


@reads("Constant")
def _(value=None, value_float=None, value_floats=None, value_int=None, value_ints=None):
    if value is not None:
        return value
    real = value_float if value_float is not None else value_floats
    return np.asarray(real, np.float32) if real is not None else np.asarray(
        value_int if value_int is not None else value_ints, np.int64)  # fmt: skip


@reads("ConstantOfShape", settings=(0,))
def _(shape, value=None):
    fill = np.zeros(1, np.float32) if value is None else value
    return np.full(tuple(listed(shape)), fill.reshape(())[()], fill.dtype)


@reads("EyeLike")
def _(x, dtype=None, k=0):
    made = Tensor(array_module(x.data).eye(*x.shape, k=k))
    return made.astype(x.dtype) if dtype is None else cast(made, dtype)


@reads("Range", settings=(0, 1, 2))
def _(start, limit, delta):
    first, last, step = (asarray.reshape(()) for asarray in map(_host, (start, limit, delta)))
    count = max(math.ceil((last - first) / step), 0)
    return first + np.arange(count, dtype=first.dtype) * step


def _host(x: Any) -> np.ndarray:
    return np.asarray(numbers(x), x.dtype)
