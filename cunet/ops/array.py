"""Shape and assembly: reshape, transpose, concatenation, padding, copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.op import Result, Results, op
from ..autograd.pytorch import numpy_words
from ..autograd.tensor import Tensor
from ..device import accumulator, array_module, is_array, like
from ..device import to_device as moved
from ..kernels.assign import concatenated, reshaped, stacked
from ..kernels.axes import folded_axes
from .indexing import add_at


@op(arrays=1)
def reshape(x, shape: Any) -> Result:
    """Return the elements in another shape; one length may be -1.

    Example:
        >>> cunet.reshape([1.0, 2.0, 3.0, 4.0], (2, -1))
        Tensor([[1., 2.],
                [3., 4.]])
    """
    return reshaped(x, shape), lambda gy: (reshaped(gy, x.shape),)


@op(arrays=1)
def transpose(x, axes: Sequence[int] | None = None) -> Result:
    """Permute the axes; reverse them if `axes` is None.

    Example:
        >>> x = np.zeros((2, 3, 4))
        >>> cunet.transpose(x).shape, cunet.transpose(x, (0, 2, 1)).shape
        ((4, 3, 2), (2, 4, 3))
    """
    if axes is None:
        return x.transpose(), lambda gy: (gy.transpose(),)
    inverse = [0] * len(axes)
    for i, a in enumerate(axes):
        inverse[a] = i
    return x.transpose(axes), lambda gy: (gy.transpose(inverse),)


@op(arrays=1)
def swapaxes(x, axis1: int, axis2: int) -> Result:
    """Swap two axes.

    Example:
        >>> cunet.swapaxes(np.zeros((2, 3, 4)), 1, -1).shape
        (2, 4, 3)
    """
    return x.swapaxes(axis1, axis2), lambda gy: (gy.swapaxes(axis1, axis2),)


@op(arrays=1)
def squeeze(x, axis: int | Sequence[int] | None = None) -> Result:
    """Drop axes of length 1: all of them, or those in `axis`.

    Example:
        >>> x = np.zeros((1, 3, 1))
        >>> cunet.squeeze(x).shape, cunet.squeeze(x, axis=0).shape
        ((3,), (3, 1))
    """
    y = x.squeeze() if axis is None else x.squeeze(axis if isinstance(axis, int) else tuple(axis))
    return y, lambda gy: (gy.reshape(x.shape),)


@op(arrays=1)
def expand_dims(x, axis: int | Sequence[int]) -> Result:
    """Insert axes of length 1 at the positions `axis` of the result.

    Example:
        >>> cunet.expand_dims(np.zeros(3), 0).shape, cunet.expand_dims(np.zeros(3), (0, 2)).shape
        ((1, 3), (1, 3, 1))
    """
    return array_module(x).expand_dims(x, axis), lambda gy: (gy.reshape(x.shape),)


@op(arrays=1)
def broadcast_to(x, shape: int | Sequence[int]) -> Result:
    """Return a read-only view of `x` stretched to `shape`.

    Example:
        >>> cunet.broadcast_to([1.0, 2.0], (3, 2))
        Tensor([[1., 2.],
                [1., 2.],
                [1., 2.]])
    """
    return array_module(x).broadcast_to(x, tuple(shape) if isinstance(shape, Sequence) else (shape,)), lambda gy: (gy,)


@op(arrays=1)
def astype(x, dtype: Any) -> Result:
    """Return `x` converted to `dtype`; the gradient is converted back.

    Example:
        >>> cunet.astype([1.7, -1.7], np.int64)
        Tensor([ 1, -1], dtype=int64)
    """
    return x.astype(dtype), lambda gy: (gy,)


@op(arrays=1)
def to_device(x, device: str) -> Result:
    """Return `x` on `device` ("cpu", "gpu", "auto"); the gradient goes back."""
    return moved(x, device), lambda gy: (like(gy, x),)


@op
def _concatenate(*arrays, axis) -> Result:
    y = concatenated(arrays, axis)

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
    """Join tensors along an existing axis (None: flattened first). Their other lengths must be equal.

    Example:
        >>> cunet.concatenate([np.zeros((2, 3)), np.ones((1, 3))]).shape
        (3, 3)
    """
    return _concatenate(*_not_empty("concatenate", tensors), axis=axis)


@op
def _stack(*arrays, axis) -> Result:
    xp = array_module(*arrays)
    dtype = xp.result_type(*arrays)  # in which a number has no dtype of its own
    parts = [a if is_array(a) else xp.asarray(a, dtype) for a in arrays]
    return stacked(parts, axis), lambda gy: tuple(xp.moveaxis(gy, axis, 0))


@numpy_words
def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis.

    Example:
        >>> cunet.stack([[1.0, 2.0], [3.0, 4.0]], axis=1)
        Tensor([[1., 3.],
                [2., 4.]])
    """
    return _stack(*_not_empty("stack", tensors), axis=axis)


def _not_empty(name: str, tensors: Sequence[Any]) -> Sequence[Any]:
    if not len(tensors):
        raise ValueError(f"{name}: at least one tensor is required, got none")
    return tensors


def _parts(x: Any, sections: Any, axis: int) -> tuple[Any, ...]:
    """Return NumPy's ``split``; of equal parts without its arrays of places, of which nobody hears who records."""
    k = axis % max(x.ndim, 1)
    if not isinstance(sections, int) or not -x.ndim <= axis < x.ndim or x.shape[k] % sections:
        return tuple(array_module(x).split(x, sections, axis=axis))
    step = x.shape[k] // sections
    return tuple([x[(slice(None),) * k + (slice(n * step, (n + 1) * step),)] for n in range(sections)])


@op(arrays=1)
def split(x, sections: int | Sequence[int], axis: int = 0) -> Results:
    """Cut a tensor along `axis` into a tuple of tensors.

    Args:
        x: tensor or array.
        sections: a number of equal parts, or the positions of the cuts, as in `numpy.split`.
        axis: the axis to cut.

    Raises:
        ValueError: there is no axis to cut, or fewer than 1 part, or a number of parts that does not divide the length.

    Example:
        >>> x = np.arange(6.0)
        >>> [part.shape for part in cunet.split(x, 2)]  # how many parts, not how long
        [(3,), (3,)]
        >>> [part.shape for part in cunet.split(x, [1, 3])]
        [(1,), (2,), (3,)]
    """
    xp = array_module(x)
    if not x.ndim or isinstance(sections, int) and sections < 1:
        raise ValueError(f"split: 1 or more parts of at least one axis are required, got {sections} of shape {x.shape}")
    parts = _parts(x, sections, axis)

    def vjp(gys):
        filled = [xp.zeros(p.shape, x.dtype) if g is None else g for p, g in zip(parts, gys, strict=True)]
        return (concatenated(filled, axis),)

    return parts, vjp


@op(arrays=1)
def pad(x, pad_width: Any, value: float = 0.0) -> Result:
    """Add a border of `value`.

    Args:
        x: tensor or array.
        pad_width: as in `numpy.pad`: a number, (before, after), or one such pair per axis.
        value: what to fill the border with.

    Example:
        >>> cunet.pad([[1.0, 2.0]], ((0, 1), (1, 1)), value=9.0)
        Tensor([[9., 1., 2., 9.],
                [9., 9., 9., 9.]])
    """
    xp = array_module(x)
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2))
    inner = tuple(slice(before, before + n) for (before, _), n in zip(widths.tolist(), x.shape, strict=True))
    return xp.pad(x, widths, constant_values=value), lambda gy: (gy[inner],)


@op(arrays=1)
def flip(x, axis: int | Sequence[int] | None = None) -> Result:
    """Reverse the order of elements along `axis` (None: all).

    Example:
        >>> cunet.flip([[1.0, 2.0], [3.0, 4.0]], axis=1)
        Tensor([[2., 1.],
                [4., 3.]])
    """
    xp = array_module(x)
    return xp.flip(x, axis), lambda gy: (xp.flip(gy, axis),)


@op(arrays=1)
def tile(x, reps: int | Sequence[int]) -> Result:
    """Repeat the whole tensor `reps` times along each axis, as `numpy.tile`.

    Example:
        >>> cunet.tile([1.0, 2.0], 2), cunet.repeat([1.0, 2.0], 2)
        (Tensor([1., 2., 1., 2.]), Tensor([1., 1., 2., 2.]))
    """
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
    """Repeat each element along `axis` (None: of the flattened tensor), as `numpy.repeat`.

    Example:
        >>> cunet.repeat([1.0, 2.0], 2), cunet.repeat([1.0, 2.0], [1, 3])
        (Tensor([1., 1., 2., 2.]), Tensor([1., 2., 2., 2.]))
    """
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
