"""Filter response normalisation: a norm without batch and without means, and a threshold in place of ReLU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..ops.norm.layer_norm import rms_norm
from ..ops.norm.normalize import check_eps
from ..ops.selection import maximum
from .channel_norm import check_channels
from .inputs import as_input
from .module import Module
from .parameter import check_sizes, make_parameter


class FilterResponseNorm(Module):
    """Divide each channel of each sample by its root mean square over positions; then cut at a learned threshold.

    ``y = max(x / sqrt(mean(x**2) + eps) * weight + bias, tau)``, where the mean is over the positions of a channel.
    Nothing depends on the batch, so that a step of one sample is as good as any. No mean is taken off, therefore the
    threshold is learned: it is the activation.

    Args:
        num_features: number of channels C.
        eps: added to the mean square. Where channels have one position, a larger one such as 1e-4.
        threshold: whether to cut at ``tau``; without it another activation may follow.
        dtype: floating dtype of weight, bias and tau.

    Attributes:
        weight, bias, tau: shape (C,); tau is None without a threshold.

    Source: Singh and Krishnan 2020, arXiv:1911.09737, equations 1 to 3; eps is not learned.

    Example:
        >>> nn.FilterResponseNorm(1)([[[3.0, -4.0]]]).round(4)
        Tensor([[[0.8485, 0.    ]]], requires_grad=True)
        >>> nn.FilterResponseNorm(1, threshold=False)([[[3.0, -4.0]]]).round(4)
        Tensor([[[ 0.8485, -1.1314]]], requires_grad=True)
    """

    def __init__(
        self, num_features: int, eps: float = 1e-6, *, threshold: bool = True, dtype: Any = np.float32
    ) -> None:
        check_sizes("FilterResponseNorm", num_features=num_features)
        check_eps("FilterResponseNorm", eps)
        self.num_features, self.eps = num_features, eps
        self.weight = make_parameter((num_features,), None, "ones", None, dtype)
        self.bias = make_parameter((num_features,), None, "zeros", None, dtype)
        self.tau = make_parameter((num_features,), None, "zeros", None, dtype) if threshold else None

    def forward(self, x: Any) -> Tensor:
        """Return normalised `x` (N, C, ...)."""
        x = as_input(self, x, self.weight)
        check_channels("FilterResponseNorm", x.shape, 1, "num_features", self.num_features)
        positions = math.prod(x.shape[2:])
        y = rms_norm(x.reshape(*x.shape[:2], positions), positions, None, self.eps).reshape(x.shape)
        across = (self.num_features, *[1] * (len(x.shape) - 2))
        y = y * self.weight.reshape(across) + self.bias.reshape(across)
        return y if self.tau is None else maximum(y, self.tau.reshape(across))

    def extra_repr(self) -> str:
        """Show channels and eps."""
        return f"{self.num_features}, eps={self.eps}"
