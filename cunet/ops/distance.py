"""Norms of vectors, what is divided by them, and distances: normalize, cosine_similarity, pairwise_distance.

A norm is that of the vector over its largest element, times that element: no square or power leaves the range of the
dtype. Half types are computed in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.methods import Axis
from ..autograd.op import Result, op
from ..device import Array, accumulator, array_module
from ..kernels.axes import folded_axes, reduced_shape
from ..kernels.sum_to import sum_over
from .softmax import check_floating

Axes = tuple[int, ...]


def check_order(who: str, p: float) -> None:
    """Raise ValueError unless there is a norm of order `p` here."""
    if not p >= 0:
        raise ValueError(f"{who}: p, the order of the norm, must be at least 0 (math.inf for the largest), got {p!r}")


def wide(who: str, name: str, x: Any) -> Array:
    """Return a floating array in the dtype of arithmetic."""
    check_floating(who, x, name)
    return x.astype(accumulator(x.dtype), copy=False)


def norm(x: Array, p: float, axes: Axes) -> Array:
    """Return ``sum(|x|**p)**(1 / p)`` over `axes`, which are kept; the largest ``|x|`` for inf, a count for 0."""
    xp = array_module(x)
    size = xp.abs(x)
    if p == 1 or not x.size:
        return sum_over(size, axes)
    if p == 0:
        return sum_over((x != 0).astype(x.dtype), axes)
    top = size.max(axis=axes, keepdims=True)
    if p == math.inf:
        return top
    # A vector of 0, and one with inf or NaN, is left as it is.
    unit = xp.where((top > 0) & (top < math.inf), top, xp.ones_like(top))
    size /= unit
    return unit * (xp.sqrt(sum_over(size * size, axes)) if p == 2 else sum_over(size**p, axes) ** (1 / p))


def slope(y: Array, p: float, axes: Axes) -> Array:
    """Return the derivative of the norm by x where ``y = x / norm(x)``; 0 where x is, shared by equal largest ones."""
    xp = array_module(y)
    if p == 2 or not y.size:
        return y
    sign = xp.sign(y)
    if p == 1:
        return sign
    if p == 0:
        return xp.zeros_like(y)
    size = xp.abs(y)
    if p == math.inf:
        largest = (size == size.max(axis=axes, keepdims=True)).astype(y.dtype)
        return sign * largest / xp.maximum(sum_over(largest, axes), 1)
    return sign * xp.where(size > 0, size, xp.ones_like(size)) ** (p - 1)


def units(x: Array, p: float, axes: Axes, eps: float) -> tuple[Array, Callable[[Array], Array]]:
    """Return ``y = x / max(norm(x), eps)``, and what gives the gradient of x from that of y."""
    xp = array_module(x)
    length = norm(x, p, axes)
    divisor = xp.maximum(length, eps)
    y = x / divisor

    def back(g: Array) -> Array:
        along = xp.where(length > eps, sum_over(g * y, axes), xp.zeros_like(length))
        return (g - along * slope(y, p, axes)) / divisor

    return y, back


@op(arrays=1)
def normalize(input, p: float = 2.0, dim: Axis = 1, eps: float = 1e-12) -> Result:
    """Return ``input / max(norm(input), eps)`` with norms of order `p` along `dim`.

    Where the norm is at most `eps` the gradient is ``gy / eps``.

    Args:
        input: floating, any shape that has `dim`.
        p: order of the norm, at least 0; `math.inf` for the largest absolute value.
        dim: one axis or several, whose elements are one vector.
        eps: the least that is divided by.

    Returns:
        Tensor like `input`.

    Raises:
        ValueError: p is below 0, or there is no such axis.
        TypeError: `input` is not of floating dtype.

    Example:
        >>> F.normalize(cunet.tensor([[3.0, 4.0], [0.0, 2.0]]))
        Tensor([[0.6, 0.8],
                [0. , 1. ]])
        >>> F.normalize(cunet.tensor([[3.0, 4.0], [0.0, 2.0]]), p=1.0, dim=0).round(4)
        Tensor([[1.    , 0.6667],
                [0.    , 0.3333]])
    """
    check_order("normalize", p)
    x = wide("normalize", "input", input)
    axes = folded_axes(x.ndim, dim)
    x = x.reshape(x.shape or (1,))
    y, back = units(x, p, axes, eps)
    y = y.astype(input.dtype, copy=False).reshape(input.shape)
    return y, lambda gy: (back(gy.astype(x.dtype, copy=False).reshape(x.shape)),)


def common(who: str, x1: Any, x2: Any) -> tuple[Array, Array, Any]:
    """Return two arrays stretched to one shape, in the dtype of arithmetic, and the dtype of the result."""
    check_floating(who, x1, "x1")
    check_floating(who, x2, "x2")
    if not x1.ndim or not x2.ndim:
        raise ValueError(f"{who}: x1 and x2 must have at least 1 axis, got shapes {x1.shape} and {x2.shape}")
    xp = array_module(x1, x2)
    dtype = xp.result_type(x1, x2)
    try:
        shape = np.broadcast_shapes(x1.shape, x2.shape)
    except ValueError:
        raise ValueError(f"{who}: x1 and x2 must broadcast to one shape, got {x1.shape} and {x2.shape}") from None
    a, b = (xp.broadcast_to(x.astype(accumulator(dtype), copy=False), shape) for x in (x1, x2))
    return a, b, dtype


@op(arrays=2)
def cosine_similarity(x1, x2, dim: int = 1, eps: float = 1e-8) -> Result:
    """Return the cosine of the angle between vectors along `dim`: ``sum(x1 / max(|x1|, eps) * x2 / max(|x2|, eps))``.

    Args:
        x1, x2: floating, shapes that broadcast to one, in which `dim` counts.
        dim: the axis along which vectors lie.
        eps: the least length that is divided by; of a vector of 0 the similarity is 0.

    Returns:
        Tensor of that shape without `dim`.

    Raises:
        ValueError: the shapes do not broadcast, or there is no such axis.
        TypeError: an array is not of floating dtype.

    Example:
        >>> x = cunet.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
        >>> y = cunet.tensor([[3.0, 4.0], [-5.0, 0.0], [1.0, 1.0]])
        >>> F.cosine_similarity(x, y).round(4)
        Tensor([ 0.6, -1. ,  0. ])
    """
    a, b, dtype = common("cosine_similarity", x1, x2)
    axes = folded_axes(a.ndim, dim)
    (u, u_back), (v, v_back) = units(a, 2, axes, eps), units(b, 2, axes, eps)

    def vjp(gy):
        g = gy.astype(u.dtype, copy=False).reshape(reduced_shape(u.shape, axes, True))
        return lambda: u_back(g * v), lambda: v_back(g * u)

    return sum_over(u * v, axes, keepdims=False).astype(dtype, copy=False), vjp


def distance(x1: Array, x2: Array, p: float, eps: float) -> tuple[Array, Callable[[Array], Array]]:
    """Return the norm of ``x1 - x2 + eps`` along the last axis, kept; and what gives the gradient of x1 from its."""
    xp = array_module(x1)
    gap = x1 - x2 + eps
    axes = (gap.ndim - 1,)
    length = norm(gap, p, axes)

    def back(g: Array) -> Array:
        return g * slope(gap / xp.where(length == 0, xp.ones_like(length), length), p, axes)

    return length, back


@op(arrays=2)
def pairwise_distance(x1, x2, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Result:
    """Return the norm of ``x1 - x2 + eps`` along the last axis; where it is 0 its gradient is taken as 0.

    Args:
        x1, x2: floating, shapes (..., D) that broadcast to one.
        p: order of the norm, at least 0; `math.inf` for the largest absolute value.
        eps: added to each difference, so that equal vectors have a gradient; 0 for the distance itself.
        keepdim: whether the last axis stays, with length 1.

    Returns:
        Tensor of shape (...), or (..., 1).

    Raises:
        ValueError: the shapes do not broadcast, or p is below 0.
        TypeError: an array is not of floating dtype.

    Example:
        >>> F.pairwise_distance(cunet.tensor([[0.0, 0.0], [1.0, 1.0]]), cunet.tensor([[3.0, 4.0], [1.0, 1.0]])).round(4)
        Tensor([5., 0.])
    """
    check_order("pairwise_distance", p)
    a, b, dtype = common("pairwise_distance", x1, x2)
    length, back = distance(a, b, p, eps)

    def vjp(gy):
        gx = back(gy.astype(a.dtype, copy=False).reshape(length.shape))
        return gx, lambda: -gx

    shape = length.shape if keepdim else length.shape[:-1]
    return length.astype(dtype, copy=False).reshape(shape), vjp
