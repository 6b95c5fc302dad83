"""Shape, selection and assembly: reshape, transpose, indexing, concatenation, padding, copies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.mapped import Mapped, run
from ..autograd.op import Result, Results, op
from ..autograd.pytorch import numpy_words
from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, is_array, like
from ..device import to_device as moved
from ..kernels import primitive
from ..kernels.axes import folded_axes
from .embedding import add_rows


@op(arrays=1)
def reshape(x, shape: Any) -> Result:
    """Return the elements in another shape; one length may be -1."""
    return x.reshape(shape), lambda gy: (gy.reshape(x.shape),)


@op(arrays=1)
def transpose(x, axes: Sequence[int] | None = None) -> Result:
    """Permute the axes; reverse them if `axes` is None."""
    if axes is None:
        return x.transpose(), lambda gy: (gy.transpose(),)
    inverse = [0] * len(axes)
    for i, a in enumerate(axes):
        inverse[a] = i
    return x.transpose(axes), lambda gy: (gy.transpose(inverse),)


@op(arrays=1)
def swapaxes(x, axis1: int, axis2: int) -> Result:
    """Swap two axes."""
    return x.swapaxes(axis1, axis2), lambda gy: (gy.swapaxes(axis1, axis2),)


@op(arrays=1)
def squeeze(x, axis: int | Sequence[int] | None = None) -> Result:
    """Drop axes of length 1: all of them, or those in `axis`."""
    y = x.squeeze() if axis is None else x.squeeze(axis if isinstance(axis, int) else tuple(axis))
    return y, lambda gy: (gy.reshape(x.shape),)


@op(arrays=1)
def expand_dims(x, axis: int | Sequence[int]) -> Result:
    """Insert axes of length 1 at the positions `axis` of the result."""
    return array_module(x).expand_dims(x, axis), lambda gy: (gy.reshape(x.shape),)


@op(arrays=1)
def broadcast_to(x, shape: int | Sequence[int]) -> Result:
    """Return a read-only view of `x` stretched to `shape`."""
    return array_module(x).broadcast_to(x, tuple(shape) if isinstance(shape, Sequence) else (shape,)), lambda gy: (gy,)


@op(arrays=1)
def astype(x, dtype: Any) -> Result:
    """Return `x` converted to `dtype`; the gradient is converted back."""
    return x.astype(dtype), lambda gy: (gy,)


@op(arrays=1)
def to_device(x, device: str) -> Result:
    """Return `x` on `device` ("cpu", "gpu", "auto"); the gradient goes back."""
    return moved(x, device), lambda gy: (like(gy, x),)


@op
def _getitem(x, *, index: Any) -> Result:
    xp = array_module(x)
    if xp is not np:
        index = tuple(xp.asarray(p) if isinstance(p, np.ndarray) else p for p in index)

    def vjp(gy):
        if _repeats(index):
            gx = add_at(gy, x.shape, index)
        else:
            gx = xp.zeros(x.shape, gy.dtype)
            gx[index] = gy
        return (gx,)

    return x[index], vjp


@primitive
def add_at(gy: Array, shape: tuple[int, ...], index: tuple[Any, ...]) -> Array:
    """Return the sums of the elements of `gy` at the elements that `index` names, in the order in which it does."""
    gx = np.zeros(shape, accumulator(gy.dtype))
    np.add.at(gx, index, gy.astype(gx.dtype, copy=False))
    return gx


@add_at.cuda
def _(gy: Array, shape: tuple[int, ...], index: tuple[Any, ...]) -> Array:
    """Sort first: CuPy's add.at adds by atomics, in another order in each run."""
    xp = array_module(gy)
    first, count = index[0], shape[0]
    if (
        is_array(first)
        and first.dtype.kind in "iu"
        and all(isinstance(p, slice) and p == slice(None) for p in index[1:])
    ):
        width = math.prod(shape[1:])
        return add_rows(gy.reshape(first.size, width), first.reshape(-1) % max(count, 1), count).reshape(shape)
    place = xp.arange(math.prod(shape)).reshape(shape)[index]
    return add_rows(gy.reshape(-1, 1), place.reshape(-1), math.prod(shape)).reshape(shape)


def _repeats(index: Any) -> bool:
    """Tell whether an index can name one element twice: only integer arrays can."""
    return any(is_array(p) and p.dtype.kind in "iu" for p in index)


def getitem(x: Any, index: Any) -> Tensor:
    """Select elements as NumPy does; gradients add up where an element was selected more than once.

    Args:
        x: tensor or array.
        index: slices, integers, None, Ellipsis, integer or boolean arrays (NumPy, CuPy, Tensor, list), or a
            tuple of such.
    """
    parts = tuple(_plain_index(p) for p in (index if isinstance(index, tuple) else (index,)))
    if any(isinstance(p, Mapped) for p in parts):
        return run(_getitem, [x], {"index": parts})
    return _getitem(x, index=parts)


def _plain_index(part: Any) -> Any:
    if isinstance(part, Tensor):
        return part.data
    if part is None or part is Ellipsis or isinstance(part, (int, slice, np.generic, Mapped)) or is_array(part):
        return part
    array = np.asarray(part)  # a list, a range, a nested tuple
    if not array.size:
        return array.astype(np.int64)
    if array.dtype.kind not in "biu":
        raise IndexError(
            f"getitem: an index must be a slice, an integer, None, ... or an array of integers or bools, got {part!r}"
        )
    return array


@op
def _concatenate(*arrays, axis) -> Result:
    xp = array_module(*arrays)
    y = xp.concatenate(arrays, axis=axis)

    def vjp(gy):
        parts, start = [], 0
        for a in arrays:
            stop = start + (a.size if axis is None else a.shape[axis])
            part = gy[(slice(None),) * ((axis or 0) % gy.ndim) + (slice(start, stop),)]
            parts.append(part.reshape(a.shape))
            start = stop
        return parts

    return y, vjp


@numpy_words
def concatenate(tensors: Sequence[Any], axis: int | None = 0) -> Tensor:
    """Join tensors along an existing axis (None: flattened first). Their other lengths must be equal."""
    return _concatenate(*_not_empty("concatenate", tensors), axis=axis)


@op
def _stack(*arrays, axis) -> Result:
    xp = array_module(*arrays)
    dtype = xp.result_type(*arrays)  # in which a number has no dtype of its own
    return xp.stack([a if is_array(a) else xp.asarray(a, dtype) for a in arrays], axis=axis), lambda gy: tuple(
        xp.moveaxis(gy, axis, 0)
    )


@numpy_words
def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis."""
    return _stack(*_not_empty("stack", tensors), axis=axis)


def _not_empty(name: str, tensors: Sequence[Any]) -> Sequence[Any]:
    if not len(tensors):
        raise ValueError(f"{name}: at least one tensor is required, got none")
    return tensors


@op(arrays=1)
def split(x, sections: int | Sequence[int], axis: int = 0) -> Results:
    """Cut a tensor along `axis` into a tuple of tensors.

    Args:
        x: tensor or array.
        sections: a number of equal parts, or the positions of the cuts, as in `numpy.split`.
        axis: the axis to cut.
    """
    xp = array_module(x)
    if not x.ndim or isinstance(sections, int) and sections < 1:
        raise ValueError(f"split: 1 or more parts of at least one axis are required, got {sections} of shape {x.shape}")
    parts = tuple(xp.split(x, sections, axis=axis))

    def vjp(gys):
        filled = [xp.zeros(p.shape, x.dtype) if g is None else g for p, g in zip(parts, gys, strict=True)]
        return (xp.concatenate(filled, axis=axis),)

    return parts, vjp


@op(arrays=1)
def pad(x, pad_width: Any, value: float = 0.0) -> Result:
    """Add a border of `value`.

    Args:
        x: tensor or array.
        pad_width: as in `numpy.pad`: a number, (before, after), or one such pair per axis.
        value: what to fill the border with.
    """
    xp = array_module(x)
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2))
    inner = tuple(slice(before, before + n) for (before, _), n in zip(widths.tolist(), x.shape, strict=True))
    return xp.pad(x, widths, constant_values=value), lambda gy: (gy[inner],)


@op(arrays=1)
def flip(x, axis: int | Sequence[int] | None = None) -> Result:
    """Reverse the order of elements along `axis` (None: all)."""
    xp = array_module(x)
    return xp.flip(x, axis), lambda gy: (xp.flip(gy, axis),)


@op(arrays=1)
def tile(x, reps: int | Sequence[int]) -> Result:
    """Repeat the whole tensor `reps` times along each axis, as `numpy.tile`."""
    xp = array_module(x)
    counts = tuple(reps) if isinstance(reps, Sequence) else (int(reps),)
    ndim = max(x.ndim, len(counts))
    counts = (1,) * (ndim - len(counts)) + counts
    shape = (1,) * (ndim - x.ndim) + x.shape
    blocks = tuple(v for pair in zip(counts, shape, strict=True) for v in pair)

    def vjp(gy):
        total = gy.reshape(blocks).sum(axis=tuple(range(0, 2 * ndim, 2)), dtype=accumulator(gy.dtype))
        return (total.reshape(x.shape),)

    return xp.tile(x, counts), vjp


@op(arrays=1)
def repeat(x, repeats: int | Sequence[int], axis: int | None = None) -> Result:
    """Repeat each element along `axis` (None: of the flattened tensor), as `numpy.repeat`."""
    xp = array_module(x)
    if x.ndim == 0 and axis is not None:  # to NumPy that is one element along axis 0
        folded_axes(0, axis)
        axis = None
    k = 0 if axis is None else folded_axes(x.ndim, axis)[0]
    length = x.size if axis is None else x.shape[k]
    wide = accumulator(x.dtype)
    if np.ndim(repeats) == 0:
        n = int(repeats)  # type: ignore[arg-type]
        shape = (length, n) if axis is None else (*x.shape[: k + 1], n, *x.shape[k + 1 :])
        return x.repeat(n, axis=axis), lambda gy: (gy.reshape(shape).sum(axis=k + 1, dtype=wide).reshape(x.shape),)
    counts = np.broadcast_to(np.asarray(repeats, np.int64), (length,)).tolist()

    def vjp(gy):
        source = xp.asarray(np.repeat(np.arange(length), counts))
        full = [x.size] if axis is None else list(x.shape)
        full[0], full[k] = full[k], full[0]
        gx = add_at(gy.swapaxes(0, k), tuple(full), (source,))
        return (gx.swapaxes(0, k).reshape(x.shape),)

    return x.repeat(counts, axis=axis), vjp
