"""Switchable normalisation: a layer learns how much of instance, layer and batch norm it wants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.custom import recomputing
from ..autograd.tensor import Tensor
from ..device import accumulator
from ..ops.math import rsqrt
from ..ops.operands import lifted
from ..ops.softmax import softmax
from .batch_norm import RunningStatistics
from .channel_norm import kept
from .parameter import make_parameter


class SwitchableNorm(RunningStatistics):
    """Normalise by mixed statistics: those of instance, layer and batch norm, with learnt shares.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias`` where ``mean = sum(softmax(mean_weight) * means)`` and ``var =
    sum(softmax(var_weight) * vars)`` of the three: over the positions of a channel of a sample, over a sample, and over
    a channel of the batch, which in evaluation has running statistics.

    Args:
        num_features: number of channels C.
        eps: added to the variance.
        momentum: weight of the new value in running statistics; None: the average of all batches.
        affine, bias: whether to have a weight, and a bias beside it.
        dtype: floating dtype of the parameters; running statistics are at least float32.

    Attributes:
        weight, bias: shape (C,), or None.
        mean_weight, var_weight: shape (3,), of instance, layer and batch norm; at first all 1, equal shares.
        running_mean, running_var: buffers of shape (C,), of the batch's statistics, the variance divided by the count.
        num_batches_tracked: buffer, int64.

    Source: Luo, Ren, Peng, Zhang and Li 2018, arXiv:1806.10779, equations 3 and 5; running averages in place of its
    average over batches after training.

    Example:
        >>> norm = nn.SwitchableNorm(2)
        >>> norm([[[0.0, 2.0], [4.0, 10.0]], [[2.0, 4.0], [6.0, 8.0]]])[0].round(4)
        Tensor([[-0.9802, -0.14  ],
                [-0.6547,  1.3093]], requires_grad=True)
        >>> F.softmax(norm.mean_weight).round(4)
        Tensor([0.3333, 0.3333, 0.3333], requires_grad=True)
    """

    ndims: tuple[int, ...] = (3, 4, 5)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        *,
        bias: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, True, bias, 1, None, dtype)
        self.mean_weight = make_parameter((3,), None, "ones", None, dtype)
        self.var_weight = make_parameter((3,), None, "ones", None, dtype)

    def forward(self, x: Any) -> Tensor:
        """Return normalised `x` (N, C, ...); in training update the running statistics, once."""
        x = lifted(self._checked(x))
        shape = x.shape
        if not x.size:
            return x
        values = x.astype(accumulator(x.dtype)).reshape(*shape[:2], math.prod(shape[2:]))
        mean, var = self._mixed(values)
        y = (values - mean) * rsqrt(var + self.eps)
        y = y if self.weight is None else y * self.weight.reshape(self.num_features, 1)
        y = y if self.bias is None else y + self.bias.reshape(self.num_features, 1)
        return y.astype(x.dtype).reshape(shape)

    def _mixed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of each channel of each sample, (N, C, 1) of x (N, C, positions)."""
        mean, var = x.mean(axis=2, keepdims=True), x.var(axis=2, keepdims=True)
        means, variances = [mean], [var]
        for axis in (1, 0) if self.training else (1,):  # the variance is that within and that between
            means.append(mean.mean(axis=axis, keepdims=True))
            variances.append(var.mean(axis=axis, keepdims=True) + mean.var(axis=axis, keepdims=True))
        if not self.training:
            across = (1, self.num_features, 1)
            means.append(kept(self.running_mean).astype(x.dtype).reshape(across))
            variances.append(kept(self.running_var).astype(x.dtype).reshape(across))
        elif not recomputing.get():
            channels = self.num_features
            self._moving_average(means[2].data.reshape(channels), variances[2].data.reshape(channels), 1.0)
        return _sum(self.mean_weight, means), _sum(self.var_weight, variances)


def _sum(weight: Tensor, parts: list[Tensor]) -> Tensor:
    share = softmax(weight.astype(parts[0].dtype), axis=0)
    return share[0] * parts[0] + share[1] * parts[1] + share[2] * parts[2]


class SwitchableNorm1d(SwitchableNorm):
    """`SwitchableNorm` for (N, C, L).

    Example:
        >>> norm = nn.SwitchableNorm1d(3)
        >>> norm(np.zeros((2, 3, 8))).shape, norm.var_weight.shape
        ((2, 3, 8), (3,))
    """

    ndims = (3,)


class SwitchableNorm2d(SwitchableNorm):
    """`SwitchableNorm` for (N, C, H, W).

    Example:
        >>> norm = nn.SwitchableNorm2d(3)
        >>> norm(np.zeros((1, 3, 8, 8))).shape  # batches of one are welcome
        (1, 3, 8, 8)
    """

    ndims = (4,)
