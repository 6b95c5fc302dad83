"""Functions of two numbers that a plain formula would take out of the range: hypot, arctan2, logaddexp; and lerp."""

from __future__ import annotations

import numpy as np

from ..autograd.op import Result, op
from ..device import array_module
from ..kernels import elementwise
from .operands import alike, like_gradient
from .slopes import times

# x by the larger of two absolute values: squares of both parts stay in the range. Of an infinity its direction is left.
PART = """
__device__ inline A cunet_part(A x, A s) {
  return isinf(s) ? (abs(x) == s ? copysign(A(1), x) : x - x) : x / s;
}
"""


def _parts(x, y):
    s = np.maximum(np.abs(x), np.abs(y))
    return *(np.where(np.isinf(s), np.where(np.abs(a) == s, np.copysign(1, a), a - a), a / s) for a in (x, y)), s


@elementwise(
    "T gy, T x, T y",
    "T gx",
    """
    const A s = max(abs(x), abs(y)), u = cunet_part(x, s), v = cunet_part(y, s);
    gx = gy == 0 || (x == 0 && y == 0) ? A(0) : gy * (u / sqrt(u * u + v * v));
    """,
    preamble=PART,
    smooth="gx = damp(gy, x / hypot(x, y))",
)
def hypot_backward(gy, x, y):
    u, v, _ = _parts(x, y)
    return np.where((gy == 0) | ((x == 0) & (y == 0)), 0, gy * (u / np.sqrt(u * u + v * v)))


@op
def hypot(x, y) -> Result:
    """Return ``sqrt(x * x + y * y)``, without overflow; the gradient at 0, 0 is 0, as that of `abs`.

    Example:
        >>> cunet.hypot([3.0, 3e30], [4.0, 4e30])  # the square of 3e30 is beyond float32
        Tensor([5.e+00, 5.e+30])
    """
    z = array_module(x, y).hypot(x, y)

    def vjp(gy):
        a, b = like_gradient(gy, x), like_gradient(gy, y)
        return lambda: hypot_backward(gy, a, b), lambda: hypot_backward(gy, b, a)

    return z, vjp


# gy / s leaves the range first of a large gy, gy * w of a small one.
@elementwise(
    "T gy, T x, T y",
    "T gx",
    """
    const A s = max(abs(x), abs(y)), u = cunet_part(x, s), v = cunet_part(y, s), w = u / (u * u + v * v);
    gx = gy == 0 || (x == 0 && y == 0) ? A(0) : abs(gy) < 1 ? gy / s * w : gy * w / s;
    """,
    preamble=PART,
    smooth="gx = damp(gy, x / (x * x + y * y))",
)
def arctan2_backward(gy, x, y):
    u, v, s = _parts(x, y)
    w = u / (u * u + v * v)
    return np.where((gy == 0) | ((x == 0) & (y == 0)), 0, np.where(np.abs(gy) < 1, gy / s * w, gy * w / s))


@op
def arctan2(y, x) -> Result:
    """Return the angle of the point (x, y), in radians from -pi to pi.

    The gradient is ``x / r**2`` for y and ``-y / r**2`` for x with ``r = hypot(x, y)``, without overflow of squares; at
    0, 0, around which it cancels out, it is taken as 0.

    Example:
        >>> cunet.arctan2([1.0, -1.0], [-1.0, -1.0]).round(4)
        Tensor([ 2.3562, -2.3562])
    """
    z = array_module(y, x).arctan2(y, x)

    def vjp(gy):
        a, b = like_gradient(gy, x), like_gradient(gy, y)
        return lambda: arctan2_backward(gy, a, b), lambda: arctan2_backward(-gy, b, a)

    return z, vjp


@elementwise(
    "T gy, T x, T y",
    "T gx",
    "A d = x - y, e = exp(-abs(d)); gx = gy == 0 ? A(0) : x == y ? gy / 2 : gy * ((d > 0 ? A(1) : e) / (1 + e))",
    smooth="gx = damp(gy, 1 / (1 + exp(y - x)))",
)
def logaddexp_backward(gy, x, y):
    d = x - y
    e = np.exp(-np.abs(d))
    return np.where(gy == 0, 0, np.where(x == y, gy / 2, gy * (np.where(d > 0, 1, e) / (1 + e))))


@op
def logaddexp(x, y) -> Result:
    """Return ``log(exp(x) + exp(y))``, without overflow; equal infinities get half the gradient each.

    Example:
        >>> cunet.logaddexp([1000.0, -1000.0], [1000.0, -1000.0]).round(2)
        Tensor([1000.69, -999.31])
    """
    z = array_module(x, y).logaddexp(x, y)

    def vjp(gy):
        a, b = like_gradient(gy, x), like_gradient(gy, y)
        return lambda: logaddexp_backward(gy, a, b), lambda: logaddexp_backward(gy, b, a)

    return z, vjp


# From the nearer end, which is then exact; as a sum where the way between the ends leaves the range.
@elementwise(
    "T a, T b, T w",
    "T y",
    """
    const A d = b - a;
    y = w == 0 ? a : w == 1 || a == b ? b : isinf(d) ? (1 - w) * a + w * b : w < A(0.5) ? a + w * d : b - (1 - w) * d;
    """,
    smooth="y = a + w * (b - a)",
)
def lerp_forward(a, b, w):
    d = b - a
    between = np.where(np.isinf(d), (1 - w) * a + w * b, np.where(w < 0.5, a + w * d, b - (1 - w) * d))
    return np.where(w == 0, a, np.where((w == 1) | (a == b), b, between))


@elementwise(
    "T gy, T a, T b",
    "T gw",
    "const A d = b - a; gw = gy == 0 ? A(0) : isinf(d) ? gy * b - gy * a : gy * d",
    smooth="gw = damp(gy, b - a)",
)
def lerp_backward(gy, a, b):
    d = b - a
    return np.where(gy == 0, 0, np.where(np.isinf(d), gy * b - gy * a, gy * d))


@op
def lerp(start, end, weight) -> Result:
    """Return ``start + weight * (end - start)``: `start` at weight 0 and `end` at weight 1, exactly.

    Args:
        start, end, weight: arrays or numbers, which broadcast.

    Example:
        >>> cunet.lerp([0.0, 10.0], [1.0, 20.0], 0.5)
        Tensor([ 0.5, 15. ])
    """
    a, b, w = alike(start, end, weight)
    return lerp_forward(a, b, w), lambda gy: (
        lambda: times(gy, 1 - w),
        lambda: times(gy, w),
        lambda: lerp_backward(gy, a, b),
    )
