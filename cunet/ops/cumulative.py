"""Running sums and products."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.op import Result, op
from ..device import Array, accumulator, array_module, is_floating
from ..kernels.axes import one_axis
from .operands import converted

#: A number as fraction and power of 2: products of any length stay in the range.
Scaled = tuple[Array, Array]


@op(arrays=1)
def cumsum(x, axis: int | None = None, dtype: Any = None) -> Result:
    """Return the running sum along `axis` (None: over the flattened tensor), computed in `dtype` if it is given.

    Example:
        >>> cunet.cumsum([1.0, 2.0, 3.0])
        Tensor([1., 3., 6.])
    """
    xp = array_module(x)
    x = converted(x, dtype)

    def vjp(gy):
        k = 0 if axis is None else axis
        running = xp.cumsum(xp.flip(gy, k), axis=k, dtype=accumulator(gy.dtype))
        return (xp.flip(running, k).reshape(x.shape),)

    floating = is_floating(x.dtype)
    y = x.cumsum(axis=axis, dtype=accumulator(x.dtype) if floating else None)
    return y.astype(x.dtype, copy=False) if floating else y, vjp


@op(arrays=1)
def cumprod(x, axis: int | None = None, dtype: Any = None) -> Result:
    """Return the running product along `axis` (None: over the flattened tensor), computed in `dtype` if it is given.

    The gradient is right with any number of zeros, and where a part of the product leaves the range of the dtype.

    Example:
        >>> cunet.cumprod([1.0, 2.0, 3.0])
        Tensor([1., 2., 6.])
        >>> cunet.grad(lambda x: cunet.cumprod(x)[-1])(np.array([2.0, 0.0, 3.0]))
        array([0., 6., 0.])
    """
    xp, x = array_module(x), converted(x, dtype)
    floating = is_floating(x.dtype)
    wide = x.astype(accumulator(x.dtype), copy=False) if floating else x

    def vjp(gy):
        k = 0 if axis is None or not x.ndim else one_axis(x.ndim, axis)  # of a flattened array too
        rows, gradients = (a.reshape(gy.shape).swapaxes(k, -1) for a in (wide, gy.astype(wide.dtype, copy=False)))
        gx = None if xp is not np else _cumprod_backward_by_sums(gradients, rows)
        gx = _cumprod_backward(gradients, rows) if gx is None else gx
        return (gx.swapaxes(k, -1).reshape(x.shape),)

    y = wide.cumprod(axis=axis)
    return y.astype(x.dtype, copy=False) if floating else y, vjp


def _cumprod_backward_by_sums(gy: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
    """Return ``sum(gy[k] * y[k] for k in range(i, n)) / row[i]`` for each i; None if a product leaves float64's range.

    The first zero of a row stands apart: before it the sum ends there, its own begins there, with that zero left out
    of the products, and behind it all is 0.
    """
    zero, factors = rows == 0, rows.astype(np.float64, copy=False)
    ended: Array = np.zeros(1, bool)  # behind the second zero, where products may be 0
    some = zero.any()
    if some:
        first = zero & (zero.cumsum(axis=-1) == 1)
        factors = np.where(first, 1.0, factors)
        ended = np.logical_or.accumulate(factors == 0, axis=-1)
    y = factors.cumprod(axis=-1)
    terms = gy * y
    if some:
        behind = np.logical_or.accumulate(first, axis=-1)
        head, tail = (_sums_from(np.where(part, terms, 0)) for part in (~behind, behind))
        gx = np.where(behind, np.where(first, tail, 0), head / factors)
    else:
        gx = _sums_from(terms) / factors
    least = np.finfo(np.float64).smallest_normal
    whole = (np.abs(y) >= least) & ((np.abs(terms) >= least) | (gy == 0)) | ended
    return gx.astype(rows.dtype, copy=False) if whole.all() and np.isfinite(gx).all() else None


def _sums_from(terms: np.ndarray) -> np.ndarray:
    """Return for each place of a row the sum of what stands there and behind it."""
    return terms[..., ::-1].cumsum(axis=-1)[..., ::-1]


def _cumprod_backward(gy: Array, rows: Array) -> Array:
    """Return for element i of a row ``before[i] * sum(gy[k] * product(row[i + 1 : k + 1]) for k in range(i, n))``.

    For a GPU, which is not asked about the range, and where that is left. The sum is ``s[i] = gy[i] + row[i + 1] *
    s[i + 1]``, from the end; its steps are joined by doubling their reach.
    """
    xp, length = array_module(rows), rows.shape[-1]
    following = xp.concatenate([rows[..., 1:], xp.zeros_like(rows[..., :1])], axis=-1)
    factor, total = xp.frexp(following), xp.frexp(gy)
    reach = 1
    while reach < length:
        far_factor, far_total = ((f[..., reach:], p[..., reach:]) for f, p in (factor, total))
        near = factor[0][..., :-reach], factor[1][..., :-reach]
        sums = _added((total[0][..., :-reach], total[1][..., :-reach]), _multiplied(near, far_total))
        total = _joined(sums, total, length - reach)
        factor = _joined(_multiplied(near, far_factor), factor, length - reach)
        reach *= 2
    f, p = _multiplied(products_before(rows), total)
    return xp.ldexp(f, p)


def products_before(rows: Array) -> Scaled:
    """Return for each element of a row the product of all before it, by doubling their reach."""
    xp, length = array_module(rows), rows.shape[-1]
    f, p = xp.frexp(rows)
    f = xp.concatenate([xp.ones_like(f[..., :1]), f[..., :-1]], axis=-1)
    p = xp.concatenate([xp.zeros_like(p[..., :1]), p[..., :-1]], axis=-1)
    reach = 1
    while reach < length:
        g, q = _multiplied((f[..., reach:], p[..., reach:]), (f[..., :-reach], p[..., :-reach]))
        f = xp.concatenate([f[..., :reach], g], axis=-1)
        p = xp.concatenate([p[..., :reach], q], axis=-1)
        reach *= 2
    return f, p


def _joined(head: Scaled, rest: Scaled, at: int) -> Scaled:
    """Return `head` followed by what `rest` has from place `at` on."""
    xp = array_module(head[0])
    f, p = (xp.concatenate([a, b[..., at:]], axis=-1) for a, b in zip(head, rest, strict=True))
    return f, p


def _multiplied(x: Scaled, y: Scaled) -> Scaled:
    f, p = array_module(x[0]).frexp(x[0] * y[0])
    return f, p + x[1] + y[1]


def _added(x: Scaled, y: Scaled) -> Scaled:
    """Add; what is smaller than the other by more than the range can hold is 0 beside it, as is its power."""
    xp = array_module(x[0])
    power = xp.where(x[0] == 0, y[1], xp.where(y[0] == 0, x[1], xp.maximum(x[1], y[1])))
    f, p = xp.frexp(xp.ldexp(x[0], x[1] - power) + xp.ldexp(y[0], y[1] - power))
    return f, p + power
