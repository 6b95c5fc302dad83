"""Kernels: a NumPy body and a CUDA body that must agree, and what runs them."""

from .dispatch import Kernel, listening
from .kinds import elementwise, grid, inplace, primitive, reduction, rowwise
from .spec import KERNELS, TwoPass, Warps

__all__ = [
    "KERNELS",
    "Kernel",
    "TwoPass",
    "Warps",
    "elementwise",
    "grid",
    "inplace",
    "listening",
    "primitive",
    "reduction",
    "rowwise",
]
