"""Functions of NumPy that compute, made of ops: element by element, products, and along lines.

They take NumPy's arguments, so that its functions run them on Tensors (`numpy_functions`, `numpy_signatures`).
"""

from __future__ import annotations

import functools
import math as numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.differentiable import differentiable
from ..autograd.tensor import Tensor
from ..device import Array, array_module
from ..kernels.axes import one_axis
from . import array, linalg, math, pairwise, products, rearrange, rounding, selection, trigonometry
from . import cumulative as running
from .conv.convolution import conv1d
from .einsum import einsum
from .numpy_arguments import Unsupported, unsupported
from .numpy_shapes import copy
from .operands import lifted


def degrees(x: Any) -> Tensor:
    """Return angles in degrees of those in radians."""
    return math.multiply(x, 180 / numbers.pi)


def radians(x: Any) -> Tensor:
    """Return angles in radians of those in degrees."""
    return math.multiply(x, numbers.pi / 180)


def logaddexp2(x: Any, y: Any) -> Tensor:
    """Return ``log2(2**x + 2**y)``."""
    ln2 = numbers.log(2)
    return math.divide(pairwise.logaddexp(math.multiply(lifted(x, y), ln2), math.multiply(lifted(y, x), ln2)), ln2)


def fmod(x: Any, y: Any) -> Tensor:
    """Return what is left of `x` after division by `y`, with the sign of `x`."""
    x, size = lifted(x, y), selection.abs(lifted(y, x))
    # Not by abs(x), which has no slope at 0.
    return selection.where(
        x < 0, math.negative(rounding.remainder(math.negative(x), size)), rounding.remainder(x, size)
    )


def _without_nan(choose: Callable[..., Any], x: Any, y: Any) -> Tensor:
    x, y = lifted(x, y), lifted(y, x)
    return selection.where(x != x, y, selection.where(y != y, x, choose(x, y)))


fmax = functools.partial(_without_nan, selection.maximum)
fmin = functools.partial(_without_nan, selection.minimum)


def copysign(x: Any, y: Any) -> Tensor:
    """Return the size of `x` with the sign of `y`."""
    size, other = selection.abs(lifted(x, y)), lifted(y, x).data
    return selection.where(array_module(other).signbit(other), math.negative(size), size)


def float_power(x: Any, y: Any) -> Tensor:
    """Return ``x**y`` in float64."""
    return math.power(array.astype(lifted(x, y), np.float64), array.astype(lifted(y, x), np.float64))


def heaviside(x: Any, y: Any) -> Tensor:
    """Return 0 below 0, 1 above it, and `y` at 0."""
    x = lifted(x, y)
    return selection.where(x == 0, y, math.multiply(math.add(rounding.sign(x), 1), 0.5))


def modf(x: Any) -> tuple[Tensor, Tensor]:
    """Return what stands behind the point, and what before it."""
    whole = rounding.trunc(x)
    return selection.where(array_module(whole.data).isinf(whole.data), 0.0, math.subtract(x, whole)), whole


def sinc(x: Any) -> Tensor:
    """Return ``sin(pi x) / (pi x)``; near 0 its series, whose derivatives lose no digits."""
    x = lifted(x)
    xp = array_module(x.data)
    near = xp.abs(x.data) < 0.5
    square = math.square(math.multiply(selection.where(near, x, 0.0), numbers.pi))
    series: Any = 0.0
    for k in range(13, -1, -1):
        series = math.add(math.multiply(square, series), (-1) ** k / numbers.factorial(2 * k + 1))
    far = selection.where(near, 1.0, x)
    whole = xp.rint(far.data)  # sin(pi x) is that of what is left of half turns, which are exact
    signs = 1 - 2 * xp.remainder(whole, 2)
    sine = math.multiply(trigonometry.sin(math.multiply(math.subtract(far, whole), numbers.pi)), signs)
    return selection.where(near, series, math.divide(sine, math.multiply(far, numbers.pi)))


def real(val: Any) -> Tensor:
    """Return real numbers as they are."""
    return lifted(val)


def imag(val: Any) -> Tensor:
    """Return 0 for each real number."""
    x = lifted(val)
    return selection.where(array_module(x.data).zeros_like(x.data, bool), x, 0.0)


def angle(z: Any, deg: bool = False) -> Tensor:
    """Return pi for negative numbers, 0 for others."""
    y = pairwise.arctan2(imag(z), z)
    return degrees(y) if deg else y


def real_if_close(a: Any, tol: float = 100) -> Tensor:
    """Return real numbers as they are."""
    return lifted(a)


def vecdot(x: Any, y: Any) -> Tensor:
    """Return products of vectors along the last axis."""
    return einsum("...i,...i->...", x, y)


def matvec(a: Any, x: Any) -> Tensor:
    """Return products of matrices and vectors."""
    return array.squeeze(linalg.matmul(a, array.expand_dims(lifted(x, a), -1)), -1)


def vecmat(x: Any, a: Any) -> Tensor:
    """Return products of vectors and matrices."""
    return array.squeeze(linalg.matmul(array.expand_dims(lifted(x, a), -2), a), -2)


def vdot(a: Any, b: Any) -> Tensor:
    """Return the product of two arrays as vectors."""
    return products.dot(*(array.reshape(lifted(x, a, b), (-1,)) for x in (a, b)))


def kron(a: Any, b: Any) -> Tensor:
    """Return all products of elements: a block of the second array for each of the first."""
    a, b = lifted(a, b), lifted(b, a)
    ndim = max(a.ndim, b.ndim)
    of_a, of_b = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    apart = array.reshape(a, [n for length in of_a for n in (length, 1)])
    beside = array.reshape(b, [n for length in of_b for n in (1, length)])
    return array.reshape(math.multiply(apart, beside), [n * m for n, m in zip(of_a, of_b, strict=True)])


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    """Return the vector at right angles to two of length 3."""
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    x, y = rearrange.moveaxis(lifted(a, b), axisa, -1), rearrange.moveaxis(lifted(b, a), axisb, -1)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise Unsupported("vectors of another length than 3")
    p, q = ([part[..., k] for k in range(3)] for part in (x, y))
    parts = [p[i] * q[j] - p[j] * q[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return rearrange.moveaxis(array.stack(parts, -1), -1, axisc)


def correlate(a: Any, v: Any, mode: str = "valid") -> Tensor:
    """Return the products of `v` with the parts of `a` that it slides along."""
    x, w = lifted(a, v), lifted(v, a)
    if x.ndim != 1 or w.ndim != 1 or not x.size or not w.size:
        raise ValueError(f"correlate: two arrays of one axis, not empty, are required, got {x.shape} and {w.shape}")
    if w.size > x.size:
        return array.flip(correlate(w, x, mode))
    borders = {"valid": (0, 0), "same": (w.size // 2, (w.size - 1) // 2), "full": (w.size - 1, w.size - 1)}
    if mode not in borders:
        raise ValueError(f"correlate: mode must be valid, same or full, got {mode!r}")
    return conv1d(array.pad(x, borders[mode])[None, None], w[None, None])[0, 0]


def convolve(a: Any, v: Any, mode: str = "full") -> Tensor:
    """Return the sums of ``a[k] * v[n - k]``."""
    x, w = lifted(a, v), lifted(v, a)
    x, w = (w, x) if w.size > x.size else (x, w)
    return correlate(x, array.flip(w), mode)


def _between(start: Any, stop: Any, num: int, endpoint: bool) -> tuple[Tensor, Tensor, Array, int]:
    """Return both ends, weights from 0 to 1 along a new first axis, and the number of steps."""
    a, b = lifted(start, stop), lifted(stop, start)
    xp, steps = array_module(a.data), num - 1 if endpoint else num
    dtype = np.result_type(a.dtype, b.dtype, np.float16)
    weights = xp.arange(num, dtype=np.float64) / max(steps, 1)
    return a, b, weights.astype(dtype).reshape((num,) + (1,) * max(a.ndim, b.ndim)), steps


def _finished(y: Tensor, dtype: Any, axis: int) -> Tensor:
    y = rearrange.moveaxis(y, 0, axis) if axis else y
    return y if dtype is None else array.astype(y, dtype)


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    **others: Any,
) -> Any:
    """Return numbers at equal distances."""
    unsupported(**others)
    a, b, weights, steps = _between(start, stop, num, endpoint)
    y = _finished(pairwise.lerp(a, b, weights), dtype, axis)
    return (y, math.divide(math.subtract(b, a), steps)) if retstep else y


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Tensor:
    """Return powers of `base` of equal ratio."""
    ends = lifted(start, stop, base), lifted(stop, start, base)
    return _finished(math.power(base, linspace(*ends, num, endpoint)), dtype, axis)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Tensor:
    """Return numbers of equal ratio."""
    a, b, weights, _ = _between(start, stop, num, endpoint)
    return _finished(math.multiply(a, math.power(math.divide(b, a), weights)), dtype, axis)


def polyval(p: Any, x: Any) -> Tensor:
    """Return a polynomial's values; its first coefficient is that of the highest power."""
    y: Any = 0.0
    for coefficient in p:
        y = math.add(math.multiply(y, x), coefficient)
    return y


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:  # noqa: N803 (NumPy's name)
    """Return a matrix of powers."""
    x = lifted(x)
    powers: Sequence[int] = range(x.size if N is None else N)
    return array.stack([math.power(x, k) for k in (powers if increasing else reversed(powers))], -1)


def cumulative(run: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return NumPy's newer function for what runs along an axis."""

    def along(x: Any, /, *, axis: int | None = None, dtype: Any = None, out: Any = None, **others: Any) -> Tensor:
        unsupported(out=out, **others)
        x = lifted(x)
        if axis is None and x.ndim != 1:
            raise ValueError(f"{run.__name__}: axis is required of more than one, got shape {x.shape}")
        return run(x, axis=one_axis(x.ndim, axis or 0), dtype=dtype)

    return along


cbrt = differentiable("T x", "T y", "y = cbrt(x)", name="cbrt_forward")

#: Universal functions by these.
UFUNCS: dict[np.ufunc, Callable[..., Any]] = {
    np.cbrt: cbrt,
    np.conjugate: copy,
    np.copysign: copysign,
    np.deg2rad: radians,
    np.degrees: degrees,
    np.float_power: float_power,
    np.fmax: fmax,
    np.fmin: fmin,
    np.fmod: fmod,
    np.heaviside: heaviside,
    np.logaddexp2: logaddexp2,
    np.modf: modf,
    np.positive: copy,
    np.rad2deg: degrees,
    np.radians: radians,
}
UFUNCS |= {
    getattr(np, name): own
    for name, own in {"matvec": matvec, "vecdot": vecdot, "vecmat": vecmat}.items()
    if isinstance(getattr(np, name, None), np.ufunc)  # newer than NumPy 2.0
}

#: Other functions by these.
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    getattr(np, own.__name__): own
    for own in (
        *(angle, convolve, correlate, cross, geomspace, imag, kron, linspace, logspace, polyval, real, real_if_close),
        *(sinc, vander, vdot),
    )
}
FUNCTIONS |= {
    getattr(np, f"cumulative_{name}"): cumulative(run)
    for name, run in {"prod": running.cumprod, "sum": running.cumsum}.items()
    if hasattr(np, f"cumulative_{name}")  # newer than NumPy 2.0
}
