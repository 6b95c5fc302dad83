"""Layer, RMS, group and instance norm. Batch norm has a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.custom import recomputing
from ..autograd.tensor import Tensor
from ..kernels import Kernel
from ..ops.norm.epilogue import foreseen
from ..ops.norm.group_norm import group_norm
from ..ops.norm.layer_norm import as_shape, layer_norm, rms_norm
from ..ops.norm.normalize import check_eps
from ..ops.norm.running import instance_norm, sample_statistics
from ..system.checks import check_counts
from .activation import as_activation
from .batch_norm import RunningStatistics
from .channel_norm import check_channels, scale_and_shift
from .inputs import as_input
from .module import Module
from .parameter import check_sizes


class InstanceNorm(RunningStatistics):
    """Normalise each channel of each sample over its positions: (N, C, ...) with 3 to 5 axes.

    Args:
        num_features: number of channels C.
        eps: added to the variance.
        momentum: weight of the new value in running statistics; see `BatchNorm`.
        affine, bias: whether to have a weight, and a bias beside it.
        track_running_stats: whether to keep the mean over samples of their statistics (variance unbiased), and
            use it in evaluation.
        axis: channel axis: 1 for (N, C, ...), -1 for (N, ..., C).
        activation: applied to the result in the same kernels; see `BatchNorm`.
        dtype: floating dtype of weight and bias.

    Source: Ulyanov, Vedaldi and Lempitsky 2016, arXiv:1607.08022, equation 6.

    Example:
        >>> norm = nn.InstanceNorm(1)
        >>> norm([[[1.0, 3.0]], [[10.0, 30.0]]])[:, 0].round(4)  # each sample by itself
        Tensor([[-1.,  1.],
                [-1.,  1.]])
        >>> list(norm.state_dict())  # neither parameters nor statistics
        []
    """

    ndims: tuple[int, ...] = (3, 4, 5)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        axis: int = 1,
        activation: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, axis, activation, dtype)

    def forward(self, x: Any) -> Tensor:
        """Return normalised `x`; in training update the running statistics, if kept."""
        x = self._checked(x)
        if not self.training and self.running_mean is not None:
            return self._by_running_statistics(x)
        options: dict[str, Any] = {"eps": self.eps, "axis": self.axis, "activation": self.activation}
        y = instance_norm(x, weight=self.weight, bias=self.bias, **options)
        if self.training and self.running_mean is not None and y.size and not recomputing.get():
            self._moving_average(*sample_statistics(x, self.axis, self.num_features))
        return y


class InstanceNorm1d(InstanceNorm):
    """`InstanceNorm` for (N, C, L).

    Example:
        >>> nn.InstanceNorm1d(2)([[[1.0, 3.0], [0.0, 8.0]]]).round(4)
        Tensor([[[-1.,  1.],
                 [-1.,  1.]]])
    """

    ndims = (3,)


class InstanceNorm2d(InstanceNorm):
    """`InstanceNorm` for (N, C, H, W).

    Example:
        >>> norm = nn.InstanceNorm2d(3, affine=True)
        >>> norm(np.zeros((2, 3, 8, 8))).shape, norm.weight.shape
        ((2, 3, 8, 8), (3,))
    """

    ndims = (4,)


class InstanceNorm3d(InstanceNorm):
    """`InstanceNorm` for (N, C, D, H, W).

    Example:
        >>> norm = nn.InstanceNorm3d(3, track_running_stats=True)
        >>> norm(np.zeros((2, 3, 4, 4, 4))).shape, list(norm.state_dict())
        ((2, 3, 4, 4, 4), ['running_mean', 'running_var', 'num_batches_tracked'])
    """

    ndims = (5,)


class LayerNorm(Module):
    """Normalise each sample over its trailing axes: the same in training and evaluation, for any batch.

    Args:
        normalized_shape: lengths of the trailing axes, or one int.
        eps: added to the variance.
        elementwise_affine: whether to have a weight (and a bias).
        bias: whether to have a bias beside the weight.
        activation: applied to the result in the same kernels; see `BatchNorm`.
        dtype: floating dtype of weight and bias.

    Attributes:
        weight, bias: shape normalized_shape, or None.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450, equation 3.

    Example:
        >>> nn.LayerNorm(2)([[1.0, 3.0], [10.0, 30.0]]).round(4)
        Tensor([[-1.,  1.],
                [-1.,  1.]], requires_grad=True)
        >>> nn.LayerNorm((3, 4)).weight.shape
        (3, 4)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        activation: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        check_eps(type(self).__name__, eps)
        self.normalized_shape, self.eps = as_shape(normalized_shape), eps
        for length in self.normalized_shape:
            check_counts(type(self).__name__, 0, normalized_shape=length)
        self.activation = as_activation(type(self).__name__, activation)
        self.weight, self.bias = scale_and_shift(
            self.normalized_shape, elementwise_affine, elementwise_affine and bias, dtype
        )

    def runs(self) -> list[Kernel]:
        """Return the kernels of the norm, which depend on the activation."""
        return foreseen(self.activation)

    def forward(self, x: Any) -> Tensor:
        """Return normalised `x` (..., *normalized_shape)."""
        return layer_norm(
            as_input(self, x, self.weight),
            self.normalized_shape,
            self.weight,
            self.bias,
            self.eps,
            activation=self.activation,
        )

    def extra_repr(self) -> str:
        """Show shape and eps."""
        return f"{self.normalized_shape}, eps={self.eps}"


class RMSNorm(Module):
    """Divide each sample by the root mean square over its trailing axes.

    Args:
        normalized_shape: lengths of the trailing axes, or one int.
        eps: added to the mean square; None: the spacing of the input's dtype at 1, as in PyTorch.
        elementwise_affine: whether to have a weight.
        activation: applied to the result in the same kernels; see `BatchNorm`.
        dtype: floating dtype of the weight.

    Attributes:
        weight: shape normalized_shape, or None.

    Source: Zhang and Sennrich 2019, arXiv:1910.07467, equation 4.

    Example:
        >>> nn.RMSNorm(2)([[3.0, 4.0], [30.0, 40.0]]).round(4)  # by sqrt((3**2 + 4**2) / 2); no mean is taken off
        Tensor([[0.8485, 1.1314],
                [0.8485, 1.1314]], requires_grad=True)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        activation: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        if eps is not None:
            check_eps("RMSNorm", eps)
        self.normalized_shape, self.eps = as_shape(normalized_shape), eps
        for length in self.normalized_shape:
            check_counts(type(self).__name__, 0, normalized_shape=length)
        self.activation = as_activation(type(self).__name__, activation)
        self.weight, _ = scale_and_shift(self.normalized_shape, elementwise_affine, False, dtype)

    def runs(self) -> list[Kernel]:
        """Return the kernels of the norm, which depend on the activation."""
        return foreseen(self.activation)

    def forward(self, x: Any) -> Tensor:
        """Return scaled `x` (..., *normalized_shape)."""
        return rms_norm(
            as_input(self, x, self.weight), self.normalized_shape, self.weight, self.eps, activation=self.activation
        )

    def extra_repr(self) -> str:
        """Show shape and eps."""
        return f"{self.normalized_shape}, eps={self.eps}"


class GroupNorm(Module):
    """Normalise groups of neighbouring channels of each sample.

    Args:
        num_groups: number of groups; divides num_channels.
        num_channels: number of channels C.
        eps: added to the variance.
        affine, bias: whether to have a weight, and a bias beside it.
        axis: channel axis: 1 for (N, C, ...), -1 for (N, ..., C).
        activation: applied to the result in the same kernels; see `BatchNorm`.
        dtype: floating dtype of weight and bias.

    Attributes:
        weight, bias: shape (C,), or None.

    Source: Wu and He 2018, arXiv:1803.08494, equations 1 and 7.

    Example:
        >>> nn.GroupNorm(2, 4)([[1.0, 3.0, 10.0, 30.0]]).round(4)  # channels 0 and 1, channels 2 and 3
        Tensor([[-1.,  1., -1.,  1.]], requires_grad=True)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        axis: int = 1,
        activation: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        check_sizes("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        check_eps("GroupNorm", eps)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups must divide num_channels = {num_channels}, got {num_groups}")
        self.num_groups, self.num_channels, self.eps, self.axis = num_groups, num_channels, eps, axis
        self.activation = as_activation("GroupNorm", activation)
        self.weight, self.bias = scale_and_shift((num_channels,), affine, affine and bias, dtype)

    def runs(self) -> list[Kernel]:
        """Return the kernels of the norm, which depend on the activation."""
        return foreseen(self.activation)

    def forward(self, x: Any) -> Tensor:
        """Return normalised `x` (N, C, ...); in training no group may have one value: it would be 0 whatever x is."""
        x = as_input(self, x, self.weight)
        check_channels("GroupNorm", x.shape, self.axis, "num_channels", self.num_channels)
        if self.training and x.size and x.size == x.shape[0] * self.num_groups:
            raise ValueError(
                f"GroupNorm: x needs more than one value in each of {self.num_groups} groups, got shape {x.shape}"
            )
        return group_norm(
            x, self.num_groups, self.weight, self.bias, self.eps, axis=self.axis, activation=self.activation
        )

    def extra_repr(self) -> str:
        """Show groups, channels and eps."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"
