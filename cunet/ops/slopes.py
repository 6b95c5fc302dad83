"""Gradient times slope, where the slope may be infinite: a gradient of 0 stays 0.

``where(x > 0, sqrt(x), 0)`` hands sqrt a gradient of 0 at x = 0, whose slope there is infinite; 0 * inf would be NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import Array
from ..kernels import elementwise
from .operands import like_gradient


@elementwise("T gy, T slope", "T gx", "gx = gy == 0 ? A(0) : gy * slope", smooth="gx = damp(gy, slope)")
def times_slope(gy, slope):
    return np.where(gy == 0, 0, gy * slope)


@elementwise("T gy, T divisor", "T gx", "gx = gy == 0 ? A(0) : gy / divisor", smooth="gx = damp(gy, 1 / divisor)")
def over_divisor(gy, divisor):
    return np.where(gy == 0, 0, gy / divisor)


# Not gy * x / y**2: the square leaves the range first. gy / y leaves it at a small y, gy * z at a large z.
@elementwise(
    "T gy, T z, T y",
    "T gx",
    "gx = gy == 0 ? A(0) : abs(y) < 1 ? -(gy * z) / y : -(gy / y) * z",
    smooth="gx = -damp(gy, z / y)",
)
def divisor_backward(gy, z, y):
    return np.where(gy == 0, 0, np.where(np.abs(y) < 1, -(gy * z) / y, -(gy / y) * z))


def times(gy: Array, slope: Any) -> Array:
    """Return ``gy * slope``, 0 where gy is."""
    return times_slope(gy, like_gradient(gy, slope))


def over(gy: Array, divisor: Any) -> Array:
    """Return ``gy / divisor``, 0 where gy is."""
    return over_divisor(gy, like_gradient(gy, divisor))


def for_divisor(gy: Array, z: Any, y: Any) -> Array:
    """Return the gradient of y in ``z = x / y``, 0 where gy is."""
    return divisor_backward(gy, like_gradient(gy, z), like_gradient(gy, y))
