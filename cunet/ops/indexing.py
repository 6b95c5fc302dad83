"""Elements selected by index, and gradients added up at the places that an index names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.mapped import Mapped, run
from ..autograd.op import Result, op
from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, is_array
from ..kernels import primitive
from ..kernels.assign import assign, zeros
from .embedding import add_rows


@op
def _getitem(x, *, index: Any) -> Result:
    xp = array_module(x)
    if xp is not np:
        index = tuple(xp.asarray(p) if isinstance(p, np.ndarray) else p for p in index)

    def vjp(gy):
        if _repeats(index):
            gx = add_at(gy, x.shape, index)
        else:
            gx = zeros(gy, x.shape, gy.dtype)
            if _is_basic(index):
                assign(gx[index], gy)
            else:
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


def _is_basic(index: Any) -> bool:
    """Tell whether an index gives a view, which has axes."""
    kinds = {type(p) for p in index}
    return kinds <= {int, slice, type(None), type(...)} and bool(kinds - {int})


def _repeats(index: Any) -> bool:
    """Tell whether an index can name one element twice: only integer arrays can."""
    return any(is_array(p) and p.dtype.kind in "iu" for p in index)


def getitem(x: Any, index: Any) -> Tensor:
    """Select elements as NumPy does; gradients add up where an element was selected more than once.

    Args:
        x: tensor or array.
        index: slices, integers, None, Ellipsis, integer or boolean arrays (NumPy, CuPy, Tensor, list), or a
            tuple of such.

    Example:
        >>> x = cunet.tensor([10.0, 20.0, 30.0], requires_grad=True)
        >>> cunet.getitem(x, [0, 0, 2]).sum().backward()  # as x[[0, 0, 2]]
        >>> x.grad
        array([2., 0., 1.], dtype=float32)
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
