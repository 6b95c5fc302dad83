"""Kernels on NumPy: their bodies, in blocks that stay in the cache."""

from . import backend, blocks, special, tuning

__all__ = ["backend", "blocks", "special", "tuning"]
