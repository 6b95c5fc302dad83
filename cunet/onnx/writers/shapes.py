"""Ops that move elements: reshape, transpose, indexing, joining, padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...device import is_array
from ...kernels.axes import folded_axes
from ...ops import array, indexing, rearrange, resize, shuffle
from ...ops.recurrent.layers import reorder
from ..graph import Given, Graph, NotExportable, Value
from ..sizes import Size
from ..writing import writes


@writes(array.reshape)
def _(g, x, *, shape):
    return g.shaped(x, _listed(shape))


@writes(array.transpose)
def _(g, x, *, axes):
    return g("Transpose", x, perm=[a % x.ndim for a in axes or range(x.ndim)[::-1]])


@writes(array.swapaxes)
def _(g, x, *, axis1, axis2):
    order = list(range(x.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return g("Transpose", x, perm=order)


@writes(array.squeeze)
def _(g, x, *, axis):
    ones = [k for k, n in enumerate(x.shape) if n == 1]
    return g("Squeeze", x, ones if axis is None else _listed(axis))


@writes(array.expand_dims)
def _(g, x, *, axis):
    return g("Unsqueeze", x, _listed(axis))


@writes(array.broadcast_to)
def _(g, x, *, shape):
    return g("Expand", x, _listed(shape))


@writes(array.astype)
def _(g, x, *, dtype):
    return g("Cast", x, to=g.type_of(dtype))


@writes(array.to_device)
def _(g, x):
    return g("Identity", x)


@writes(array._concatenate)
def _(g, *arrays, axis):
    parts = [g.cast(x, g.dtype) for x in arrays]
    if axis is None:
        parts, axis = [g("Reshape", x, [-1]) for x in parts], 0
    return g("Concat", *parts, axis=axis)


@writes(array._stack)
def _(g, *arrays, axis):
    parts = [g("Unsqueeze", g.cast(x, g.dtype) if isinstance(x, Value) else x, [axis]) for x in arrays]
    return g("Concat", *parts, axis=axis)


@writes(array.split)
def _(g, x, *, sections, axis):
    if isinstance(sections, int):
        return g.node("Split", [x], sections, axis=axis, num_outputs=sections)
    cuts = [0, *sections, x.length(axis)]
    lengths = [b - a for a, b in zip(cuts, cuts[1:], strict=False)]
    return g.node("Split", [x, lengths], len(lengths), axis=axis)


@writes(array.pad)
def _(g, x, *, pad_width, value):
    return _padded(g, x, np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)), "constant", float(value))


@writes(resize._pad_border)
def _(g, x, *, widths, mode):
    modes = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    return _padded(g, x, np.asarray(widths), modes[mode])


def _padded(g: Graph, x: Value, widths: np.ndarray, mode: str, value: float | None = None) -> str:
    given = None if value is None else np.asarray(value, x.dtype)
    return g("Pad", x, [int(w) for w in widths.T.ravel()], given, mode=mode)


@writes(array.flip)
def _(g, x, *, axis):
    axes = folded_axes(x.ndim, axis)
    count = len(axes)
    return g("Slice", x, [-1] * count, [np.iinfo(np.int64).min] * count, axes, [-1] * count)


@writes(array.tile)
def _(g, x, *, reps):
    counts = _listed(reps)
    lead = len(counts) - x.ndim
    x = g("Unsqueeze", x, list(range(lead))) if lead > 0 else x
    return g("Tile", x, [*[1] * -lead, *counts])


@writes(array.repeat)
def _(g, x, *, repeats, axis):
    if not isinstance(repeats, int):
        raise NotExportable("its repeats must be one number")
    shape: Sequence[int | Size] = x.shape if axis is not None else [-1]
    k = 0 if axis is None else axis % x.ndim
    flat: Given = x if axis is not None else g("Reshape", x, [-1])
    tall = g("Tile", g("Unsqueeze", flat, [k + 1]), [*[1] * (k + 1), repeats, *[1] * (len(shape) - k - 1)])
    length = shape[k]
    size = (
        Size(*(n * repeats for n in length)) if isinstance(length, Size) else -1 if axis is None else length * repeats
    )
    return g.shaped(tall, [*shape[:k], size, *shape[k + 1 :]])


@writes(rearrange.roll)
def _(g, x, *, shift, axis):
    shape = x.shape
    if axis is None:
        return g.shaped(_rolled(g, g("Reshape", x, [-1]), shift, 0), shape)
    for s, k in zip(_listed(shift) * (len(_listed(axis)) if isinstance(shift, int) else 1), _listed(axis), strict=True):
        x = _rolled(g, x, s % shape[k] if isinstance(shape[k], int) else s, k)
    return x


def _rolled(g: Graph, x: Given, shift: int, axis: int) -> Given:
    if not shift:
        return x
    end = np.iinfo(np.int64).max
    return g("Concat", g("Slice", x, [-shift], [end], [axis]), g("Slice", x, [0], [-shift], [axis]), axis=axis)


@writes(rearrange.tril)
def _(g, x, *, k):
    return g("Trilu", x, np.asarray(k, np.int64), upper=0)


@writes(rearrange.triu)
def _(g, x, *, k):
    return g("Trilu", x, np.asarray(k, np.int64), upper=1)


@writes(reorder)
def _(g, x, *, order, axis):
    return g("Gather", x, np.asarray(order, np.int64), axis=axis)


@writes(shuffle.pixel_shuffle)
def _(g, x, *, upscale_factor):
    if x.ndim != 4:
        raise NotExportable("its input must have 4 axes, (N, C, H, W)")
    return g("DepthToSpace", x, blocksize=upscale_factor, mode="CRD")


@writes(shuffle.pixel_unshuffle)
def _(g, x, *, downscale_factor):
    r = downscale_factor
    c, h, w = x.lengths((-3, -2, -1))
    lead = x.shape[:-3]
    k = len(lead)
    parts = g.shaped(x, [*lead, c, h // r, r, w // r, r])
    moved = g("Transpose", parts, perm=[*range(k + 1), k + 2, k + 4, k + 1, k + 3])
    return g.shaped(moved, [*lead, c * r * r, h // r, w // r])


@writes(indexing._getitem)
def _(g, x, *, index):
    """Slice first, then gather and drop what integers name, then add axes: each in places of the array as it was."""
    taken = sum(part is not None and part is not Ellipsis for part in index)
    index = index if Ellipsis in [p if p is None or p is Ellipsis else 0 for p in index] else (*index, Ellipsis)
    parts: list[object] = []
    for part in index:
        parts += [slice(None)] * (x.ndim - taken) if part is Ellipsis else [part]
    axis, dropped, new, place = 0, [], [], 0
    cuts: list[tuple[int, slice]] = []
    gathers: list[tuple[int, np.ndarray]] = []
    for part in parts:
        if part is None:
            new.append(place)
            place += 1
            continue
        if isinstance(part, slice):
            cuts += [(axis, part)] if part != slice(None) else []
        elif is_array(part):
            gathers.append((axis, np.asarray(part)))
        else:
            cuts.append((axis, slice(int(part), int(part) + 1 or None)))  # type: ignore[call-overload]
            dropped.append(axis)
        place += axis not in dropped
        axis += 1
    y: Given = _cut(g, x, cuts) if cuts else x
    if gathers:
        if len(gathers) > 1 or dropped or new or gathers[0][1].dtype.kind not in "iu" or gathers[0][1].ndim != 1:
            raise NotExportable("an index of arrays must be one vector of integers, beside slices only")
        y = g("Gather", y, gathers[0][1].astype(np.int64), axis=gathers[0][0])
    y = g("Squeeze", y, dropped) if dropped else y
    return g("Unsqueeze", y, new) if new else y if isinstance(y, str) else g("Identity", y)


def _cut(g: Graph, x: Value, cuts: Sequence[tuple[int, slice]]) -> str:
    starts, ends, steps = [], [], []
    for _, part in cuts:
        step = 1 if part.step is None else part.step
        most = np.iinfo(np.int64)
        starts.append((0 if step > 0 else -1) if part.start is None else part.start)
        ends.append((most.max if step > 0 else most.min) if part.stop is None else part.stop)
        steps.append(step)
    return g("Slice", x, starts, ends, [axis for axis, _ in cuts], steps)


def _listed(axes: int | Size | Sequence[int]) -> list[int]:
    """Return one number, or several, as a list."""
    return list(axes) if isinstance(axes, (list, tuple)) and not isinstance(axes, Size) else [axes]  # type: ignore[list-item]
