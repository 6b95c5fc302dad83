"""The functions of `numpy.fft` that run ops on Tensors and complex numbers; see `numpy_signatures`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import complex, fourier, fourier_axes
from .numpy_arguments import unsupported
from .numpy_arithmetic import imag
from .operands import lifted
from .rearrange import roll


def _shifted(x: Any, axes: Any, back: bool) -> Any:
    """Move frequency 0 to the middle of axes, or back."""
    if isinstance(x, complex.Complex):
        return complex.Complex(*(_shifted(part, axes, back) for part in x))
    x = lifted(x)
    over = tuple(range(x.ndim)) if axes is None else (axes,) if isinstance(axes, int) else tuple(axes)
    return roll(x, tuple(-(x.shape[a] // 2) if back else x.shape[a] // 2 for a in over), over)


def fftshift(x: Any, axes: Any = None) -> Any:
    """Move frequency 0 to the middle of axes."""
    return _shifted(x, axes, False)


def ifftshift(x: Any, axes: Any = None) -> Any:
    """Move frequency 0 from the middle of axes to their begin."""
    return _shifted(x, axes, True)


def hfft(a: Any, n: int | None = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """Return the real transform of a signal of which one half is given."""
    unsupported(out=out)
    return fourier.irfft(_conjugate(a), n, axis, fourier.DUAL.get(norm or "backward", norm))


def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """Return one half of what `hfft` takes."""
    unsupported(out=out)
    return fourier.rfft(a, n, axis, fourier.DUAL.get(norm or "backward", norm)).conj()


def _conjugate(x: Any) -> complex.Complex:
    return x.conj() if isinstance(x, complex.Complex) else complex.Complex(lifted(x), imag(x))


FFT: dict[Callable[..., Any], Callable[..., Any]] = {
    np.fft.fft: fourier_axes.fft,
    np.fft.fft2: fourier_axes.fft2,
    np.fft.fftn: fourier_axes.fftn,
    np.fft.ifft: fourier_axes.ifft,
    np.fft.ifft2: fourier_axes.ifft2,
    np.fft.ifftn: fourier_axes.ifftn,
    np.fft.irfft: fourier.irfft,
    np.fft.irfft2: fourier_axes.irfft2,
    np.fft.irfftn: fourier_axes.irfftn,
    np.fft.rfft: fourier.rfft,
    np.fft.rfft2: fourier_axes.rfft2,
    np.fft.rfftn: fourier_axes.rfftn,
}
#: Those made of others.
SHIFTS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.fft.fftshift: fftshift,
    np.fft.hfft: hfft,
    np.fft.ifftshift: ifftshift,
    np.fft.ihfft: ihfft,
}
complex.FUNCTIONS.update(FFT | SHIFTS)
