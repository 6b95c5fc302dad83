"""Fourier transforms of complex numbers, and of any over several axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd.op import Results, op
from ..autograd.pytorch import numpy_words
from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module
from .complex import Complex, joined, parts
from .fourier import DUAL, axis_of, check, fitted, irfft, rfft
from .operands import lifted

Axes = Sequence[int] | None
Lengths = Sequence[int] | None


@op(arrays=2)
def _transform(
    real, imag, lengths: Sequence[int] = (), axes: Sequence[int] = (), norm: str = "backward", inverse: bool = False
) -> Results:
    xp, wide = array_module(real), accumulator(real.dtype)
    kinds = (xp.fft.ifftn, xp.fft.fftn) if inverse else (xp.fft.fftn, xp.fft.ifftn)

    def run(kind: Any, a: Any, b: Any, lengths: Sequence[int], norm: str) -> tuple[Array, ...]:
        for length, axis in zip(lengths, axes, strict=True):
            a, b = fitted(a, length, axis), fitted(b, length, axis)
        z = kind(joined(a.astype(wide, copy=False), b.astype(wide, copy=False)), axes=axes, norm=norm)
        return tuple(xp.ascontiguousarray(part).astype(real.dtype, copy=False) for part in (z.real, z.imag))

    y = run(kinds[0], real, xp.zeros_like(real) if imag is None else imag, lengths, norm)

    def vjp(gys):
        a, b = (xp.zeros_like(part) if g is None else g for g, part in zip(gys, y, strict=True))
        own = [real.shape[axis] for axis in axes]
        # The way back by the same factor: the adjoint. What was filled up is cut off after it, what was cut off is 0.
        back = run(kinds[1], a, b, lengths, DUAL[norm])
        for length, axis in zip(own, axes, strict=True):
            back = tuple(fitted(part, length, axis) for part in back)
        return back[0], None if imag is None else back[1]

    return y, vjp


def _plan(who: str, x: Any, s: Any, axes: Any) -> tuple[list[int], list[int]]:
    """Return lengths and axes of a transform of several axes, as NumPy reads them."""
    if axes is None:
        axes = range(x.ndim) if s is None else range(-len(s), 0)
    axes = [axis_of(who, x, axis) for axis in axes]
    lengths = [x.shape[axis] for axis in axes] if s is None else list(s)
    if len(lengths) != len(axes):
        raise ValueError(f"{who}: s must have one length for each of {len(axes)} axes, got {len(lengths)}")
    return lengths, axes


def _complex(who: str, x: Any, s: Any, axes: Any, norm: str | None, inverse: bool) -> Complex:
    """Return a transform of complex numbers, or of real ones."""
    real, imag = parts(x)
    real = lifted(real)
    lengths, axes = _plan(who, real, s, axes)
    for length, axis in zip(lengths, axes, strict=True):
        norm = check(who, real, length, axis, norm)
    real, imag = _transform(real, imag, lengths=lengths, axes=axes, norm=norm or "backward", inverse=inverse)
    return Complex(real, imag)


@numpy_words
def fft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Complex:
    """Return the discrete Fourier transform along an axis: ``sum(x[j] * exp(-2j * pi * j * k / n))`` for each k.

    Args:
        x: floating, or `Complex`, or a complex array; any shape with an axis.
        n: number of points: more are cut off, fewer are filled up with zeros; by default the length of the axis.
        axis: the axis.
        norm: "backward" (None) leaves the sum, "forward" divides it by n, "ortho" by ``sqrt(n)``.

    Raises:
        ValueError: no such axis or norm; no point to transform.
        TypeError: x is not floating.

    Example:
        >>> x = cunet.tensor([1.0, 0.0, 0.0, 0.0], requires_grad=True)
        >>> y = cunet.fft.fft(x)
        >>> abs(y).numpy()
        array([1., 1., 1., 1.], dtype=float32)
        >>> cunet.fft.ifft(y).real.numpy()
        array([1., 0., 0., 0.], dtype=float32)
    """
    return _complex("fft", x, None if n is None else [n], [axis], norm, False)


@numpy_words
def ifft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Complex:
    """Return the transform back: ``ifft(fft(x))`` is x; see `fft`.

    Example:
        >>> y = cunet.fft.fft(cunet.tensor([1.0, 2.0, 3.0]))
        >>> cunet.fft.ifft(y).real.round(4)
        Tensor([1., 2., 3.])
    """
    return _complex("ifft", x, None if n is None else [n], [axis], norm, True)


@numpy_words
def fft2(x: Any, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None) -> Complex:
    """Return the transform along two axes; see `fft`.

    Example:
        >>> stripes = np.array([[1.0, -1.0], [1.0, -1.0]])
        >>> cunet.fft.fft2(stripes).real  # the highest frequency of the last axis alone
        Tensor([[0., 4.],
                [0., 0.]], dtype=float64)
    """
    return _complex("fft2", x, s, axes, norm, False)


@numpy_words
def ifft2(x: Any, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None) -> Complex:
    """Return the transform back along two axes; see `fft`.

    Example:
        >>> x = cunet.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> cunet.fft.ifft2(cunet.fft.fft2(x)).real
        Tensor([[1., 2.],
                [3., 4.]])
    """
    return _complex("ifft2", x, s, axes, norm, True)


@numpy_words
def fftn(x: Any, s: Lengths = None, axes: Axes = None, norm: str | None = None) -> Complex:
    """Return the transform along axes, all if `axes` is None, of lengths `s`; see `fft`.

    Args:
        x, norm: see `fft`.
        s: number of points along each of `axes` (of the last ones, if `axes` is None); by default their lengths.
        axes: the axes; None: all.

    Example:
        >>> cunet.fft.fftn(np.ones((2, 2, 2))).real.sum(), cunet.fft.fftn(np.ones((2, 3)), s=(4, 4)).shape
        (Tensor(8., dtype=float64), (4, 4))
    """
    return _complex("fftn", x, s, axes, norm, False)


@numpy_words
def ifftn(x: Any, s: Lengths = None, axes: Axes = None, norm: str | None = None) -> Complex:
    """Return the transform back along axes; see `fftn`.

    Example:
        >>> x = np.arange(8.0).reshape(2, 2, 2)
        >>> cunet.fft.ifftn(cunet.fft.fftn(x)).real.flatten()
        Tensor([0., 1., 2., 3., 4., 5., 6., 7.], dtype=float64)
    """
    return _complex("ifftn", x, s, axes, norm, True)


@numpy_words
def rfftn(x: Any, s: Lengths = None, axes: Axes = None, norm: str | None = None) -> Complex:
    """Return the transform of real data along axes: `rfft` along the last one, then `fft` along the others.

    Args:
        x: floating, any shape.
        s, axes, norm: see `fftn`.

    Returns:
        Like x, but for the last of `axes`, along which there are ``n // 2 + 1`` numbers.

    Raises:
        ValueError: `axes` is empty; lengths or axes that do not fit.
        TypeError: x is not floating.

    Example:
        >>> cunet.fft.rfftn(np.ones((4, 6, 8))).shape  # of the last axis 8 // 2 + 1
        (4, 6, 5)
    """
    x = lifted(x)
    lengths, over = _plan("rfftn", x, s, axes)
    if not over:
        raise ValueError("rfftn: axes must be at least one, got none")
    return _complex("rfftn", rfft(x, lengths[-1], over[-1], norm), lengths[:-1], over[:-1], norm, False)


@numpy_words
def irfftn(x: Any, s: Lengths = None, axes: Axes = None, norm: str | None = None) -> Tensor:
    """Return the real data whose `rfftn` is x: ``irfftn(rfftn(x), s=x.shape)`` is x.

    Args:
        x: what `rfftn` returns.
        s: lengths of the result along `axes`; by default those of x, and along the last one ``2 * (length - 1)``,
            which is even: name it where it was odd.
        axes, norm: as they were in `rfftn`.

    Raises:
        ValueError: `axes` is empty; lengths or axes that do not fit.

    Example:
        >>> x = np.arange(12.0).reshape(2, 2, 3)
        >>> cunet.fft.irfftn(cunet.fft.rfftn(x), s=x.shape).round(4)[1]
        Tensor([[ 6.,  7.,  8.],
                [ 9., 10., 11.]], dtype=float64)
    """
    lengths, over = _plan("irfftn", lifted(parts(x)[0]), s, axes)
    if not over:
        raise ValueError("irfftn: axes must be at least one, got none")
    inner = _complex("irfftn", x, lengths[:-1], over[:-1], norm, True)
    return irfft(inner, None if s is None else lengths[-1], over[-1], norm)


@numpy_words
def rfft2(x: Any, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None) -> Complex:
    """Return the transform of real data along two axes; see `rfftn`.

    Example:
        >>> images = np.ones((10, 28, 28))
        >>> cunet.fft.rfft2(images).shape
        (10, 28, 15)
    """
    return rfftn(x, s, axes, norm)


@numpy_words
def irfft2(x: Any, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None) -> Tensor:
    """Return the real data whose `rfft2` is x; see `irfftn`.

    Example:
        >>> images = np.ones((10, 28, 27))
        >>> cunet.fft.irfft2(cunet.fft.rfft2(images), s=(28, 27)).shape
        (10, 28, 27)
    """
    return irfftn(x, s, axes, norm)
