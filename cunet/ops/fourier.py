"""Fourier transforms. A spectrum is a `Complex`: a pair, its real and its imaginary part; no Tensor is complex."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.op import Result, Results, op
from ..autograd.pytorch import numpy_words
from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, is_floating
from .complex import Complex, joined, parts

#: The norm of the transform back that scales by the same factor, and so of the gradient.
DUAL = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def check(who: str, x: Array, n: int, axis: int, norm: str | None) -> str:
    """Return the norm by name; raise ValueError for what does not fit."""
    if not is_floating(x.dtype):
        raise TypeError(f"{who}: x must have a floating dtype, got {x.dtype}")
    if n < 1:
        raise ValueError(f"{who}: n must be at least 1, got {n} along axis {axis} of shape {x.shape}")
    if norm not in (None, *DUAL):
        raise ValueError(f"{who}: norm must be {', '.join(map(repr, DUAL))} or None, got {norm!r}")
    return norm or "backward"


def axis_of(who: str, x: Array, axis: int) -> int:
    """Return an axis, counted from the first; raise ValueError if there is none."""
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{who}: axis must be one of {x.ndim}, got {axis}")
    return axis % x.ndim


def fitted(x: Array, length: int, axis: int) -> Array:
    """Return `x` cut, or filled up with zeros, to a length along an axis."""
    if x.shape[axis] == length:
        return x
    shape, inner = list(x.shape), [slice(None)] * x.ndim
    shape[axis], inner[axis] = length, slice(0, min(length, x.shape[axis]))
    y = array_module(x).zeros(shape, x.dtype)
    y[tuple(inner)] = x[tuple(inner)]
    return y


def _forth(x: Array, n: int, axis: int, norm: str) -> tuple[Array, Array]:
    """Return the real and the imaginary part of the transform of real data."""
    xp, wide = array_module(x), accumulator(x.dtype)
    z = xp.fft.rfft(fitted(x, n, axis).astype(wide, copy=False), axis=axis, norm=norm)
    return xp.ascontiguousarray(z.real).astype(wide, copy=False), xp.ascontiguousarray(z.imag).astype(wide, copy=False)


def _back(real: Array, imag: Array, n: int, axis: int, norm: str) -> Array:
    """Return the real data of a spectrum of ``n // 2 + 1`` numbers."""
    z = joined(real, imag)
    return array_module(real).fft.irfft(z, n, axis, norm).astype(accumulator(real.dtype), copy=False)


def _middle(x: Array, factor: float, n: int, axis: int) -> Array:
    """Return `x`, ``n // 2 + 1`` numbers, with those scaled that stand for two of all n: not the first, nor n / 2."""
    y = x.astype(accumulator(x.dtype))
    inner = [slice(None)] * x.ndim
    inner[axis] = slice(1, (n + 1) // 2)
    y[tuple(inner)] *= factor
    return y


@op(arrays=1)
def _rfft(x, n: int | None = None, axis: int = -1, norm: str | None = None) -> Results:
    axis = axis_of("rfft", x, axis)
    length = x.shape[axis] if n is None else n
    norm = check("rfft", x, length, axis, norm)
    parts = _forth(x, length, axis, norm)

    def vjp(gys):
        # x_j turns up in number k as cos and -sin of jk: the way back, but for its counting most numbers twice.
        shape = parts[0].shape
        zeros = array_module(x).zeros
        real, imag = [_middle(zeros(shape, x.dtype) if gy is None else gy, 0.5, length, axis) for gy in gys]
        return (fitted(_back(real, imag, length, axis, DUAL[norm]), x.shape[axis], axis),)

    real, imag = (part.astype(x.dtype, copy=False) for part in parts)
    return (real, imag), vjp


@numpy_words
def rfft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Complex:
    """Return the discrete Fourier transform of real data along an axis.

    ``real[k] + 1j * imag[k] = sum(x[j] * exp(-2j * pi * j * k / n))`` for k from 0 to ``n // 2``; all other numbers are
    conjugates of these.

    Args:
        x: floating, any shape with an axis. float32 stays float32; half types are computed in it.
        n: number of points: more are cut off, fewer are filled up with zeros; by default the length of the axis.
        axis: the axis.
        norm: "backward" (None) leaves the sum, "forward" divides it by n, "ortho" by ``sqrt(n)``.

    Returns:
        ``real`` and ``imag``, each like x with length ``n // 2 + 1`` along the axis.

    Raises:
        ValueError: no such axis or norm; no point to transform.
        TypeError: x is not floating.

    Example:
        >>> x = cunet.tensor(np.sin(2 * np.pi * 3 * np.arange(32) / 32), requires_grad=True)
        >>> power = abs(cunet.fft.rfft(x)) ** 2
        >>> int(power.argmax())
        3
        >>> power.mean().backward()
    """
    real, imag = _rfft(x, n=n, axis=axis, norm=norm)
    return Complex(real, imag)


@op(arrays=2)
def _irfft(real, imag, n: int | None = None, axis: int = -1, norm: str | None = None) -> Result:
    if real.shape != imag.shape:
        raise ValueError(f"irfft: real and imaginary part must have one shape, got {real.shape} and {imag.shape}")
    axis = axis_of("irfft", real, axis)
    length = 2 * (real.shape[axis] - 1) if n is None else n
    norm = check("irfft", real, length, axis, norm)
    dtype = np.result_type(real.dtype, imag.dtype)
    known, count = real.shape[axis], length // 2 + 1
    a, b = [fitted(part.astype(accumulator(dtype), copy=False), count, axis) for part in (real, imag)]

    def vjp(gy):
        g = [_middle(part, 2.0, length, axis) for part in _forth(gy, length, axis, DUAL[norm])]
        return tuple(fitted(part, known, axis) for part in g)

    return _back(a, b, length, axis, norm).astype(dtype, copy=False), vjp


@numpy_words
def irfft(spectrum: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Tensor:
    """Return the real data whose `rfft` is `spectrum`: ``irfft(rfft(x), n=len(x))`` is x.

    The imaginary parts of number 0, and for even n of number ``n // 2``, mean nothing and get a gradient of 0.

    Args:
        spectrum: what `rfft` returns, or a complex array, or a pair of floating arrays of one shape.
        n: length of the result; by default ``2 * (length - 1)``, which is even: name it where it was odd. Of the
            spectrum ``n // 2 + 1`` numbers are used; missing ones are 0.
        axis: the axis.
        norm: as it was in `rfft`: "backward" (None) divides by n here, "forward" does not, "ortho" does by ``sqrt(n)``.

    Raises:
        ValueError: shapes differ; no such axis or norm; no point to give.
        TypeError: `spectrum` is no pair, or not floating.

    Example:
        >>> x = cunet.tensor([1.0, 2.0, 3.0])
        >>> cunet.fft.irfft(cunet.fft.rfft(x), n=3).round(4)
        Tensor([1., 2., 3.])
        >>> cunet.fft.irfft(cunet.fft.rfft(x)).shape  # 2 by default: an odd length is to be named
        (2,)
    """
    return _irfft(*_pair("irfft", spectrum), n=n, axis=axis, norm=norm)


def _pair(who: str, z: Any) -> tuple[Any, Any]:
    """Return the real and the imaginary part of a spectrum."""
    real, imag = z if isinstance(z, (tuple, list)) and len(z) == 2 else parts(z)
    if imag is None:
        raise TypeError(f"{who}: spectrum must be complex, or a pair of its parts, got {type(z).__name__}")
    return real, imag
