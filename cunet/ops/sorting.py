"""Order: sort, the largest and the smallest, the middle; and taking elements by their places along an axis.

Sorts are stable: of equal elements the one that comes first stays first. NaN is larger than all else. Places are plain
arrays of integers, which have no gradient; values get theirs through the places that they came from.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.mapped import Mapped, mappable, run
from ..autograd.methods import Axis
from ..autograd.op import Result, op
from ..autograd.pytorch import numpy_words
from ..autograd.tensor import Tensor, as_array
from ..device import Array, array_module, device_of, is_floating, is_gpu_array, is_half
from ..kernels.axes import folded_axes, one_axis, reduced_shape
from .array import reshape
from .indexing import add_at
from .operands import lifted
from .pairwise import lerp_forward


@mappable
@numpy_words
def argsort(x: Any, axis: int | None = -1) -> Array:
    """Return the places along `axis` (None: of the flattened tensor) in the order of their elements, as an array.

    Example:
        >>> cunet.argsort([3.0, 1.0, 2.0])
        array([1, 2, 0])
    """
    a = _comparable(x)
    return a.reshape(-1).argsort(kind="stable") if axis is None else a.argsort(one_axis(a.ndim, axis), kind="stable")


@mappable
@numpy_words
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Array:
    """Return the place of the largest element along `axis` (None: of the flattened tensor), the first, as an array.

    Example:
        >>> cunet.argmax([[1.0, 5.0, 5.0], [7.0, 2.0, 0.0]], axis=1)  # the first of equal ones
        array([1, 0])
    """
    return _comparable(x).argmax(axis=axis, keepdims=keepdims)


@mappable
@numpy_words
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Array:
    """Return the place of the smallest element along `axis` (None: of the flattened tensor), the first, as an array.

    Example:
        >>> cunet.argmin([[1.0, 5.0, 5.0], [7.0, 2.0, 0.0]], axis=1)
        array([0, 2])
    """
    return _comparable(x).argmin(axis=axis, keepdims=keepdims)


def _comparable(x: Any) -> Array:
    """Return an array that can be sorted: CuPy has no order of half types, and NumPy none of bfloat16 beside NaN."""
    a = x.data if isinstance(x, Tensor) else as_array(x)
    wide = is_half(a.dtype) and (is_gpu_array(a) or a.dtype.kind != "f")
    return a.astype("float32") if wide else a


@op(arrays=1)
def _taken(x, places: Array, axis: int, distinct: bool) -> Result:
    """Select by places along an axis; `distinct`: none is named twice."""
    xp = array_module(x)
    index = tuple(
        places if k == axis else xp.arange(n).reshape((-1,) + (1,) * (x.ndim - k - 1)) for k, n in enumerate(x.shape)
    )

    def vjp(gy):
        if not distinct:
            return (add_at(gy, x.shape, index),)
        gx = xp.zeros(x.shape, gy.dtype)
        gx[index] = gy
        return (gx,)

    return x[index], vjp


@numpy_words
def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Tensor:
    """Select, along `axis`, the elements at `indices`: ``y[i, j] = x[i, indices[i, j]]`` for the last of two axes.

    Gradients add up where an element was selected more than once.

    Args:
        x: tensor or array.
        indices: integers, with as many axes as `x`; all lengths but that of `axis` are those of `x`, or broadcast.
        axis: None takes from the flattened tensor, with `indices` of one axis.

    Raises:
        TypeError: `indices` are no integers, or on another device.
        ValueError: `indices` have another number of axes.
        IndexError: an index is out of range, on the CPU.

    Example:
        >>> scores, labels = np.array([[1.0, 5.0], [7.0, 2.0]]), np.array([1, 0])
        >>> cunet.take_along_axis(scores, labels[:, None], axis=1)
        Tensor([[5.],
                [7.]], dtype=float64)
    """
    x, places = lifted(x), indices if isinstance(indices, Mapped) else lifted(indices, x).data
    x = reshape(x, (-1,)) if axis is None else x
    if places.dtype.kind not in "iu":
        raise TypeError(f"take_along_axis: indices must be of integer dtype, got {places.dtype}")
    if places.ndim != x.ndim or not x.ndim:
        raise ValueError(f"take_along_axis: indices must have {x.ndim or 1} axes as x has, got {places.ndim}")
    where = places.device if isinstance(places, Mapped) else device_of(places)
    if where != x.device:
        raise TypeError(
            f"take_along_axis: all arrays must be on one device, got ({x.device}, {where}); move them with .to(device)"
        )
    k = one_axis(x.ndim, axis or 0)
    if isinstance(places, Mapped):
        return run(_taken, [x], {"places": places, "axis": k, "distinct": False})
    return _taken(x, places, k, False)


@mappable
@numpy_words
def sort(x: Any, axis: int | None = -1) -> Tensor:
    """Return the elements along `axis` (None: flattened) in rising order; equal ones keep their order.

    Each gradient goes to the element that came to its place.

    Example:
        >>> cunet.sort([3.0, np.nan, 1.0, 2.0])
        Tensor([ 1.,  2.,  3., nan])
    """
    x = reshape(x, (-1,)) if axis is None else lifted(x)
    axis = one_axis(x.ndim, axis or 0)
    return _taken(x, argsort(x, axis), axis, True)


@mappable
@numpy_words
def topk(x: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Tensor, Array]:
    """Return the `k` largest elements along `axis` and their places.

    Args:
        x: tensor or array of at least one axis.
        k: how many, at most the length of the axis.
        axis: along which.
        largest: False returns the smallest.
        sorted: the result is in order in any case, the extreme first, of equal elements the one that comes first.

    Returns:
        Values as a Tensor, with gradients for the elements that they were; places as an array of integers.

    Raises:
        ValueError: there are fewer than `k` elements.

    Example:
        >>> values, places = cunet.topk([1.0, 9.0, 3.0, 7.0], 2)
        >>> values, places
        (Tensor([9., 7.]), array([1, 3]))
    """
    x = lifted(x)
    axis = one_axis(x.ndim, axis)
    length = x.shape[axis]
    if not 0 <= k <= length:
        raise ValueError(f"topk: k must be 0 to {length}, the length of axis {axis}, got {k}")
    places = _extreme_places(_comparable(x), k, axis, largest)
    return _taken(x, places, axis, True), places


def _extreme_places(a: Array, k: int, axis: int, largest: bool) -> Array:
    """Return the places of the k largest or smallest elements along `axis`, in order."""
    xp, length = array_module(a), a.shape[axis]
    if xp is np and length >= 64 and 0 < 4 * k <= length:  # below that to sort all is faster
        rows = a.swapaxes(axis, -1)
        candidates = _candidates(rows, k, largest)
        order = _extreme_places(np.take_along_axis(rows, candidates, -1), k, rows.ndim - 1, largest)
        return np.take_along_axis(candidates, order, -1).swapaxes(axis, -1)
    head = (slice(None),) * axis + (slice(k),)
    if not largest:
        return argsort(a, axis)[head]
    # Read backwards a sort of the reversed elements has the first of equal ones first.
    return length - 1 - xp.flip(argsort(xp.flip(a, axis), axis), axis)[head]


def _candidates(rows: np.ndarray, k: int, largest: bool) -> np.ndarray:
    """Return, rising, the places of the k extremes of each row; of those equal to the last of them the first ones."""
    last = rows.shape[-1] - k if largest else k - 1
    bound = np.partition(rows, last, axis=-1)[..., last : last + 1]
    nan, at_nan = np.isnan(rows), np.isnan(bound)
    beyond = (rows > bound) | (nan & ~at_nan) if largest else (rows < bound) | (~nan & at_nan)
    same = (rows == bound) | (nan & at_nan)
    chosen = beyond | (same & (same.cumsum(axis=-1) <= k - beyond.sum(axis=-1, keepdims=True)))
    return chosen.nonzero()[-1].reshape(*rows.shape[:-1], k)


@op(arrays=1)
def median(x, axis: Axis = None, keepdims: bool = False) -> Result:
    """Return the middle element over `axis`, of an even number the mean of two; NaN if there is a NaN.

    The gradient goes to the middle element, or half to each of the two: those that a stable sort puts there.

    Raises:
        ValueError: there are no elements over `axis`.

    Example:
        >>> cunet.median([5.0, 1.0, 3.0]), cunet.median([5.0, 1.0, 3.0, 4.0])
        (Tensor(3.), Tensor(3.5))
    """
    xp = array_module(x)
    wide = x if is_floating(x.dtype) else x.astype("float64")
    axes = folded_axes(x.ndim, axis)
    order = [*(k for k in range(x.ndim) if k not in axes), *axes]
    shape = [x.shape[k] for k in order]
    kept, length = shape[: x.ndim - len(axes)], math.prod(shape[x.ndim - len(axes) :])
    if not length:
        raise ValueError(f"median: at least one element over axis {axis} is required, got shape {x.shape}")
    rows = wide.transpose(order).reshape(*kept, length)
    low, high = _middle(xp, rows)
    y = lerp_forward(_at(xp, rows, low), _at(xp, rows, high), xp.full((), 0.5, wide.dtype))

    def vjp(gy):
        half = gy.reshape(*kept, 1) * 0.5
        reached = xp.arange(length)
        gx = xp.where(reached == low, half, 0) + xp.where(reached == high, half, 0)
        return (gx.reshape(shape).transpose([order.index(k) for k in range(x.ndim)]),)

    return y.reshape(reduced_shape(x.shape, axis, keepdims)), vjp


def _middle(xp: Any, rows: Array) -> tuple[Array, Array]:
    """Return the places of the two elements in the middle of each row, twice the same of an odd number, or of a NaN."""
    places, length = argsort(rows), rows.shape[-1]
    last = places[..., -1:]
    nan = xp.isnan(_at(xp, rows, last))
    low, high = (xp.where(nan, last, places[..., k : k + 1]) for k in ((length - 1) // 2, length // 2))
    return low, high


def _at(xp: Any, rows: Array, places: Array) -> Array:
    return xp.take_along_axis(rows, places, axis=-1)
