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
from typing import Any, NamedTuple

import numpy as np

Ratio = tuple[tuple[float, ...], tuple[float, ...]]

# Numerator and denominator, highest power first: what tools/fit_erf.py prints.
# largest error of the fit: 5e-09
ATANH_ERF32 = (
    (1.4296455084753786e-05, 0.0023037689322883497, 0.021985853391345615, 0.12605591415438624, 0.1283791614377404),
    (0.0006339490742244547, 0.02770945742576632, 0.18136188571149361, 1.0),
)
# largest error of the fit: 4.2e-18
ATANH_ERF64 = (
    (
        5.4505404807614205e-14,
        2.51683870941675e-11,
        2.2973702335215054e-09,
        7.517357671219003e-08,
        1.5989064086165115e-06,
        2.4271482242292487e-05,
        0.0002784352318579917,
        0.002289926320687867,
        0.01405458785585248,
        0.05645568173462535,
        0.15472114946254875,
        0.12837916709551256,
    ),
    (
        1.7869757597354268e-15,
        3.234508200898606e-12,
        6.641748991888712e-10,
        3.779329567105258e-08,
        1.0136794774811074e-06,
        1.947936045682689e-05,
        0.000265319768526215,
        0.002806385963308619,
        0.02071066642467084,
        0.11744903693362511,
        0.4046493472103552,
        1.0,
    ),
)
# largest error of the fit: 2.7e-09
ERFC32 = (
    (
        0.008692482816844975,
        0.09542284823688135,
        0.3945502775306236,
        0.8404964526081703,
        0.8716212281666024,
        -2.7105534795903885e-09,
    ),
    (0.06770559244338402, 0.445895731568088, 1.4086623532996356, 2.4904131574778794, 2.406165135091495, 1.0),
)
# largest error of the fit: 4.9e-19
ERFC64 = (
    (
        3.6834913192388763e-06,
        9.547990892842546e-05,
        0.0011761794178070978,
        0.009118917907242625,
        0.04931071824263169,
        0.1944510555615575,
        0.5672851759941046,
        1.2133893282045385,
        1.833045315402972,
        1.7862227491213254,
        0.8716208329044877,
        -4.948659919549831e-19,
    ),
    (
        2.8692282420668038e-05,
        0.0006176393246125609,
        0.0065735091633523845,
        0.04491984377014009,
        0.21674908198791337,
        0.7698001680615394,
        2.042133758350868,
        4.028978037938686,
        5.773128208505601,
        5.705303846804745,
        3.4911752546945083,
        1.0,
    ),
)
# largest error of the fit: 2.3e-09
NORMAL32 = (
    (
        -0.0025069878362687145,
        -0.013093778584353824,
        -0.021106958445770416,
        0.047373330395914216,
        0.20211566475774267,
        -2.2859821973982265e-09,
    ),
    (0.012404030766368722, 0.11373447976793806, 0.5048399234938187, 1.2551844828238201, 1.7082384031772448, 1.0),
)
# largest error of the fit: 4.3e-19
NORMAL64 = (
    (
        -1.3149772132801014e-07,
        -3.4637422914307524e-06,
        -4.4517536123248424e-05,
        -0.00035586972864512013,
        -0.0018948378276995078,
        -0.0066251916855430085,
        -0.012994958283362721,
        -0.0002414135193742727,
        0.07579531966739457,
        0.2016619289648528,
        0.20211543919713476,
        -4.332941919512413e-19,
    ),
    (
        6.506070087986507e-07,
        1.9705825515890528e-05,
        0.00029548163669060486,
        0.002846827948993301,
        0.019376807797968836,
        0.09710872820378359,
        0.36361044320565494,
        1.0127699884283594,
        2.049109797226209,
        2.859778209890233,
        2.471589957462317,
        1.0,
    ),
)


class _Tail(NamedTuple):
    """One upper tail in one dtype: ``exp(factor * t*t) * (1 + ratio(t)) / (2*t + offset)``."""

    factor: float
    offset: float
    ratio: Ratio
    end: float  # the tail is 0 there; larger t are cut to it, so that infinities do no harm


_ERFC = {"f": _Tail(-1.0, 1.0, ERFC32, 10.5), "d": _Tail(-1.0, 1.0, ERFC64, 28.0)}
_NORMAL = {"f": _Tail(-0.5, 2.0, NORMAL32, 14.75), "d": _Tail(-0.5, 2.0, NORMAL64, 39.5)}
_TOP_HALF = np.int64(-1 << 27)  # keeps 26 bits of a float64's significand: their square is exact


def _vectorised(body: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any], np.ndarray]:
    """Let `body`, for float32 or float64 of at least one axis, take any shape and dtype, and be silent."""

    @functools.wraps(body)
    def function(x: Any) -> np.ndarray:
        x = np.asarray(x)
        x = x if x.dtype == np.float32 else x.astype(np.float64, copy=False)
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


def _tail(x: np.ndarray, tails: dict[str, _Tail]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
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
    _, _, tail, below = _tail(x, _ERFC)
    tail /= below
    return _mirror(tail, -x, 2.0)


@_vectorised
def normal_cdf(x: np.ndarray) -> np.ndarray:
    """Return ``Phi(x) = erfc(-x / sqrt(2)) / 2``, relatively accurate where it is small.

    Args:
        x: any shape; float32 is kept, other dtypes give float64.
    """
    _, _, tail, below = _tail(x, _NORMAL)
    tail /= below
    return _mirror(tail, x, 1.0)


@_vectorised
def gelu(x: np.ndarray) -> np.ndarray:
    """Return ``x * Phi(x)``, computed as ``max(x, 0) - |x| * Phi(-|x|)``: 0 at -inf.

    Args:
        x: any shape; float32 is kept, other dtypes give float64.

    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2.
    """
    t, _, tail, below = _tail(x, _NORMAL)
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
    t, density, lower, below = _tail(x, _NORMAL)
    lower /= below
    return _slope(x, t, density, lower)


def gelu_and_derivative(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `gelu` and `gelu_derivative`, in little more than the time of one of them.

    Args:
        x: float32 or float64, at least one axis.
    """
    t, density, tail, below = _tail(x, _NORMAL)
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
