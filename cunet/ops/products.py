"""Products that NumPy has beside matmul: dot, inner, outer, tensordot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from .array import reshape, transpose
from .linalg import matmul
from .math import multiply
from .operands import lifted

Axes = int | tuple[int | Sequence[int], int | Sequence[int]]


def dot(x: Any, y: Any) -> Tensor:
    """Return the sum over the last axis of `x` times the second last of `y` (the only one, if it has one).

    For matrices this is ``x @ y``; a number multiplies. With more axes, all those that are left of `x` come before
    those of `y`, as in `numpy.dot`; `matmul` broadcasts them instead.

    Example:
        >>> cunet.dot([1.0, 2.0], [3.0, 4.0])
        Tensor(11.)
        >>> x, y = np.zeros((5, 2, 3)), np.zeros((5, 3, 4))
        >>> cunet.dot(x, y).shape, cunet.matmul(x, y).shape
        ((5, 2, 5, 4), (5, 2, 4))
    """
    x, y = lifted(x, y), lifted(y, x)
    if not x.ndim or not y.ndim:
        return multiply(x, y)
    if x.ndim <= 2 and y.ndim <= 2:
        return matmul(x, y)
    return _contracted("dot", x, y, (-1,), (-1 if y.ndim == 1 else -2,))


def inner(x: Any, y: Any) -> Tensor:
    """Return the sum over the last axis of both; a number multiplies.

    Example:
        >>> cunet.inner([[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
        Tensor([21., 43.])
    """
    x, y = lifted(x, y), lifted(y, x)
    return _contracted("inner", x, y, (-1,), (-1,)) if x.ndim and y.ndim else multiply(x, y)


def outer(x: Any, y: Any) -> Tensor:
    """Return all products of an element of `x` and one of `y`, both flattened: shape (x.size, y.size).

    Example:
        >>> cunet.outer([1.0, 2.0], [3.0, 4.0, 5.0])
        Tensor([[ 3.,  4.,  5.],
                [ 6.,  8., 10.]])
    """
    return multiply(reshape(lifted(x, y), (-1, 1)), reshape(lifted(y, x), (1, -1)))


def tensordot(x: Any, y: Any, axes: Axes = 2) -> Tensor:
    """Return the sum of products over pairs of axes; the axes left of `x` come before those left of `y`.

    Args:
        x, y: tensors or arrays.
        axes: how many of the last axes of `x` go with the first of `y`; or the axes of `x` and those of `y`.

    Raises:
        ValueError: the axes do not exist, or differ in number or in length.

    Example:
        >>> cunet.tensordot(np.zeros((2, 3, 4)), np.zeros((4, 3, 5)), axes=([1, 2], [1, 0])).shape
        (2, 5)
    """
    x, y = lifted(x, y), lifted(y, x)
    if isinstance(axes, (int, np.integer)):
        return _contracted("tensordot", x, y, range(-axes, 0), range(axes))
    of_x, of_y = ((a,) if isinstance(a, (int, np.integer)) else tuple(a) for a in axes)
    return _contracted("tensordot", x, y, of_x, of_y)


def _contracted(who: str, x: Tensor, y: Tensor, of_x: Sequence[int], of_y: Sequence[int]) -> Tensor:
    """Sum over pairs of axes, as a product of two matrices."""
    fit = (
        len(of_x) == len(of_y) and all(-x.ndim <= a < x.ndim for a in of_x) and all(-y.ndim <= b < y.ndim for b in of_y)
    )
    if not fit or any(x.shape[a] != y.shape[b] for a, b in zip(of_x, of_y, strict=True)):
        raise ValueError(
            f"{who}: axes must be pairs of equal length, got {tuple(of_x)} and {tuple(of_y)} "
            f"for shapes {x.shape} and {y.shape}"
        )
    summed_x, summed_y = [a % x.ndim for a in of_x], [b % y.ndim for b in of_y]
    left = [a for a in range(x.ndim) if a not in summed_x]
    right = [b for b in range(y.ndim) if b not in summed_y]
    length = math.prod(x.shape[a] for a in summed_x)
    rows, columns = [x.shape[a] for a in left], [y.shape[b] for b in right]
    a = reshape(transpose(x, (*left, *summed_x)), (math.prod(rows), length))
    b = reshape(transpose(y, (*summed_y, *right)), (length, math.prod(columns)))
    return reshape(matmul(a, b), (*rows, *columns))
