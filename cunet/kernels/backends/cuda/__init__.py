"""Kernels on a GPU: their text, for CuPy."""
