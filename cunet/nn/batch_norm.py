"""Batch norm: the layers own and update the running statistics, the op beneath is pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..autograd.custom import recomputing
from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, is_gpu_array
from ..kernels import Kernel
from ..kernels.capture import count_up
from ..ops.norm.batch_norm import batch_norm_inference, batch_norm_training
from ..ops.norm.epilogue import foreseen
from ..ops.norm.running import blend_statistics
from .activation import as_activation
from .channel_norm import ChannelNorm, kept


class Statistics(NamedTuple):
    """Values per channel that population statistics are of (else 0), and the running mean and variance."""

    values: int
    mean: Array
    var: Array


class RunningStatistics(ChannelNorm):
    """Base of the layers that keep running statistics: scale, shift, buffers, and how these move.

    On a CPU buffers get new arrays at each update. On a GPU they are written in place, so that a captured graph finds
    them where it left them, and what still needs the old values has a copy.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        >>> for layer in model.modules():
        ...     if isinstance(layer, nn.RunningStatistics):
        ...         layer.momentum = 0.01  # the next averages are of 100 batches
        >>> model[1]
        BatchNorm1d(4, eps=1e-05, momentum=0.01)
    """

    _wide = frozenset({"running_mean", "running_var"})

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        bias: bool,
        axis: int,
        activation: Any,
        dtype: Any,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, bias, axis, dtype)
        self.activation = as_activation(type(self).__name__, activation)
        self.running_mean: Any = None
        self.running_var: Any = None
        self.num_batches_tracked: Any = None
        if track_running_stats:
            wide = accumulator(np.dtype(dtype))
            self.running_mean = Tensor(np.zeros(num_features, wide))
            self.running_var = Tensor(np.ones(num_features, wide))
            self.num_batches_tracked = Tensor(np.zeros((), np.int64))
        self._count = 0  # values per channel in population statistics; those of a loaded state are not continued

    def runs(self) -> list[Kernel]:
        """Return the kernels of the norm, which depend on the activation."""
        return foreseen(self.activation)

    def reset_running_stats(self) -> None:
        """Go back to mean 0 and variance 1, with no batch seen."""
        self._count = 0
        if self.running_mean is not None:
            xp = array_module(self.running_mean.data)
            self.running_mean.data = xp.zeros_like(self.running_mean.data)
            self.running_var.data = xp.ones_like(self.running_var.data)
            self.num_batches_tracked.data = xp.zeros_like(self.num_batches_tracked.data)

    def statistics(self) -> Statistics:
        """Return the running statistics as they are; `reset_running_stats` puts new arrays in their place."""
        return Statistics(self._count, self.running_mean.data, self.running_var.data)

    def restore(self, statistics: Statistics) -> None:
        """Go back to what `statistics` returned."""
        self._count, self.running_mean.data, self.running_var.data = statistics

    def _by_running_statistics(self, x: Any) -> Tensor:
        return batch_norm_inference(  # the way back keeps no variance
            x, kept(self.running_mean), self.running_var, self.weight, self.bias,
            axis=self.axis, eps=self.eps, activation=self.activation,
        )  # fmt: skip

    def _moving_average(self, mean: Array, var: Array, correction: float) -> None:
        """Move the running statistics towards those of a batch; no value goes to the host."""
        count_up(self.num_batches_tracked)
        weight = self.momentum
        if weight is None:  # the average of all batches so far; on the device, where the count is
            weight = 1 / self.num_batches_tracked.data.astype(accumulator(self.running_mean.dtype))
        self._blend(mean, var, weight, 1 - weight, weight * correction, 0.0)

    def _blend(self, mean: Array, var: Array, weight: Any, keep: Any, scale: Any, cross: float) -> None:
        wide = accumulator(self.running_mean.dtype)
        running = self.running_mean.data, self.running_var.data
        new = mean.astype(wide, copy=False), var.astype(wide, copy=False)
        if is_gpu_array(running[0]):
            blend_statistics(*running, *new, weight, keep, scale, cross, *running)
        else:
            self.running_mean.data, self.running_var.data = blend_statistics(*running, *new, weight, keep, scale, cross)

    def extra_repr(self) -> str:
        """Show what differs from the plainest layer."""
        return super().extra_repr() + ("" if self.running_mean is not None else ", track_running_stats=False")


class BatchNorm(RunningStatistics):
    """Normalise each channel by the batch in training, by running statistics in evaluation.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``, over all axes but `axis`. In front of it a bias of
    the layer before is lost (its gradient is 0): use ``bias=False`` there.

    Args:
        num_features: number of channels C.
        eps: added to the variance.
        momentum: weight of the NEW value: ``running = (1 - momentum) * running + momentum * batch`` (Keras and
            Chainer call the weight of the old one momentum or decay: 0.9 there is 0.1 here). None: the average
            of all batches with equal weights.
        affine: whether to have weight and bias; exclude them from weight decay (`cunet.optim.no_decay_groups`).
        bias: whether to have a bias beside the weight.
        track_running_stats: whether to keep running statistics; without them evaluation too uses the batch's.
        axis: channel axis: 1 for (N, C, ...), -1 for (N, ..., C).
        unbiased: whether the running variance is of the batch's divided by count - 1, as the paper and PyTorch
            have it, or by count.
        stats: "ema" moves the running statistics by `momentum`; "population" joins batches exactly, each value
            with equal weight, from the first batch or the last `reset_running_stats` on. See also
            `recompute_batch_norm`, which does that with the final weights.
        activation: what to apply to y, in the same kernels: the name of an elementwise function of
            `cunet.functional` ("relu"), the function, a `functools.partial` of it with its options, or its layer.
            Less memory is read, written and kept than with that layer behind this one.
        dtype: floating dtype of weight and bias; running statistics are at least float32.

    Attributes:
        weight, bias: shape (C,), or None.
        running_mean, running_var: buffers of shape (C,), at first 0 and 1; or None.
        num_batches_tracked: buffer, int64.

    Raises:
        ValueError: in training, a batch with one value per channel: its output would be the bias whatever the
            input.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2.

    Example:
        >>> norm, x = nn.BatchNorm(2), np.array([[0.0, 10.0], [2.0, 30.0]])
        >>> norm(x).round(4)
        Tensor([[-1., -1.],
                [ 1.,  1.]], requires_grad=True)
        >>> norm.running_mean  # a tenth of the way from 0 to 1 and 20
        Tensor([0.1, 2. ])
        >>> norm.eval()(x).round(4)
        Tensor([[-0.0953,  1.7499],
                [ 1.8116,  6.1247]], requires_grad=True)
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        axis: int = 1,
        unbiased: bool = True,
        stats: str = "ema",
        activation: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        if stats not in ("ema", "population"):
            raise ValueError(f'{type(self).__name__}: stats must be "ema" or "population", got {stats!r}')
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, axis, activation, dtype)
        self.unbiased, self.stats = unbiased, stats

    def forward(self, x: Any) -> Tensor:
        """Return normalised `x`; in training update the running statistics, once."""
        x = self._checked(x)
        if not self.training and self.running_mean is not None:
            return self._by_running_statistics(x)
        y, mean, var = batch_norm_training(
            x, self.weight, self.bias, axis=self.axis, eps=self.eps, activation=self.activation
        )
        if self.training and self.running_mean is not None and not recomputing.get():
            count = y.data.size // self.num_features
            if self.stats == "ema":
                self._moving_average(mean.data, var.data, count / (count - 1) if self.unbiased else 1.0)
            else:
                count_up(self.num_batches_tracked)
                self._join(mean.data, var.data, count)
        return y

    def _join(self, mean: Array, var: Array, count: int) -> None:
        """Join the statistics of a batch with those of all before it (Chan et al. 1983, equation 1.5)."""
        before, lost = self._count, int(self.unbiased)
        self._count = total = before + count
        divisor = total - lost
        keep = max(before - lost, 0) / divisor
        self._blend(mean, var, count / total, keep, count / divisor, before * count / total / divisor)


class BatchNorm1d(BatchNorm):
    """`BatchNorm` for (N, C) or (N, C, L).

    Example:
        >>> norm = nn.BatchNorm1d(3)
        >>> norm(np.zeros((8, 3))).shape, norm(np.zeros((8, 3, 20))).shape
        ((8, 3), (8, 3, 20))
        >>> norm(np.zeros((1, 3)))
        Traceback (most recent call last):
            ...
        ValueError: batch_norm: training needs more than one value per channel, got 1 in shape (1, 3)
    """

    ndims = (2, 3)


class BatchNorm2d(BatchNorm):
    """`BatchNorm` for (N, C, H, W): one mean, variance, weight and bias per channel.

    Example:
        >>> norm = nn.BatchNorm2d(1, activation="relu")  # in the same kernels
        >>> norm([[[[1.0, 3.0], [5.0, 7.0]]]])[0, 0].round(4)
        Tensor([[0.    , 0.    ],
                [0.4472, 1.3416]], requires_grad=True)
    """

    ndims = (4,)


class BatchNorm3d(BatchNorm):
    """`BatchNorm` for (N, C, D, H, W).

    Example:
        >>> norm = nn.BatchNorm3d(16, affine=False)
        >>> norm(np.zeros((2, 16, 4, 4, 4))).shape, list(norm.parameters()), norm.running_var.shape
        ((2, 16, 4, 4, 4), [], (16,))
    """

    ndims = (5,)
