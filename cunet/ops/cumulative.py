"""Running sums and products."""

from __future__ import annotations

from typing import Any

from ..autograd.op import Result, op
from ..device import Array, accumulator, array_module, is_floating
from ..kernels.axes import one_axis
from .operands import converted

#: A number as fraction and power of 2: products of any length stay in the range.
Scaled = tuple[Array, Array]


@op(arrays=1)
def cumsum(x, axis: int | None = None, dtype: Any = None) -> Result:
    """Return the running sum along `axis` (None: over the flattened tensor), computed in `dtype` if it is given."""
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
    """
    x = converted(x, dtype)
    floating = is_floating(x.dtype)
    wide = x.astype(accumulator(x.dtype), copy=False) if floating else x

    def vjp(gy):
        k = 0 if axis is None or not x.ndim else one_axis(x.ndim, axis)  # of a flattened array too
        rows, gradients = (a.reshape(gy.shape).swapaxes(k, -1) for a in (wide, gy.astype(wide.dtype, copy=False)))
        return (_cumprod_backward(gradients, rows).swapaxes(k, -1).reshape(x.shape),)

    y = wide.cumprod(axis=axis)
    return y.astype(x.dtype, copy=False) if floating else y, vjp


def _cumprod_backward(gy: Array, rows: Array) -> Array:
    """Return for element i of a row ``before[i] * sum(gy[k] * product(row[i + 1 : k + 1]) for k in range(i, n))``.

    The sum is ``s[i] = gy[i] + row[i + 1] * s[i + 1]``, from the end; its steps are joined by doubling their reach.
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
