"""The functions of `numpy.fft` that run ops on Tensors and complex numbers; see `numpy_signatures`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import complex, fourier, fourier_axes

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
complex.FUNCTIONS.update(FFT)
