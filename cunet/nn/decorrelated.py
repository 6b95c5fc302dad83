"""Decorrelated batch norm: channels are whitened by the batch, not each of them scaled by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.custom import recomputing
from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor
from ..device import accumulator, array_module
from ..kernels.capture import count_up, done
from ..ops.linalg import matmul
from ..ops.operands import lifted
from ..system.checks import check_numbers
from .channel_norm import ChannelNorm, kept, put
from .parameter import check_sizes


class DecorrelatedBatchNorm(ChannelNorm):
    """Whiten groups of channels by the batch in training, by running statistics in evaluation.

    ``y = W @ (x - mean) * weight + bias`` with ``W = (S + eps * I)**(-1/2)`` and S the covariance of the channels of a
    group over all other axes: ZCA whitening, after which channels have variance 1 and are not correlated.

    W is found by `iterations` steps of Newton and Schulz, products of small matrices: ``Y, Z = Y @ T, T @ Z`` with
    ``T = (3 I - Z @ Y) / 2``, from ``Y = S / trace(S)`` and ``Z = I``. Eigenvectors, the other way to W, have no
    gradient where eigenvalues are equal, though W has one; and these steps run on a GPU and in recorded steps as all
    products do. The directions with the least variance come last: after 5 steps those with a part of at least 1/20 of
    the group's variance have more than 0.9 of theirs, which leaves small directions, mostly noise, small; 20 steps
    whiten all that float32 can tell.

    Args:
        num_features: number of channels C.
        num_groups: number of groups of neighbouring channels; divides C. Many channels need groups: of a batch of m
            values per channel a group should have far fewer than m.
        eps: added to the variances.
        momentum: weight of the new value in running statistics.
        affine, bias: whether to have a weight, and a bias beside it.
        iterations: steps to the root; the time of a step goes with each.
        dtype: floating dtype of weight and bias; running statistics are at least float32.

    Attributes:
        weight, bias: shape (C,), or None.
        running_mean: buffer of shape (C,), at first 0.
        running_whitening: buffer, averages of W, shape (num_groups, C / num_groups, C / num_groups), at first I.
        num_batches_tracked: buffer, int64.

    Raises:
        ValueError: in training, a batch with one value per channel.

    Source: Huang, Yang, Lang and Deng 2018, arXiv:1804.08450, section 3 and algorithm 1; the steps: Huang, Zhou, Zhu,
    Liu and Shao 2019, arXiv:1904.03441, algorithm 1, here coupled, which is stable.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 2)) @ np.array([[1.0, 0.9], [0.0, 0.4]])
        >>> y = nn.DecorrelatedBatchNorm1d(2, iterations=20)(x).numpy()
        >>> np.corrcoef(x.T).round(2)[0, 1], abs(np.cov(y.T, ddof=0) - np.eye(2)).max() < 1e-3
        (np.float64(0.93), np.True_)
    """

    _wide = frozenset({"running_mean", "running_whitening"})

    def __init__(
        self,
        num_features: int,
        num_groups: int = 1,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        *,
        iterations: int = 5,
        bias: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, bias, 1, dtype)
        check_numbers(type(self).__name__, momentum=momentum)
        check_sizes(type(self).__name__, num_groups=num_groups, iterations=iterations)
        if num_features % num_groups:
            raise ValueError(
                f"{type(self).__name__}: num_groups must divide num_features = {num_features}, got {num_groups}"
            )
        self.num_groups, self.iterations = num_groups, iterations
        wide, size = accumulator(np.dtype(dtype)), num_features // num_groups
        self.running_mean = Tensor(np.zeros(num_features, wide))
        self.running_whitening = Tensor(np.tile(np.eye(size, dtype=wide), (num_groups, 1, 1)))
        self.num_batches_tracked = Tensor(np.zeros((), np.int64))

    def forward(self, x: Any) -> Tensor:
        """Return whitened `x` (N, C, ...); in training update the running statistics, once."""
        x = lifted(self._checked(x))
        shape, size = x.shape, self.num_features // self.num_groups
        if not self.training and not x.size:
            return x
        wide = x.astype(accumulator(x.dtype)).reshape(shape[0], self.num_features, math.prod(shape[2:]))
        rows = wide.transpose(1, 0, 2).reshape(self.num_groups, size, -1)
        if self.training:
            mean, whitening = self._statistics(rows)
        else:
            mean = kept(self.running_mean).astype(rows.dtype).reshape(self.num_groups, size, 1)
            whitening = kept(self.running_whitening).astype(rows.dtype)
        y = matmul(whitening, rows - mean).reshape(self.num_features, -1)
        y = y if self.weight is None else y * self.weight.reshape(self.num_features, 1)
        y = y if self.bias is None else y + self.bias.reshape(self.num_features, 1)
        y = y.reshape(self.num_features, -1, wide.shape[2]).transpose(1, 0, 2)
        return y.astype(x.dtype).reshape(-1, *shape[1:])

    def _statistics(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean (groups, size, 1) and whitening matrix of a batch (groups, size, values), and keep them."""
        count = rows.shape[2]
        if count < 2:
            who = type(self).__name__
            raise ValueError(f"{who}: training needs more than one value per channel, got {count}")
        mean = rows.mean(axis=2, keepdims=True)
        centred = rows - mean
        eye = Tensor(done(_identity, rows.data, rows.shape[1]))
        covariance = matmul(centred, centred.transpose(0, 2, 1)) / count + eye * self.eps
        whitening = inverse_root(covariance, eye, self.iterations)
        if not recomputing.get():
            count_up(self.num_batches_tracked)
            with no_grad():
                news = mean.detach().reshape(self.num_features), whitening.detach()
                for running, new in zip((self.running_mean, self.running_whitening), news, strict=True):
                    put(running, running + (new.astype(running.dtype) - running) * self.momentum)
        return mean, whitening

    def extra_repr(self) -> str:
        """Show channels, groups and how exactly they are whitened."""
        return f"{super().extra_repr()}, num_groups={self.num_groups}, iterations={self.iterations}"


def _identity(x: Any, size: int) -> Any:
    return array_module(x).eye(size, dtype=x.dtype)


def inverse_root(a: Tensor, eye: Tensor, iterations: int) -> Tensor:
    """Return ``a**(-1/2)`` of symmetric positive matrices (..., N, N), by steps of Newton and Schulz.

    Source: Higham 2008, "Functions of Matrices", equation 6.35, of a divided by its trace.
    """
    trace = (a * eye).sum(axis=(-2, -1), keepdims=True)
    y, z = a / trace, None
    for _ in range(iterations):
        t = (eye * 3 - (y if z is None else matmul(z, y))) / 2
        y, z = matmul(y, t), t if z is None else matmul(t, z)
    return z / trace**0.5


class DecorrelatedBatchNorm1d(DecorrelatedBatchNorm):
    """`DecorrelatedBatchNorm` for (N, C) or (N, C, L).

    Example:
        >>> norm = nn.DecorrelatedBatchNorm1d(4, num_groups=2)
        >>> norm(np.zeros((8, 4))).shape, norm.running_whitening.shape
        ((8, 4), (2, 2, 2))
    """

    ndims = (2, 3)


class DecorrelatedBatchNorm2d(DecorrelatedBatchNorm):
    """`DecorrelatedBatchNorm` for (N, C, H, W).

    Example:
        >>> norm = nn.DecorrelatedBatchNorm2d(32, num_groups=2)
        >>> norm(np.zeros((2, 32, 8, 8))).shape, norm.running_whitening.shape
        ((2, 32, 8, 8), (2, 16, 16))
    """

    ndims = (4,)
