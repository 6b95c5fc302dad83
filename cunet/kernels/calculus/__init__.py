"""Texts of elementwise kernels as formulas: read, differentiated, written again."""
