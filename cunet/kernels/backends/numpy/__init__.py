"""Kernels on NumPy: their bodies, in blocks that stay in the cache."""
