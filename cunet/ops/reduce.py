"""Reductions over axes: sum, mean, variance, extremes, product, cumulative sum.

`axis` is an int, a tuple of ints or None for all; sums over half types are kept in float32.
"""

from __future__ import annotations

from ..backend import Array, accumulator, array_module, is_floating, is_half
from ..kernels import reduced_shape
from ..methods import Axis
from ..tensor import op


def _expand(a: Array, shape: tuple[int, ...], axis: Axis) -> Array:
    """Give a reduced array its folded axes back, with length 1."""
    return a.reshape(reduced_shape(shape, axis, True))


def _sum(x: Array, axis: Axis, keepdims: bool = False) -> Array:
    total = x.sum(axis=axis, keepdims=keepdims, dtype=accumulator(x.dtype) if is_floating(x.dtype) else None)
    return total.astype(x.dtype) if is_half(x.dtype) else total


def _count(shape: tuple[int, ...], axis: Axis) -> int:
    kept = reduced_shape(shape, axis, True)
    n = 1
    for full, left in zip(shape, kept, strict=True):
        n *= full if left == 1 else 1
    return n


@op
def sum(x, *, axis: Axis = None, keepdims: bool = False):
    """Return the sum over `axis`."""
    xp = array_module(x)
    return _sum(x, axis, keepdims), lambda gy: (xp.broadcast_to(_expand(gy, x.shape, axis), x.shape),)


@op
def mean(x, *, axis: Axis = None, keepdims: bool = False):
    """Return the mean over `axis`."""
    xp = array_module(x)
    n = _count(x.shape, axis)
    return x.mean(axis=axis, keepdims=keepdims), lambda gy: (xp.broadcast_to(_expand(gy / n, x.shape, axis), x.shape),)


def _centred(x: Array, axis: Axis) -> Array:
    return x - x.mean(axis=axis, keepdims=True)


def _variance(x: Array, axis: Axis, ddof: int, keepdims: bool, name: str) -> tuple[Array, Array, int]:
    """Return the two-pass variance, the deviations, and the divisor."""
    n = _count(x.shape, axis) - ddof
    if n <= 0:
        raise ValueError(f"{name}: ddof={ddof} needs more than {ddof} values over axis {axis}, got {n + ddof}")
    wide = x.astype(accumulator(x.dtype), copy=False)
    d = _centred(wide, axis)
    return (d * d).sum(axis=axis, keepdims=keepdims) / n, d, n


@op
def var(x, *, axis: Axis = None, ddof: int = 0, keepdims: bool = False):
    """Return the variance over `axis`: ``sum((x - mean)**2) / (count - ddof)``, by two passes."""
    v, d, n = _variance(x, axis, ddof, keepdims, "var")
    return v.astype(x.dtype), lambda gy: (_expand(gy, x.shape, axis) * (d * (2 / n)),)


@op
def std(x, *, axis: Axis = None, ddof: int = 0, keepdims: bool = False):
    """Return the standard deviation over `axis`; where it is 0 its gradient is taken as 0."""
    xp = array_module(x)
    v, d, n = _variance(x, axis, ddof, keepdims, "std")
    s = xp.sqrt(v)

    def vjp(gy):
        full = _expand(s, x.shape, axis)
        safe = xp.where(full == 0, xp.ones_like(full), full)
        return (_expand(gy, x.shape, axis) * (d / (safe * n)),)

    return s.astype(x.dtype), vjp


def _share_among_ties(x: Array, y: Array, gy: Array, axis: Axis) -> Array:
    ties = x == _expand(y, x.shape, axis)
    count = ties.sum(axis=axis, keepdims=True)
    return ties * (_expand(gy, x.shape, axis) / count.astype(gy.dtype))


@op
def max(x, *, axis: Axis = None, keepdims: bool = False):
    """Return the largest element over `axis`; equal ones share the gradient evenly."""
    y = x.max(axis=axis, keepdims=keepdims)
    return y, lambda gy: (_share_among_ties(x, y, gy, axis),)


@op
def min(x, *, axis: Axis = None, keepdims: bool = False):
    """Return the smallest element over `axis`; equal ones share the gradient evenly."""
    y = x.min(axis=axis, keepdims=keepdims)
    return y, lambda gy: (_share_among_ties(x, y, gy, axis),)


@op
def prod(x, *, axis: Axis = None, keepdims: bool = False):
    """Return the product over `axis`. The gradient is right with any number of zeros."""
    xp = array_module(x)

    def vjp(gy):
        axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = tuple(a % x.ndim for a in axes)
        kept = tuple(a for a in range(x.ndim) if a not in axes)
        moved = x.transpose(kept + axes)
        rows = moved.reshape(*moved.shape[: len(kept)], -1)
        # Product of all others = product of those before times product of those after: no division.
        one = xp.ones_like(rows[..., :1])
        before = xp.cumprod(xp.concatenate([one, rows[..., :-1]], axis=-1), axis=-1)
        after = xp.cumprod(xp.concatenate([one, rows[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
        others = (before * after).reshape(moved.shape)
        back = [0] * x.ndim
        for i, a in enumerate(kept + axes):
            back[a] = i
        return (_expand(gy, x.shape, axis) * others.transpose(back),)

    return x.prod(axis=axis, keepdims=keepdims), vjp


@op
def cumsum(x, *, axis: int | None = None):
    """Return the running sum along `axis` (None: over the flattened tensor)."""
    xp = array_module(x)

    def vjp(gy):
        k = 0 if axis is None else axis
        return (xp.flip(xp.cumsum(xp.flip(gy, k), axis=k), k).reshape(x.shape),)

    return x.cumsum(axis=axis), vjp
