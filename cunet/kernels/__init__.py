"""Kernels: a NumPy body and a CUDA body that must agree, and what runs them."""

from .kernel import KERNELS, Elementwise, Kernel, Reduction, elementwise, reduction

__all__ = ["KERNELS", "Elementwise", "Kernel", "Reduction", "elementwise", "reduction"]
