"""Functions at layer level, under PyTorch's names; import as ``from cunet import F``."""

from .ops.linalg import linear
