"""Fourier transforms; a spectrum is a `cunet.Complex`, a pair of Tensors."""

from ..ops.fourier import irfft as irfft
from ..ops.fourier import rfft as rfft
from ..ops.fourier_axes import fft as fft
from ..ops.fourier_axes import fft2 as fft2
from ..ops.fourier_axes import fftn as fftn
from ..ops.fourier_axes import ifft as ifft
from ..ops.fourier_axes import ifft2 as ifft2
from ..ops.fourier_axes import ifftn as ifftn
from ..ops.fourier_axes import irfft2 as irfft2
from ..ops.fourier_axes import irfftn as irfftn
from ..ops.fourier_axes import rfft2 as rfft2
from ..ops.fourier_axes import rfftn as rfftn
from ..system.public import publish as _publish

__all__, __dir__ = _publish(__name__)
