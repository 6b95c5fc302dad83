"""Error functions and the normal distribution in NumPy, for arrays on the CPU (CUDA has its own).

Two forms carry everything, each one formula without branches for all x and each fitted by
``tools/fit_erf.py``, once for float32 and once for float64:

- ``erf(x) = tanh(x + x * A(x*x))``: odd, and relatively accurate at small x because `A` is small there;
- an upper tail, ``erfc(t) = exp(-t*t) * (1 + R(t)) / (2*t + 1)`` for t >= 0, and the like for the normal
  distribution: relatively accurate however small it is.

`A` and `R` are ratios of polynomials, small against the 1 or x they are added to. The
largest errors found, in units in the last place: erf 2.5, erfc 2.7, Phi 2.9 in float64; 1.7 in float32.

float32 takes its exp and tanh in float64, between float32 polynomials: NumPy's float32 exp is wrong by
up to 2.4 units, and one exact square in float64 costs less than two exponentials of a square cut in two.
Other dtypes are computed in float64. No function writes into its argument.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .erf_tables import ATANH_ERF32, ATANH_ERF64, ERFC, NORMAL, Ratio, Tail

_TOP_HALF = np.int64(-1 << 27)  # keeps 26 bits of a float64's significand: their square is exact


def _vectorised(body: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any], np.ndarray]:
    """Let `body`, for float32 or float64 of at least one axis, take any shape and dtype, and be silent."""

    @functools.wraps(body)
    def function(x: Any) -> np.ndarray:
        x = np.asarray(x)
        x = x.astype(np.float32 if x.dtype.char == "f" else np.float64, copy=False)  # and in native byte order
        with np.errstate(all="ignore"):  # an exp that underflows is a result
            return body(x.reshape(-1) if x.ndim == 0 else x).reshape(x.shape)

    return function


def _polynomial(coefficients: tuple[float, ...], t: np.ndarray) -> np.ndarray:
    """Return the polynomial at `t`, by Horner's scheme in the dtype of `t`."""
    value = t * coefficients[0]
    for c in coefficients[1:-1]:
        value += c
        value *= t
    value += coefficients[-1]
    return value


def _ratio(ratio: Ratio, t: np.ndarray) -> np.ndarray:
    """Return numerator / denominator at `t`."""
    value = _polynomial(ratio[0], t)
    value /= _polynomial(ratio[1], t)
    return value


def _gauss(t: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a and small b with ``a * (1 + b) = exp(factor * t*t)`` for float64 t, factor -1 or -1/2.

    At t = 26 the rounding of ``t*t`` alone would cost 300 units in the last place, so t is cut in two.
    """
    high = (t.view(np.int64) & _TOP_HALF).view(np.float64)
    low = (t - high) * (t + high)
    low *= factor
    high *= high
    high *= factor
    return np.exp(high, out=high), np.expm1(low, out=low)


def _tail(x: np.ndarray, tails: dict[str, Tail]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return ``t = min(|x|, end)``, the exponential, and dividend and divisor of the tail at t, all in float64."""
    factor, offset, ratio, end = tails[x.dtype.char]
    t = np.clip(x, -end, end)
    np.abs(t, out=t)
    upper = _ratio(ratio, t)
    if x.dtype == np.float32:
        upper, t = upper.astype(np.float64), t.astype(np.float64)
        exponential = t * t  # exact
        exponential *= factor
        np.exp(exponential, out=exponential)
        upper *= exponential
        upper += exponential
    else:  # exponential * (1 + upper), with as few roundings of large terms as can be
        high, low = _gauss(t, factor)
        upper += low * upper
        upper += low
        upper *= high
        upper += high
        low *= high
        exponential = low + high
    below = t * 2
    below += offset
    return t, exponential, upper, below


def _mirror(lower: np.ndarray, x: np.ndarray, total: float) -> np.ndarray:
    """Return `lower` in the dtype of `x`, and ``total - lower`` where x > 0."""
    lower = lower.astype(x.dtype, copy=False)
    positive = (x > 0).astype(x.dtype)
    lower *= 1 - 2 * positive
    positive *= total
    lower += positive
    return lower


@_vectorised
def erf(x: np.ndarray) -> np.ndarray:
    """Return the error function: ``2 / sqrt(pi)`` times the integral of ``exp(-s*s)`` from 0 to x.

    Args:
        x: any shape; float32 is kept, other dtypes give float64.
    """
    single = x.dtype == np.float32
    square = x * x
    np.minimum(square, 16.0 if single else 36.0, out=square)  # erf rounds to 1 before 4 and before 6
    q = _ratio(ATANH_ERF32 if single else ATANH_ERF64, square)
    q *= x
    q += x
    return np.tanh(q, dtype=np.float64).astype(x.dtype, copy=False)


@_vectorised
def erfc(x: np.ndarray) -> np.ndarray:
    """Return ``1 - erf(x)``, relatively accurate where it is small.

    Args:
        x: any shape; float32 is kept, other dtypes give float64.
    """
    _, _, tail, below = _tail(x, ERFC)
    tail /= below
    return _mirror(tail, -x, 2.0)


@_vectorised
def gauss(x: np.ndarray) -> np.ndarray:
    """Return ``exp(-x*x)``, relatively accurate where it is small.

    Args:
        x: any shape; float32 is kept, other dtypes give float64.
    """
    t = np.clip(x, -30, 30)  # where it is 0
    if x.dtype == np.float32:
        wide = t.astype(np.float64)
        return np.exp(-wide * wide).astype(np.float32)
    high, low = _gauss(t, -1.0)
    low *= high
    low += high
    return low


@_vectorised
def normal_cdf(x: np.ndarray) -> np.ndarray:
    """Return ``Phi(x) = erfc(-x / sqrt(2)) / 2``, relatively accurate where it is small.

    Args:
        x: any shape; float32 is kept, other dtypes give float64.
    """
    _, _, tail, below = _tail(x, NORMAL)
    tail /= below
    return _mirror(tail, x, 1.0)


@_vectorised
def gelu(x: np.ndarray) -> np.ndarray:
    """Return ``x * Phi(x)``, computed as ``max(x, 0) - |x| * Phi(-|x|)``: 0 at -inf.

    Args:
        x: any shape; float32 is kept, other dtypes give float64.

    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2.
    """
    t, _, tail, below = _tail(x, NORMAL)
    tail *= t  # before the division: t * Phi(-t) may be normal where Phi(-t) is not
    tail /= below
    return _above(x, tail)


def _above(x: np.ndarray, tail: np.ndarray) -> np.ndarray:
    """Return ``max(x, 0) - tail``."""
    y = np.clip(x, 0, np.inf)  # as np.maximum, in a third of its time
    y -= tail.astype(x.dtype, copy=False)
    return y


@_vectorised
def gelu_derivative(x: np.ndarray) -> np.ndarray:
    """Return ``Phi(x) + x * phi(x)``, phi the normal density: the derivative of `gelu`.

    Args:
        x: any shape; float32 is kept, other dtypes give float64.
    """
    t, density, lower, below = _tail(x, NORMAL)
    lower /= below
    return _slope(x, t, density, lower)


def gelu_and_derivative(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `gelu` and `gelu_derivative`, in little more than the time of one of them.

    Args:
        x: float32 or float64, at least one axis.
    """
    t, density, tail, below = _tail(x, NORMAL)
    product = t * tail
    product /= below
    tail /= below
    return _above(x, product), _slope(x, t, density, tail)


def _slope(x: np.ndarray, t: np.ndarray, density: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Return ``Phi(x) + x * phi(x)`` from what `_tail` gives at ``t = |x|`` and ``lower = Phi(-t)``; uses these up."""
    density *= 1 / math.sqrt(2 * math.pi)
    density *= t
    lower -= density
    return _mirror(lower, x, 1.0)
