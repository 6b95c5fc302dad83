"""Functions of NumPy that move elements, made of ops: parts and joins, turns, selections, borders.

They take NumPy's arguments, so that its functions run them on Tensors (`numpy_signatures`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..kernels.axes import one_axis
from . import array, indexing, rearrange, selection
from .numpy_arguments import Unsupported, arrays_of, assembled, holds_tensors, in_line, places_of, unsupported
from .operands import lifted

Axis = int | None


def array_of(object: Any, dtype: Any = None, *, order: Any = "K", ndmin: int = 0, **others: Any) -> Any:
    """Join nested lists of Tensors and numbers: ``np.array([[x, 1.0], [y, z]], like=x)``."""
    if not holds_tensors(object):
        return np.array(object, dtype, order=order, ndmin=ndmin, **others)
    unsupported(order=None if order in ("K", "C") else order, subok=others.get("subok"))
    x = assembled(object)
    x = x if dtype is None else array.astype(x, dtype)
    return array.reshape(x, (1,) * (ndmin - x.ndim) + x.shape) if ndmin > x.ndim else x


def as_array_of(a: Any, dtype: Any = None, order: Any = None, **others: Any) -> Any:
    """Join nested lists of Tensors and numbers, as `array_of`."""
    return array_of(a, dtype, order=order or "K", copy=others.get("copy"))


def append(arr: Any, values: Any, axis: Axis = None) -> Tensor:
    """Join two along an axis, or flattened."""
    parts = [assembled(arr, values), assembled(values, arr)]
    return array.concatenate(parts, axis)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Cut into so many parts that differ in length by one at most, or at places."""
    x = lifted(ary)
    cuts = indices_or_sections
    if np.ndim(cuts) == 0:
        count, length = int(cuts), x.shape[axis]
        if count < 1:
            raise ValueError(f"array_split: the number of parts must be at least 1, got {count}")
        each, more = divmod(length, count)
        cuts = [k * each + min(k, more) for k in range(1, count)]
    return list(array.split(x, [int(cut) for cut in cuts], axis))


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Cut into equal parts, or at places."""
    return list(array.split(ary, indices_or_sections, axis))


def hsplit(ary: Any, indices_or_sections: Any) -> list[Tensor]:
    """Cut along the second axis; along the first if it is the only one."""
    x = _with_axes("hsplit", ary, 1)
    return split(x, indices_or_sections, 1 if x.ndim > 1 else 0)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Tensor]:
    """Cut along the first axis of at least two."""
    return split(_with_axes("vsplit", ary, 2), indices_or_sections, 0)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Tensor]:
    """Cut along the third axis."""
    return split(_with_axes("dsplit", ary, 3), indices_or_sections, 2)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """Return the parts along an axis, without it."""
    return tuple(rearrange.moveaxis(_with_axes("unstack", x, 1), axis, 0))


def _with_axes(who: str, x: Any, least: int) -> Tensor:
    x = lifted(x)
    if x.ndim < least:
        raise ValueError(f"{who}: at least {least} axes are required, got shape {x.shape}")
    return x


def _at_least(ndim: int) -> Callable[..., Any]:
    """Return the function that gives arrays so many axes: those that NumPy puts where it puts them."""

    def give(*arys: Any) -> Any:
        found = []
        for ary in arys:
            x = assembled(ary)
            before = {0: (1,) * ndim, 1: (1,) * (ndim > 1)}.get(x.ndim, ())
            after = (1,) * (ndim - len(before) - x.ndim)
            found.append(array.reshape(x, (*before, *x.shape, *after) if x.ndim else before))
        return found[0] if len(found) == 1 else tuple(found)

    return give


atleast_1d, atleast_2d, atleast_3d = (_at_least(ndim) for ndim in (1, 2, 3))


def column_stack(tup: Sequence[Any]) -> Tensor:
    """Join along the second axis; what has one axis is a column."""
    parts = [lifted(x, *tup) for x in tup]
    return array.concatenate([x if x.ndim > 1 else array.reshape(x, (-1, 1)) for x in parts], 1)


def dstack(tup: Sequence[Any]) -> Tensor:
    """Join along the third axis."""
    return array.concatenate([atleast_3d(lifted(x, *tup)) for x in tup], 2)


def block(arrays: Any) -> Tensor:
    """Join nested lists of blocks: the innermost along the last axis, those around along the axis before it."""
    depth, ndim = 0, 0
    leaves, inner = [arrays], arrays
    while isinstance(inner, list):
        depth, inner = depth + 1, inner[0]
    for _ in range(depth):
        leaves = [part for group in leaves for part in group]
    ndim = max(depth, *(lifted(leaf).ndim for leaf in leaves))

    def joined(tree: Any, level: int) -> Tensor:
        if level == depth:
            x = lifted(tree, *leaves)
            return array.reshape(x, (1,) * (ndim - x.ndim) + x.shape)
        return array.concatenate([joined(part, level + 1) for part in tree], ndim - depth + level)

    return joined(arrays, 0)


def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Tensor, ...]:
    """Stretch all to the shape that they have together."""
    xs = [lifted(x, *args) for x in args]
    shape = np.broadcast_shapes(*(x.shape for x in xs))
    return tuple(array.broadcast_to(x, shape) for x in xs)


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Return coordinates of a grid."""
    xs = [array.reshape(lifted(x, *xi), (1,) * k + (-1,) + (1,) * (len(xi) - k - 1)) for k, x in enumerate(xi)]
    if indexing == "xy" and len(xs) > 1:
        xs = [array.swapaxes(x, 0, 1) for x in xs]
    return tuple(xs) if sparse else broadcast_arrays(*xs)


def copy(a: Any, order: Any = "K", subok: bool = False) -> Tensor:
    """Return the elements in memory of their own."""
    unsupported(order=None if order in ("K", "C") else order)
    x = lifted(a)
    return array.astype(x, x.dtype)


def fliplr(m: Any) -> Tensor:
    """Reverse the second axis."""
    return array.flip(_with_axes("fliplr", m, 2), 1)


def flipud(m: Any) -> Tensor:
    """Reverse the first axis."""
    return array.flip(_with_axes("flipud", m, 1), 0)


def rot90(m: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """Turn by quarters from the first of two axes to the second."""
    x = lifted(m)
    a, b = (one_axis(x.ndim, axis) for axis in axes)
    if a == b:
        raise ValueError(f"rot90: two different axes are required, got {tuple(axes)} of shape {x.shape}")
    k %= 4
    if k == 2:
        return array.flip(x, (a, b))
    x = array.flip(x, b) if k == 1 else x
    x = array.swapaxes(x, a, b) if k else x
    return array.flip(x, b) if k == 3 else x


def rollaxis(a: Any, axis: int, start: int = 0) -> Tensor:
    """Move an axis before another."""
    x = lifted(a)
    axis, start = one_axis(x.ndim, axis), one_axis(x.ndim + 1, start)
    return rearrange.moveaxis(x, axis, start - (axis < start))


def matrix_transpose(x: Any, /) -> Tensor:
    """Swap the last two axes."""
    return array.swapaxes(_with_axes("matrix_transpose", x, 2), -1, -2)


def diagflat(v: Any, k: int = 0) -> Tensor:
    """Return a matrix with all elements on a diagonal."""
    return rearrange.diag(array.reshape(lifted(v), (-1,)), k)


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Tensor:
    """Return differences of neighbours of the flattened elements, between ends."""
    x = array.reshape(lifted(ary), (-1,))
    parts = [None if end is None else array.reshape(assembled(end, x), (-1,)) for end in (to_begin, to_end)]
    return array.concatenate([p for p in (parts[0], rearrange.diff(x), parts[1]) if p is not None])


def take(a: Any, indices: Any, axis: Axis = None, out: Any = None, mode: str = "raise") -> Tensor:
    """Select along an axis, or of the flattened elements."""
    unsupported(out=out, mode=None if mode == "raise" else mode)
    x, axis = in_line(a, axis)
    return indexing.getitem(x, (slice(None),) * axis + (places_of(indices),))


def compress(condition: Any, a: Any, axis: Axis = None, out: Any = None) -> Tensor:
    """Select along an axis where a condition holds."""
    return take(a, lifted(condition).data.nonzero()[0], axis, out)


def extract(condition: Any, arr: Any) -> Tensor:
    """Select where a condition holds, flattened."""
    return take(arr, lifted(condition).data.reshape(-1).nonzero()[0])


def delete(arr: Any, obj: Any, axis: Axis = None) -> Tensor:
    """Leave out along an axis, or of the flattened elements."""
    x, axis = in_line(arr, axis)
    return take(x, np.delete(np.arange(x.shape[axis]), arrays_of(obj, "np.delete")), axis)


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """Return, element by element, the choice of the first condition that holds."""
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError(
            f"select: as many conditions as choices are required, and one at least, got {len(condlist)} and "
            f"{len(choicelist)}"
        )
    y = assembled(default, *choicelist)
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        y = selection.where(arrays_of(condition, "np.select"), assembled(choice, *choicelist), y)
    return y


def pad(x: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = 0, **others: Any) -> Tensor:
    """Add a border: of a number, or of elements that are there."""
    unsupported(**others)
    if mode == "constant":
        if np.ndim(constant_values):
            raise Unsupported("constant_values= of more than one number")
        return array.pad(x, pad_width, constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise Unsupported(f"mode={mode!r}")
    x = lifted(x)
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    for axis, (n, width) in enumerate(zip(x.shape, widths, strict=True)):
        if any(width):
            x = take(x, np.pad(np.arange(n), width, mode=mode), axis)
    return x


#: The functions of NumPy by these.
SHAPES: dict[Callable[..., Any], Callable[..., Any]] = {
    np.append: append,
    np.array: array_of,
    np.array_split: array_split,
    np.asanyarray: as_array_of,
    np.asarray: as_array_of,
    np.atleast_1d: atleast_1d,
    np.atleast_2d: atleast_2d,
    np.atleast_3d: atleast_3d,
    np.block: block,
    np.broadcast_arrays: broadcast_arrays,
    np.column_stack: column_stack,
    np.compress: compress,
    np.copy: copy,
    np.delete: delete,
    np.diagflat: diagflat,
    np.dsplit: dsplit,
    np.dstack: dstack,
    np.ediff1d: ediff1d,
    np.extract: extract,
    np.fliplr: fliplr,
    np.flipud: flipud,
    np.hsplit: hsplit,
    np.matrix_transpose: matrix_transpose,
    np.meshgrid: meshgrid,
    np.pad: pad,
    np.rollaxis: rollaxis,
    np.rot90: rot90,
    np.select: select,
    np.split: split,
    np.take: take,
    np.vsplit: vsplit,
}
if hasattr(np, "unstack"):  # newer than NumPy 2.0
    SHAPES[np.unstack] = unstack
