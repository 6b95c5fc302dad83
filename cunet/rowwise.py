"""Kernels that fold each row and use the result in it; see `cunet.kernels.rowwise`."""

from .kernels.rowwise import Rowwise, rowwise

__all__ = ["Rowwise", "rowwise"]
