"""Batch renormalisation: batch norm for small batches, corrected towards the running statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.custom import recomputing
from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor
from ..device import accumulator
from ..ops.math import sqrt
from ..ops.norm.batch_norm import batch_norm_inference, batch_norm_training
from ..ops.selection import clip, maximum, minimum
from ..system.checks import check_numbers
from .channel_norm import ChannelNorm, kept, put


class BatchRenorm(ChannelNorm):
    """Normalise each channel by the batch, corrected to what the running statistics would give.

    ``y = ((x - mean) / std * r + d) * weight + bias`` with ``std = sqrt(var + eps)``, and with ``r = std /
    running_std`` clipped to [1 / r_max, r_max] and ``d = (mean - running_mean) / running_std`` clipped to [-d_max,
    d_max], through which no gradient goes. Where nothing is clipped that is ``(x - running_mean) / running_std``, as in
    evaluation, so that a layer does in training what it will do then, also in batches of 2 to 4. The limits are 1 and
    0 at first, which is batch norm, and grow once the running statistics are worth something.

    Args:
        num_features: number of channels C.
        eps: added to the variance.
        momentum: weight of the new value in running statistics.
        affine, bias: whether to have a weight, and a bias beside it.
        r_max, d_max: the last limits of the corrections, at least 1 and 0.
        r_steps, d_steps: before how many batches the limits are 1 and 0, and after how many they are the last ones; in
            between they grow in proportion. ``(0, 0)``: from the first batch on.
        axis: channel axis: 1 for (N, C, ...), -1 for (N, ..., C).
        dtype: floating dtype of weight and bias; running statistics are at least float32.

    Attributes:
        weight, bias: shape (C,), or None.
        running_mean, running_std: buffers of shape (C,), at first 0 and 1. The average is of standard deviations, not
            of variances as in `BatchNorm`.
        num_batches_tracked: buffer, int64.

    Raises:
        ValueError: in training, a batch with one value per channel: no gradient would go through it.

    Source: Ioffe 2017, arXiv:1702.03275, algorithm 1; the limits' schedule: section 4.

    Example:
        >>> norm, x = nn.BatchRenorm(1, r_steps=(1, 1), d_steps=(1, 1)), np.array([[0.0], [2.0]])
        >>> norm(x).round(4)  # batch norm, in the first batch
        Tensor([[-1.],
                [ 1.]], requires_grad=True)
        >>> norm.running_mean, norm.running_std
        (Tensor([0.01]), Tensor([1.]))
        >>> norm(x).round(2)  # nearly x, whose mean and deviation the running ones are far from
        Tensor([[-0.01],
                [ 1.99]], requires_grad=True)
    """

    _wide = frozenset({"running_mean", "running_std"})

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.01,
        affine: bool = True,
        r_max: float = 3.0,
        d_max: float = 5.0,
        r_steps: tuple[int, int] = (5000, 40000),
        d_steps: tuple[int, int] = (5000, 25000),
        *,
        bias: bool = True,
        axis: int = 1,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, bias, axis, dtype)
        who = type(self).__name__
        check_numbers(who, momentum=momentum, r_max=r_max, d_max=d_max)
        if r_max < 1 or d_max < 0:
            raise ValueError(f"{who}: r_max must be at least 1 and d_max at least 0, got {r_max} and {d_max}")
        self.r_max, self.d_max = r_max, d_max
        self.r_steps, self.d_steps = _steps(who, "r_steps", r_steps), _steps(who, "d_steps", d_steps)
        wide = accumulator(np.dtype(dtype))
        self.running_mean = Tensor(np.zeros(num_features, wide))
        self.running_std = Tensor(np.ones(num_features, wide))
        self.num_batches_tracked = Tensor(np.zeros((), np.int64))

    def forward(self, x: Any) -> Tensor:
        """Return normalised `x`; in training update the running statistics, once."""
        x = self._checked(x)
        if not self.training:
            with no_grad():
                var = self.running_std * self.running_std
            mean = kept(self.running_mean)
            return batch_norm_inference(x, mean, var, self.weight, self.bias, axis=self.axis, eps=0.0)
        y, mean, var = batch_norm_training(x, axis=self.axis, eps=self.eps)
        with no_grad():
            std = sqrt(var + self.eps)
            r, d = self._corrections(mean, std)
            if not recomputing.get():
                self._move(mean, std)
        across = [1] * len(y.shape)
        across[self.axis] = self.num_features
        if self.weight is not None:
            r, d = self.weight * r, self.weight * d
        d = d if self.bias is None else d + self.bias
        return y * r.astype(y.dtype).reshape(*across) + d.astype(y.dtype).reshape(*across)

    def _corrections(self, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """Return r and d of a batch; the limits are computed where the count of batches is."""
        seen = self.num_batches_tracked.astype(std.dtype)
        r_max = (self.r_max - 1) * _share(seen, self.r_steps) + 1
        d_max = self.d_max * _share(seen, self.d_steps)
        r = minimum(maximum(std / self.running_std, 1 / r_max), r_max)
        d = minimum(maximum((mean - self.running_mean) / self.running_std, -d_max), d_max)
        return r, d

    def _move(self, mean: Tensor, std: Tensor) -> None:
        """Move the running statistics towards those of a batch."""
        put(self.num_batches_tracked, self.num_batches_tracked + 1)  # a counter of a recorded step could not be read
        for running, new in ((self.running_mean, mean), (self.running_std, std)):
            put(running, running + (new.astype(running.dtype) - running) * self.momentum)


def _steps(who: str, name: str, steps: Any) -> tuple[int, int]:
    """Return a pair of numbers of batches.

    Raises:
        ValueError: it is something else.
    """
    whole = isinstance(steps, (tuple, list)) and all(isinstance(n, (int, np.integer)) for n in steps)
    if not whole or len(steps) != 2 or not 0 <= steps[0] <= steps[1]:
        raise ValueError(f"{who}: {name} must be two numbers of batches that do not fall, got {steps!r}")
    return int(steps[0]), int(steps[1])


def _share(seen: Tensor, steps: tuple[int, int]) -> Tensor:
    """Return how far the way between two numbers of batches has been gone, in [0, 1]."""
    first, last = steps
    at_once = int(first == last)  # then 1 from the first on
    return clip((seen - (first - at_once)) / (last - first + at_once), 0.0, 1.0)


class BatchRenorm1d(BatchRenorm):
    """`BatchRenorm` for (N, C) or (N, C, L).

    Example:
        >>> norm = nn.BatchRenorm1d(3)
        >>> norm(np.zeros((2, 3))).shape, norm(np.zeros((2, 3, 20))).shape
        ((2, 3), (2, 3, 20))
    """

    ndims = (2, 3)


class BatchRenorm2d(BatchRenorm):
    """`BatchRenorm` for (N, C, H, W).

    Example:
        >>> norm = nn.BatchRenorm2d(3, momentum=0.1)
        >>> norm(np.zeros((2, 3, 4, 4))).shape, list(norm.state_dict())
        ((2, 3, 4, 4), ['weight', 'bias', 'running_mean', 'running_std', 'num_batches_tracked'])
    """

    ndims = (4,)
