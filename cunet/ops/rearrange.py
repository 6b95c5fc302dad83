"""Elements laid out in other ways: rolled, joined, on a diagonal, beside it; and differences of neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.op import Result, op
from ..autograd.pytorch import numpy_words
from ..autograd.tensor import Tensor, array_of
from ..device import array_module
from ..kernels.axes import one_axis
from .array import broadcast_to, concatenate, reshape, transpose
from .indexing import getitem
from .math import subtract
from .operands import lifted
from .reduce import sum


@op(arrays=1)
def roll(x, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Result:
    """Move elements by `shift` places along `axis` (None: of the flattened tensor); those that leave come in again.

    Args:
        x: tensor or array.
        shift: how far, backwards if negative; one for all axes, or one for each.
        axis: along which.

    Example:
        >>> cunet.roll([1.0, 2.0, 3.0], 1)
        Tensor([3., 1., 2.])
    """
    xp = array_module(x)
    back = -shift if isinstance(shift, int) else tuple(-s for s in shift)
    along = axis if axis is None or isinstance(axis, int) else tuple(axis)
    forth = shift if isinstance(shift, int) else tuple(shift)
    return xp.roll(x, forth, along), lambda gy: (xp.roll(gy, back, along),)


@op(arrays=1)
def diagonal(x, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Result:
    """Return a diagonal over two axes, placed last.

    Args:
        x: tensor or array of two axes or more.
        offset: which: 0 the main one, above it if positive, below it if negative.
        axis1, axis2: its first and second axis.

    Example:
        >>> cunet.diagonal([[1.0, 2.0], [3.0, 4.0]])
        Tensor([1., 4.])
        >>> cunet.diagonal(np.zeros((5, 3, 3)), axis1=1, axis2=2).shape  # of each matrix
        (5, 3)
    """
    xp = array_module(x)
    row, column = max(-offset, 0), max(offset, 0)

    def vjp(gy):
        gx = xp.zeros_like(x)
        at = xp.arange(gy.shape[-1])
        xp.moveaxis(gx, (axis1, axis2), (-2, -1))[..., row + at, column + at] = gy
        return (gx,)

    return x.diagonal(offset, axis1, axis2), vjp


@op(arrays=1)
def _on_diagonal(x, k: int) -> Result:
    return array_module(x).diag(x, k), lambda gy: (gy.diagonal(k),)


@numpy_words
def diag(x: Any, k: int = 0) -> Tensor:
    """Return the matrix with `x` on diagonal `k` and 0 elsewhere; of a matrix, what is on that diagonal.

    Raises:
        ValueError: `x` has neither one axis nor two.

    Example:
        >>> cunet.diag([1.0, 2.0])
        Tensor([[1., 0.],
                [0., 2.]])
        >>> cunet.diag(cunet.diag([1.0, 2.0]))
        Tensor([1., 2.])
    """
    x = lifted(x)
    if x.ndim not in (1, 2):
        raise ValueError(f"diag: x must have 1 or 2 axes, got shape {x.shape}")
    return _on_diagonal(x, k) if x.ndim == 1 else diagonal(x, k)


@numpy_words
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Tensor:
    """Return the sum over a diagonal, see `diagonal`; computed in `dtype` if it is given.

    Example:
        >>> cunet.trace([[1.0, 2.0], [3.0, 4.0]])
        Tensor(5.)
    """
    return sum(diagonal(x, offset, axis1, axis2), axis=-1, dtype=dtype)


@op(arrays=1)
def tril(x, k: int = 0) -> Result:
    """Keep the lower triangle of the last two axes, up to diagonal `k`; 0 above it.

    Example:
        >>> cunet.tril(np.ones((3, 3), np.int64), -1)
        Tensor([[0, 0, 0],
                [1, 0, 0],
                [1, 1, 0]], dtype=int64)
    """
    xp = array_module(x)
    return xp.tril(x, k), lambda gy: (xp.tril(gy, k),)


@op(arrays=1)
def triu(x, k: int = 0) -> Result:
    """Keep the upper triangle of the last two axes, from diagonal `k` on; 0 below it.

    Example:
        >>> cunet.triu(np.full((3, 3), -np.inf), 1)  # a causal mask, to be added to scores
        Tensor([[  0., -inf, -inf],
                [  0.,   0., -inf],
                [  0.,   0.,   0.]], dtype=float64)
    """
    xp = array_module(x)
    return xp.triu(x, k), lambda gy: (xp.triu(gy, k),)


@numpy_words
def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Move axes to other places; all others keep their order.

    Example:
        >>> cunet.moveaxis(np.zeros((8, 32, 32, 3)), -1, 1).shape  # channels first
        (8, 3, 32, 32)
    """
    x = lifted(x)
    # The axes of an array whose axis k has length k tell where each went.
    return transpose(x, np.moveaxis(np.empty(tuple(range(x.ndim))), source, destination).shape)


@numpy_words
def vstack(tensors: Sequence[Any]) -> Tensor:
    """Join tensors along their first axis; those of one axis are rows.

    Example:
        >>> cunet.vstack([[1.0, 2.0], [3.0, 4.0]])
        Tensor([[1., 2.],
                [3., 4.]])
    """
    return concatenate([reshape(x, (1, -1)) if x.ndim < 2 else x for x in _lifted(tensors)])


@numpy_words
def hstack(tensors: Sequence[Any]) -> Tensor:
    """Join tensors along their second axis, those of one axis along that.

    Example:
        >>> cunet.hstack([[1.0, 2.0], [3.0]])
        Tensor([1., 2., 3.])
        >>> cunet.hstack([np.zeros((2, 3)), np.zeros((2, 1))]).shape
        (2, 4)
    """
    parts = [reshape(x, (1,)) if x.ndim < 1 else x for x in _lifted(tensors)]
    return concatenate(parts, axis=0 if parts and parts[0].ndim == 1 else 1)


def _lifted(tensors: Sequence[Any]) -> list[Tensor]:
    return [lifted(x, *tensors) for x in tensors]


@numpy_words
def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """Return differences of neighbours along `axis`: ``x[1:] - x[:-1]``, `n` times over.

    Args:
        x: tensor or array of at least one axis.
        n: how often; the axis gets shorter by one each time.
        axis: along which.
        prepend, append: numbers or tensors that are put before and after `x` first.

    Raises:
        ValueError: `n` is negative.

    Example:
        >>> cunet.diff([1.0, 4.0, 9.0, 16.0]), cunet.diff([1.0, 4.0, 9.0, 16.0], n=2)
        (Tensor([3., 5., 7.]), Tensor([2., 2.]))
    """
    x = lifted(x)
    if n < 0:
        raise ValueError(f"diff: n must be >= 0, got {n}")
    axis = one_axis(x.ndim, axis)
    ends = [None if end is None else _end(end, x, axis) for end in (prepend, append)]
    if any(end is not None for end in ends) and n:
        x = concatenate([part for part in (ends[0], x, ends[1]) if part is not None], axis=axis)
    before = (slice(None),) * axis
    for _ in range(n):
        x = subtract(getitem(x, (*before, slice(1, None))), getitem(x, (*before, slice(None, -1))))
    return x


def _end(end: Any, x: Tensor, axis: int) -> Tensor:
    """Return a number as a tensor of the shape of `x`, of length 1 along `axis`."""
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    if type(end) in (int, float):  # filled in where `x` is: an upload would make a GPU wait
        xp = array_module(array_of(x))
        return Tensor(xp.full(shape, end, xp.result_type(array_of(x), end)))
    end = lifted(end, x)
    return end if end.ndim else broadcast_to(end, shape)
