"""Rounding, quotients and remainders: what is constant but for jumps, and what is left over.

The gradient of a constant is 0, at a jump too, so that ``x - floor(x)`` has that of x everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.op import Result, op
from ..autograd.tensor import Tensor
from ..device import Array, array_module, is_floating
from ..kernels import elementwise
from .operands import alike
from .slopes import times


@op
def sign(x) -> Result:
    """Return -1, 0 or 1 by the sign, NaN of NaN; the gradient is 0.

    Example:
        >>> cunet.sign([-2.0, 0.0, 3.0])
        Tensor([-1.,  0.,  1.])
    """
    return array_module(x).sign(x), lambda gy: (_nothing(gy),)


@op
def floor(x) -> Result:
    """Return the largest whole number that is not above `x`; the gradient is 0.

    Example:
        >>> cunet.floor([-1.5, 1.5])
        Tensor([-2.,  1.])
    """
    return array_module(x).floor(x), lambda gy: (_nothing(gy),)


@op
def ceil(x) -> Result:
    """Return the smallest whole number that is not below `x`; the gradient is 0.

    Example:
        >>> cunet.ceil([-1.5, 1.5])
        Tensor([-1.,  2.])
    """
    return array_module(x).ceil(x), lambda gy: (_nothing(gy),)


@op
def trunc(x) -> Result:
    """Return the whole number next to `x` on the way to 0; the gradient is 0.

    Example:
        >>> cunet.trunc([-1.5, 1.5])
        Tensor([-1.,  1.])
    """
    return array_module(x).trunc(x), lambda gy: (_nothing(gy),)


# A power of 10 leaves the range, or takes a number out of it, where that number has no such decimals: it stays.
@elementwise(
    "T x, A up, A down",
    "T y",
    "A q = rint(x * up / down), r = q == 0 ? q : q / up * down; y = isfinite(r) ? r : x",
)
def round_forward(x, up, down):
    q = np.rint(x * up / down)
    r = np.where(q == 0, q, q / up * down)
    return np.where(np.isfinite(r), r, x)


@op(arrays=1)
def round(x, decimals: int = 0) -> Result:
    """Return the nearest number of so many decimals, of two equally near ones the even one; the gradient is 0.

    Args:
        x: any shape; integers stay integers.
        decimals: places after the point; negative ones count before it. A number that has no more is kept.

    Raises:
        TypeError: `decimals` is no integer.

    Example:
        >>> cunet.round([0.5, 1.5, 2.5])
        Tensor([0., 2., 2.])
        >>> cunet.round([1234.0, 1251.0], -2)
        Tensor([1200., 1300.])
    """
    if not isinstance(decimals, int):
        raise TypeError(f"round: decimals must be an integer, got {decimals!r}")
    if not is_floating(x.dtype):
        return x.round(decimals), lambda gy: (None,)
    up, down = (10.0 ** min(max(d, 0), 308) for d in (decimals, -decimals))
    return round_forward(x, up, down), lambda gy: (_nothing(gy),)


def _nothing(gy: Array) -> Array:
    return array_module(gy).zeros_like(gy)


@elementwise("T x, T y", "T z", "A m = fmod(x, y); z = m == 0 ? copysign(A(0), y) : (m < 0) != (y < 0) ? m + y : m")
def remainder_forward(x, y):
    return np.remainder(x, y)


# Not floor(x / y): 1 / 0.1 rounds to 10, and 0.1 goes into 1 nine times. (x - m) / y is whole, but for rounding.
@elementwise(
    "T x, T y",
    "T z",
    """
    A m = fmod(x, y), d = (x - m) / y;
    d = m != 0 && (m < 0) != (y < 0) ? d - 1 : d;
    A q = floor(d);
    z = y == 0 ? x / y : d == 0 ? copysign(A(0), x / y) : d - q > A(0.5) ? q + 1 : q;
    """,
)
def floor_divide_forward(x, y):
    return np.floor_divide(x, y)


@op
def remainder(x, y) -> Result:
    """Return what is left of `x` after `y` was taken off a whole number of times: ``x - y * floor(x / y)``.

    It has the sign of `y`, as in Python and NumPy. The gradient of x is 1, that of y ``-floor(x / y)``.

    Example:
        >>> cunet.remainder([7.0, -7.0], 3.0)
        Tensor([1., 2.])
    """
    x, y = alike(x, y)
    if not is_floating(x.dtype):
        return array_module(x).remainder(x, y), lambda gy: (None, None)
    return remainder_forward(x, y), lambda gy: (gy, lambda: times(gy, -floor_divide_forward(x, y)))


mod = remainder  # NumPy's other name


@op
def floor_divide(x, y) -> Result:
    """Return how often `y` goes into `x` as a whole: ``floor(x / y)``, exactly; the gradient is 0.

    Example:
        >>> cunet.floor_divide([7.0, -7.0], 3.0)
        Tensor([ 2., -3.])
    """
    x, y = alike(x, y)
    if not is_floating(x.dtype):
        return array_module(x).floor_divide(x, y), lambda gy: (None, None)
    return floor_divide_forward(x, y), lambda gy: (lambda: _nothing(gy), lambda: _nothing(gy))


def divmod(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Return `floor_divide` and `remainder`.

    Example:
        >>> cunet.divmod([7.0, -7.0], 3.0)
        (Tensor([ 2., -3.]), Tensor([1., 2.]))
    """
    return floor_divide(x, y), remainder(x, y)
