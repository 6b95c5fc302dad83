"""Shapes: what an axis in front changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....autograd.mapped import Call, mapped_by
from ....kernels.axes import one_axis
from ... import array, rearrange, resize, shuffle
from ...array import reshape
from ...recurrent.layers import reorder
from ...selection import where
from .axes import flat, shifted


def _lengths(given: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in given) if isinstance(given, Sequence) else (int(given),)


@mapped_by(array.reshape)
def _(call: Call) -> Any:
    shape, count = _lengths(call.options["shape"]), math.prod(call.shape())
    if shape.count(-1) == 1 and (rest := math.prod(n for n in shape if n != -1)) and count % rest == 0:
        shape = tuple(count // rest if n == -1 else n for n in shape)  # of no samples NumPy could not tell
    if -1 in shape or math.prod(shape) != count:
        raise ValueError(f"reshape: cannot reshape a sample of shape {call.shape()} into shape {shape}")
    return reshape(call.args[0], (call.size, *shape))


@mapped_by(array.transpose)
def _(call: Call) -> Any:
    axes = call.options.get("axes")
    axes = range(call.ndim())[::-1] if axes is None else [one_axis(call.ndim(), k) for k in axes]
    return call.op(call.args[0], (0, *[k + 1 for k in axes]))


@mapped_by(array.swapaxes)
def _(call: Call) -> Any:
    one, two = (one_axis(call.ndim(), call.options[name]) + 1 for name in ("axis1", "axis2"))
    return call.op(call.args[0], one, two)


@mapped_by(array.squeeze)
def _(call: Call) -> Any:
    if call.options.get("axis") is not None:
        return call.op(call.args[0], **shifted(call))
    return reshape(call.args[0], (call.size, *[n for n in call.shape() if n != 1]))


@mapped_by(array.expand_dims)
def _(call: Call) -> Any:
    axis = call.options["axis"]
    given = tuple(axis) if isinstance(axis, Sequence) else (axis,)
    ndim = call.ndim() + len(given)
    return call.op(call.args[0], tuple(one_axis(ndim, k) + 1 for k in given))


@mapped_by(array.broadcast_to)
def _(call: Call) -> Any:
    shape = _lengths(call.options["shape"])
    if len(shape) < call.ndim():
        raise ValueError(f"broadcast_to: shape must have at least {call.ndim()} axes, got {shape}")
    return call.op(call.padded(0, len(shape)), (call.size, *shape))


@mapped_by(array.pad)
def _(call: Call) -> Any:
    widths = np.broadcast_to(np.asarray(call.options["pad_width"]), (call.ndim(), 2)).tolist()
    return call.op(call.args[0], **call.options | {"pad_width": [(0, 0), *widths]})


@mapped_by(resize._pad_border)
def _(call: Call) -> Any:
    return call.op(call.args[0], **call.options | {"widths": [(0, 0), *call.options["widths"]]})


@mapped_by(array.tile)
def _(call: Call) -> Any:
    reps = _lengths(call.options["reps"])
    reps = (1,) * (call.ndim() - len(reps)) + reps
    return call.op(call.padded(0, len(reps)), (1, *reps))


@mapped_by(array.repeat)
def _(call: Call) -> Any:
    if call.options.get("axis") is None or not call.ndim():
        return call.op(flat(call), **call.options | {"axis": 1})
    return call.op(call.args[0], **shifted(call))


@mapped_by(reorder)
def _(call: Call) -> Any:
    return call.op(call.args[0], **shifted(call))


@mapped_by(array.split)
def _(call: Call) -> Any:
    return call.op(call.args[0], **shifted(call, default=0))


@mapped_by(array._concatenate)
def _(call: Call) -> Any:
    every = range(len(call.args))
    if call.options["axis"] is None:
        return call.op(*[reshape(call.full(k), (call.size, -1)) if call.size else call.full(k) for k in every], axis=1)
    return call.op(*map(call.full, every), **shifted(call))


@mapped_by(array._stack)
def _(call: Call) -> Any:
    axis = one_axis(max(map(call.ndim, range(len(call.args)))) + 1, call.options["axis"]) + 1
    return call.op(*map(call.full, range(len(call.args))), axis=axis)


@mapped_by(rearrange.diagonal)
def _(call: Call) -> Any:
    one, two = (one_axis(call.ndim(), call.options.get(name, k)) + 1 for k, name in enumerate(("axis1", "axis2")))
    return call.op(call.args[0], call.options.get("offset", 0), one, two)


@mapped_by(rearrange._on_diagonal)
def _(call: Call) -> Any:
    k, n = call.options["k"], call.shape()[0]
    square = where(call.xp.eye(n, dtype=bool), reshape(call.args[0], (call.size, n, 1)), 0)
    below, above = max(-k, 0), max(k, 0)
    return array.pad(square, [(0, 0), (below, above), (above, below)])


@mapped_by(rearrange.tril, rearrange.triu)
def _(call: Call) -> Any:
    if call.ndim() < 2:
        call.refuse("a sample must have at least 2 axes")
    return call.op(call.args[0], **call.options)


@mapped_by(shuffle.pixel_shuffle, shuffle.pixel_unshuffle)
def _(call: Call) -> Any:
    return call.op(call.args[0], **call.options)
