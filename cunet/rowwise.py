"""Kernels that fold each row and use the result in it; see `cunet.kernels.kinds.rowwise`."""

from .kernels.kinds import rowwise

__all__ = ["rowwise"]
