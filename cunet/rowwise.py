"""Kernels that fold each row and use the result in it; see `cunet.kernels.rowwise`."""

from .kernels.rowwise import Rowwise as Rowwise
from .kernels.rowwise import rowwise as rowwise
from .system.public import publish as _publish

__all__, __dir__ = _publish(__name__)
