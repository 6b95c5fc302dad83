"""Matrices: norms, equations, determinants and factorisations. NumPy and CuPy compute, the gradients are ours."""
