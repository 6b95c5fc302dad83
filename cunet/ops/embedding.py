"""Lookup of rows by index, with a gradient that is the same in every run; one-hot rows."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..autograd.mapped import mappable
from ..autograd.op import Result, op
from ..autograd.tensor import Tensor, as_array
from ..device import Array, accumulator, array_module, is_gpu_array
from ..kernels import elementwise
from ..kernels.capture import capturing, done, recordable
from ..system.checks import check_counts, check_numbers
from .distance import check_order, norm
from .softmax import check_floating


# One element of the result for each index (last axis 1) and column; out of range nothing is read.
@elementwise(
    "raw T weight, int64 index, int64 column, int64 rows, int64 width",
    "T y",
    "y = 0 <= index && index < rows ? A(weight[index * width + column]) : log(A(-1))",
)
def embedding_forward(weight, index, column, rows, width):
    return weight[index[..., 0]]


# Each thread adds up one element of the result in the order of the lookups: no atomics, no chance.
@elementwise(
    "raw T gy, raw int64 order, int64 start, int64 stop, int64 column, int64 width",
    "T gw",
    "gw = 0; for (long long k = start; k < stop; ++k) gw += A(gy[order[k] * width + column])",
)
def embedding_backward(gy, order, start, stop, column, width):
    gw = np.zeros((len(start), width), gy.dtype)
    start, stop = start[:, 0], stop[:, 0]
    found = np.diff(start, append=len(order)) > 0
    gw[found] = np.add.reduceat(gy[order], start[found], axis=0)  # each sum ends where the next begins
    gw[found & (start >= stop)] = 0  # a padding row
    return gw


@op(arrays=2)
def embedding(
    input, weight, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0
) -> Result:
    """Return the rows of `weight` that `input` names.

    The gradient adds up over repeated indices in the order of the lookups, so that two runs give the same bits.

    Args:
        input: integers from 0 to rows - 1, any shape.
        weight: table (rows, width), floating.
        padding_idx: row that gets no gradient.
        max_norm: rows that are looked up and whose norm is larger are first shortened to it, in the table itself;
            ops that used the table before are not told. None: the table is left as it is.
        norm_type: order of that norm.

    Returns:
        Tensor of shape (*input.shape, width).

    Raises:
        TypeError: `input` holds no integers, or `weight` is not floating.
        ValueError: an index out of range on the CPU; on the GPU, where asking would make the host wait, its
            result is NaN and its gradient is dropped.

    Example:
        >>> weight = cunet.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        >>> y = F.embedding([1, 2, 1, 0], weight, padding_idx=0)
        >>> y.numpy()
        array([[1., 2.],
               [3., 4.],
               [1., 2.],
               [0., 0.]], dtype=float32)
        >>> y.sum().backward()
        >>> weight.grad  # row 1 was taken twice
        array([[0., 0.],
               [2., 2.],
               [1., 1.]], dtype=float32)
    """
    check_floating("embedding", weight, "weight")
    if weight.ndim != 2:
        raise ValueError(f"embedding: weight must have shape (rows, width), got {weight.shape}")
    rows, width = weight.shape
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise ValueError(f"embedding: padding_idx must be within {rows} rows, got {padding_idx}")
    indices = _integers("embedding", input)
    if recordable(weight) and type(indices) is np.ndarray:
        indices = done(_checked, indices, rows)
    else:
        _check_range("embedding", indices, rows)
    column = _columns(weight, width)
    if max_norm is not None:
        check_limit("embedding", max_norm, norm_type)
        _shorten(weight, indices.reshape(-1), max_norm, norm_type)

    def vjp(gy):
        return None, lambda: add_rows(gy.reshape(indices.size, width), indices.reshape(-1), rows, padding_idx)

    return embedding_forward(weight, indices[..., None], column, rows, width), vjp


def add_rows(gy: Array, indices: Array, rows: int, padding_idx: int | None = None) -> Array:
    """Return for each of `rows` the sum, in their order, of the rows of `gy` whose index it is; 0 for `padding_idx`."""
    find: Any = functools.partial(done, _places) if type(indices) is np.ndarray else _places
    order, start, stop = find(indices, rows, padding_idx)
    return embedding_backward(gy, order, start[:, None], stop[:, None], _columns(gy, gy.shape[1]), gy.shape[1])


def _places(indices: Array, rows: int, padding_idx: int | None) -> tuple[Array, Array, Array]:
    """Return the order of the lookups by their rows, and for each row where its own begin and end there."""
    xp = array_module(indices)
    order = xp.argsort(indices, kind="stable")  # equal indices become neighbours, in the order of the lookups
    found, row = indices[order], xp.arange(rows)
    start = xp.searchsorted(found, row)
    stop = xp.searchsorted(found, row, side="right")
    if padding_idx is not None:
        stop[padding_idx] = 0
    return order, start, stop


_known_columns: dict[int, np.ndarray] = {}


def _columns(like: Array, width: int) -> Array:
    """Return the numbers of columns; on a CPU always the same array, which recorded steps then find where it was."""
    if type(like) is not np.ndarray:
        return array_module(like).arange(width)
    found = _known_columns.get(width)
    if found is None:
        found = np.arange(width)
        found.flags.writeable = False
        if capturing.get() is None:  # a recorded step lets go of what it makes
            _known_columns[width] = found
    return found


def check_limit(who: str, max_norm: float, norm_type: float) -> None:
    """Raise ValueError unless rows can be shortened to `max_norm` in the norm of order `norm_type`."""
    check_numbers(who, max_norm=max_norm, norm_type=norm_type)
    if not max_norm > 0:
        raise ValueError(f"{who}: max_norm must be above 0, got {max_norm}")
    check_order(who, norm_type)


def _shorten(weight: Array, indices: Array, max_norm: float, norm_type: float) -> None:
    """Shorten, in place, the rows that `indices` name and whose norm of order `norm_type` is larger."""
    place = indices % max(len(weight), 1)  # for a GPU, where they may be out of range
    found = weight[place]
    length = norm(found.astype(accumulator(weight.dtype), copy=False), norm_type, (1,))
    # A row that is named twice is written twice, with the same numbers; 1e-7 as in PyTorch.
    scale = array_module(weight).where(length > max_norm, max_norm / (length + 1e-7), 1.0)
    weight[place] = (found * scale).astype(weight.dtype, copy=False)


@mappable
def one_hot(tensor: Any, num_classes: int, dtype: Any = np.float32) -> Tensor:
    """Return rows that are 1 at the places that `tensor` names and 0 elsewhere.

    Args:
        tensor: integers from 0 to num_classes - 1, any shape.
        num_classes: length of a row. It is not guessed from the data: that would make the host wait for a GPU.
        dtype: of the result.

    Returns:
        Tensor of shape (*tensor.shape, num_classes); it has no gradient.

    Raises:
        TypeError: `tensor` holds no integers, or `num_classes` is none.
        ValueError: `num_classes` is below 0; an index is out of range on the CPU, while on the GPU its row is 0.

    Example:
        >>> F.one_hot([0, 2], 3)
        Tensor([[1., 0., 0.],
                [0., 0., 1.]])
    """
    check_counts("one_hot", 0, num_classes=num_classes)
    indices = _integers("one_hot", tensor.data if isinstance(tensor, Tensor) else tensor)
    _check_range("one_hot", indices, num_classes)
    return Tensor((indices[..., None] == array_module(indices).arange(num_classes)).astype(dtype))


def _integers(who: str, indices: Any) -> Array:
    indices = as_array(indices)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{who}: indices must be of integer dtype, got {indices.dtype}")
    return indices.astype(np.int64, copy=False)


def _checked(indices: Array, count: int) -> Array:
    """Return a copy of indices that are in range."""
    _check_range("embedding", indices, count)
    return indices.copy()


def _check_range(who: str, indices: Array, count: int) -> None:
    """Raise ValueError for an index that is not in [0, count); asks nothing of a GPU."""
    if indices.size and not is_gpu_array(indices):
        low, high = indices.min(), indices.max()
        if low < 0 or high >= count:
            raise ValueError(f"{who}: indices must be 0 to {count - 1}, got {low if low < 0 else high}")
