"""Reductions over axes: sum, mean, variance, extremes, product.

`axis` is an int, a tuple of ints or None for all; half types are accumulated in float32. With `dtype` elements are
converted to it before anything is computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.methods import Axis
from ..autograd.op import Result, op
from ..device import Array, accumulator, array_module, is_floating
from ..kernels.axes import folded_axes, reduced_shape
from ..kernels.capture import divided
from ..kernels.sum_to import sum_over
from .cumulative import products_before
from .operands import converted


def _expand(a: Array, shape: tuple[int, ...], axis: Axis) -> Array:
    """Give a reduced array its folded axes back, with length 1."""
    return a.reshape(reduced_shape(shape, axis, True)) if shape else a


def _wide(dtype: np.dtype) -> np.dtype | None:
    """Return the dtype to accumulate in: None, NumPy's choice, for integers."""
    return accumulator(dtype) if is_floating(dtype) else None


def _narrow(y: Array, dtype: np.dtype) -> Array:
    """Give a result the dtype of its input; that of integers is NumPy's choice."""
    return y.astype(dtype, copy=False) if is_floating(dtype) else y


def _total(x: Array, axis: Axis, keepdims: bool) -> Array:
    """Return the sum over `axis`, in the dtype to accumulate in."""
    if is_floating(x.dtype):
        return sum_over(x, folded_axes(x.ndim, axis), keepdims)
    return x.sum(axis=axis, keepdims=keepdims)


def _mean(x: Array, axis: Axis, keepdims: bool) -> Array:
    """Return the mean over `axis`, in the dtype to accumulate in; of integers NumPy's float64."""
    if is_floating(x.dtype):
        return divided(_total(x, axis, keepdims), _count(x.shape, axis))
    return x.mean(axis=axis, keepdims=keepdims)


def _count(shape: tuple[int, ...], axis: Axis) -> int:
    kept = reduced_shape(shape, axis, True) if shape else ()
    n = 1
    for full, left in zip(shape, kept, strict=True):
        n *= full if left == 1 else 1
    return n


@op(arrays=1)
def sum(x, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Result:
    """Return the sum over `axis`.

    Example:
        >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> cunet.sum(x), cunet.sum(x, axis=0), cunet.sum(x, axis=1, keepdims=True).shape
        (Tensor(10., dtype=float64), Tensor([4., 6.], dtype=float64), (2, 1))
    """
    xp, x = array_module(x), converted(x, dtype)
    y = _narrow(_total(x, axis, keepdims), x.dtype)
    return y, lambda gy: (xp.broadcast_to(_expand(gy, x.shape, axis), x.shape),)


@sum_over.tensors
def _(x, axes, keepdims=True):
    return x.sum(axis=axes, keepdims=keepdims)


@op(arrays=1)
def mean(x, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Result:
    """Return the mean over `axis`.

    Example:
        >>> cunet.mean([[1.0, 2.0], [3.0, 4.0]], axis=1)
        Tensor([1.5, 3.5])
        >>> cunet.mean(np.full(100000, 10.0, np.float16))  # summed in float32: float16 ends at 65504
        Tensor(10., dtype=float16)
    """
    xp, x = array_module(x), converted(x, dtype)
    y = _narrow(_mean(x, axis, keepdims), x.dtype)

    def vjp(gy):
        # Widened first: a count above 65504 is no float16.
        g = divided(gy.astype(accumulator(gy.dtype), copy=False), _count(x.shape, axis))
        return (xp.broadcast_to(_expand(g, x.shape, axis), x.shape),)

    return y, vjp


def _variance(x: Array, axis: Axis, ddof: int, keepdims: bool, name: str) -> tuple[Array, Array, int]:
    """Return the variance, the deviations from a mean that a second pass mends, and the divisor."""
    wide = x.astype(_wide(x.dtype) or np.float64, copy=False)
    xp = array_module(x)
    d = wide - _mean(wide, axis, True)
    rest = _mean(d, axis, True)
    d -= xp.where(xp.isfinite(rest), rest, 0)  # of a sum that overflowed: inf - inf would be NaN
    n = _count(x.shape, axis) - ddof
    if n <= 0:
        raise ValueError(f"{name}: ddof={ddof} needs more than {ddof} values over axis {axis}, got {n + ddof}")
    return _total(d * d, axis, keepdims) / n, d, n


@op(arrays=1)
def var(x, axis: Axis = None, ddof: int = 0, keepdims: bool = False, dtype: Any = None) -> Result:
    """Return the variance over `axis`: ``sum((x - mean)**2) / (count - ddof)``, by two passes.

    Example:
        >>> cunet.var([1.0, 2.0, 3.0, 6.0]), cunet.var([1.0, 2.0, 3.0, 6.0], ddof=1).round(4)
        (Tensor(3.5), Tensor(4.6667))
    """
    x = converted(x, dtype)
    v, d, n = _variance(x, axis, ddof, keepdims, "var")
    return _narrow(v, x.dtype), lambda gy: (_expand(gy, x.shape, axis) * (d * (2 / n)),)


@op(arrays=1)
def std(x, axis: Axis = None, ddof: int = 0, keepdims: bool = False, dtype: Any = None) -> Result:
    """Return the standard deviation over `axis`; of equal values its gradient is taken as 0.

    The value is NumPy's, 0 or inf where squares of the deviations leave the range of the dtype; the gradient is right
    there too.

    Example:
        >>> cunet.std([1.0, 3.0])
        Tensor(1.)
        >>> cunet.grad(cunet.std)(np.array([2.0, 2.0]))  # not NaN
        array([0., 0.])
    """
    xp, x = array_module(x), converted(x, dtype)
    v, d, n = _variance(x, axis, ddof, keepdims, "std")

    def vjp(gy):
        largest = abs(d).max(axis=folded_axes(x.ndim, axis), keepdims=True)
        unit = d / xp.where(largest == 0, xp.ones_like(largest), largest)  # whose squares stay in the range
        spread = xp.sqrt(_total(unit * unit, axis, True) / n) * n
        return (_expand(gy, x.shape, axis) * (unit / xp.where(largest == 0, xp.ones_like(spread), spread)),)

    return _narrow(xp.sqrt(v), x.dtype), vjp


def _share_among_ties(x: Array, y: Array, gy: Array, axis: Axis) -> Array:
    xp = array_module(x)
    y = _expand(y, x.shape, axis)
    ties = (x == y) | ((x != x) & (y != y))  # a NaN is the extreme wherever there is one
    count = ties.sum(axis=axis, keepdims=True)
    return xp.where(ties, _expand(gy, x.shape, axis) / count.astype(accumulator(gy.dtype)), 0)


@op(arrays=1)
def max(x, axis: Axis = None, keepdims: bool = False) -> Result:
    """Return the largest element over `axis`, NaN if there is one; equal ones share the gradient evenly.

    Example:
        >>> cunet.max([[1.0, 5.0], [7.0, 2.0]], axis=1)
        Tensor([5., 7.])
        >>> cunet.grad(cunet.max)(np.array([3.0, 1.0, 3.0]))
        array([0.5, 0. , 0.5])
    """
    y = x.max(axis=axis, keepdims=keepdims)
    return y, lambda gy: (_share_among_ties(x, y, gy, axis),)


@op(arrays=1)
def min(x, axis: Axis = None, keepdims: bool = False) -> Result:
    """Return the smallest element over `axis`, NaN if there is one; equal ones share the gradient evenly.

    Example:
        >>> cunet.min([[1.0, 5.0], [7.0, 2.0]], axis=1)
        Tensor([1., 2.])
    """
    y = x.min(axis=axis, keepdims=keepdims)
    return y, lambda gy: (_share_among_ties(x, y, gy, axis),)


def products_of_others(rows: Array) -> Array:
    """Return for each element of a row the product of all others, without a division and without leaving the range."""
    (f, p), (g, q) = products_before(rows), products_before(rows[..., ::-1])
    return array_module(rows).ldexp(f * g[..., ::-1], p + q[..., ::-1])


@op(arrays=1)
def prod(x, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Result:
    """Return the product over `axis`.

    The gradient is right with any number of zeros, and where a part of the product leaves the range of the dtype.

    Example:
        >>> cunet.grad(cunet.prod)(np.array([0.0, 2.0, 3.0]))
        array([6., 0., 0.])
    """
    x = converted(x, dtype)
    wide = x.astype(accumulator(x.dtype), copy=False)

    def vjp(gy):
        axes = folded_axes(x.ndim, axis)
        kept = tuple(a for a in range(x.ndim) if a not in axes)
        moved = wide.transpose(kept + axes)
        rows = moved.reshape(*moved.shape[: len(kept)], _count(x.shape, axis))
        others = (products_of_others(rows) if rows.size else rows).reshape(moved.shape)
        back = [0] * x.ndim
        for i, a in enumerate(kept + axes):
            back[a] = i
        return (_expand(gy, x.shape, axis) * others.transpose(back),)

    return _narrow(wide.prod(axis=axis, keepdims=keepdims), x.dtype), vjp
