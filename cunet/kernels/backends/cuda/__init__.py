"""Kernels on a GPU: their text, for CuPy."""

from . import backend

__all__ = ["backend"]
