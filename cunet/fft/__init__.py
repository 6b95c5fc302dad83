"""Fourier transforms of real data, whose spectrum is a pair of Tensors."""

from ..ops.fourier import Spectrum as Spectrum
from ..ops.fourier import irfft as irfft
from ..ops.fourier import rfft as rfft
from ..system.public import publish as _publish

__all__, __dir__ = _publish(__name__)
