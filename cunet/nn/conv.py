"""Convolution layers, plain and transposed, for 1, 2 and 3 spatial axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import init as initialisers
from ..autograd.tensor import Tensor
from ..device import Array
from ..ops.conv import convolution as ops
from ..ops.resize import pad
from ..ops.windows import per_axis
from ..random import Generator
from .inputs import as_input
from .module import Module
from .parameter import FirstValues, Parameter, check_sizes, fill, uniform_by_fan_in

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class ConvBase(Module):
    """Base of the convolution layers: settings and parameters."""

    ndim: int
    transposed = False
    weight: Parameter
    bias: Parameter | None

    def _set_up(
        self,
        in_channels: int | None,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        channels_last: bool,
    ) -> None:
        who = type(self).__name__
        self.out_channels, self.groups = out_channels, groups
        self._check_channels(groups if in_channels is None else in_channels)
        self.in_channels = in_channels
        self.kernel_size = per_axis(who, "kernel_size", kernel_size, self.ndim)
        self.stride = per_axis(who, "stride", stride, self.ndim)
        self.padding = padding if isinstance(padding, str) else per_axis(who, "padding", padding, self.ndim, 0)
        self.dilation = per_axis(who, "dilation", dilation, self.ndim)
        self.channels_last = channels_last

    def _check_channels(self, in_channels: int) -> None:
        who, out_channels, groups = type(self).__name__, self.out_channels, self.groups
        check_sizes(who, groups=groups, in_channels=in_channels, out_channels=out_channels)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{who}: groups must divide in_channels = {in_channels} and out_channels = {out_channels}, got {groups}"
            )

    def _draw(self, values: FirstValues, dtype: Any) -> None:
        """Make the parameters; where in_channels is not known, those that wait for the first call."""
        if self.in_channels is None:
            self._first = values
            self.weight, self.bias = values.to_come(self._shape(0), self.out_channels, dtype)
        else:
            self.weight, self.bias = self._drawn(self.in_channels, values, dtype)

    def _shape(self, in_channels: int) -> tuple[int, ...]:
        first, second = (in_channels, self.out_channels) if self.transposed else (self.out_channels, in_channels)
        return (first, second // self.groups, *self.kernel_size)

    def _drawn(self, in_channels: int, values: FirstValues, dtype: Any) -> tuple[Parameter, Parameter | None]:
        shape = self._shape(in_channels)
        fans = initialisers.fans(shape, transposed=self.transposed, groups=self.groups)
        # PyTorch's is that of kaiming_uniform(a=sqrt(5)), whose fan_in is this also where it is transposed.
        return values.drawn(shape, self.out_channels, uniform_by_fan_in(math.prod(shape[1:])), dtype, fans)

    def settle(self, x: Tensor | Array) -> None:
        """Take over in_channels from the first input, and draw the parameters, unless a state brought them."""
        if x.ndim not in (self.ndim + 1, self.ndim + 2):
            return  # which the function refuses
        in_channels = x.shape[-1 if self.channels_last else -self.ndim - 1]
        if self.weight.size:
            in_channels = self.weight.shape[0] if self.transposed else self.weight.shape[1] * self.groups
        self._check_channels(in_channels)
        if not self.weight.size:
            fill((self.weight, self.bias), self._drawn(in_channels, self._first, self.weight.dtype))
        self.in_channels = in_channels

    def extra_repr(self) -> str:
        """Show the sizes, and what differs from the plainest layer."""
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}", f"stride={self.stride}"]
        plain: dict[str, Any] = {
            "padding": (0,) * self.ndim,
            "output_padding": (0,) * self.ndim,
            "dilation": (1,) * self.ndim,
        }
        plain |= {"groups": 1, "padding_mode": "zeros", "channels_last": False}
        parts += [f"{k}={getattr(self, k)!r}" for k, v in plain.items() if getattr(self, k, v) != v]
        return ", ".join(parts + ([] if self.bias is not None else ["bias=False"]))


class _ConvNd(ConvBase):
    """Base of the convolutions; see `Conv2d` for the arguments."""

    def __init__(
        self,
        in_channels: int | None,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        channels_last: bool = False,
        init: Any = None,
        bias_init: Any = None,
        generator: Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        self._set_up(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, channels_last)
        who = type(self).__name__
        if padding_mode not in _PADDING_MODES:
            raise ValueError(f"{who}: padding_mode must be one of {_PADDING_MODES}, got {padding_mode!r}")
        reach = tuple((k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True))
        widths = ops.paddings(who, padding, self.stride, reach)
        self.padding_mode = padding_mode
        self._border = [n for before_after in reversed(widths) for n in before_after]
        self._draw(FirstValues(init, bias_init, generator, bias), dtype)

    def forward(self, x: Any) -> Tensor:
        """Return the convolution of `x` (N, in_channels, *spatial), or of one sample without N."""
        x = as_input(self, x, self.weight)
        if self.in_channels is None:
            self.settle(x)
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            x, padding = pad(x, self._border, self.padding_mode, channels_last=self.channels_last), 0
        conv = (ops.conv1d, ops.conv2d, ops.conv3d)[self.ndim - 1]
        return conv(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups, self.channels_last)


class _ConvTransposeNd(ConvBase):
    """Base of the transposed convolutions; see `ConvTranspose2d` for the arguments."""

    transposed = True

    def __init__(
        self,
        in_channels: int | None,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        *,
        channels_last: bool = False,
        init: Any = None,
        bias_init: Any = None,
        generator: Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        who = type(self).__name__
        if isinstance(padding, str):
            raise ValueError(f"{who}: padding must be numbers, got {padding!r}")
        if padding_mode != "zeros":
            raise ValueError(f'{who}: padding_mode must be "zeros", got {padding_mode!r}')
        self._set_up(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, channels_last)
        self.output_padding = per_axis(who, "output_padding", output_padding, self.ndim, 0)
        self._draw(FirstValues(init, bias_init, generator, bias), dtype)

    def forward(self, x: Any) -> Tensor:
        """Return the transposed convolution of `x` (N, in_channels, *spatial), or of one sample without N."""
        x = as_input(self, x, self.weight)
        if self.in_channels is None:
            self.settle(x)
        conv = (ops.conv_transpose1d, ops.conv_transpose2d, ops.conv_transpose3d)[self.ndim - 1]
        options = (self.stride, self.padding, self.output_padding, self.groups, self.dilation, self.channels_last)
        return conv(x, self.weight, self.bias, *options)


class Conv1d(_ConvNd):
    """Convolution of (N, C, L); arguments as `Conv2d`.

    Example:
        >>> nn.Conv1d(1, 1, 3, bias=False, init=1.0)([[[1.0, 2.0, 3.0, 4.0]]])  # 1 + 2 + 3, 2 + 3 + 4
        Tensor([[[6., 9.]]], requires_grad=True)
        >>> nn.Conv1d(4, 8, kernel_size=5, stride=2)(np.zeros((2, 4, 100))).shape
        (2, 8, 48)
    """

    ndim = 1


class Conv2d(_ConvNd):
    """Convolution of (N, C, H, W): ``y[n, o] = bias[o] + sum over c of weight[o, c] * x[n, c]``, kernel not flipped.

    Args:
        in_channels, out_channels: number of channels of input and output; in_channels may be None, see `Linear`.
        kernel_size: a number, or one per spatial axis; as all that follow.
        stride: step from window to window.
        padding: zeros at both ends; a number, one per axis, "valid" (none), or "same" (output as long as the
            input, for stride 1).
        dilation: distance between the taps of the kernel.
        groups: output channels see the input channels of their own group; in_channels for a depthwise layer.
        bias: whether to add a bias. Before a batch norm it can be left out: its gradient there is 0.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        channels_last: input and output are (N, *spatial, C); the weight's shape does not change.
        init, bias_init, generator, dtype: see `Linear`; the default distribution is PyTorch's,
            U(-1/sqrt(n), 1/sqrt(n)) with n = in_channels / groups * prod(kernel_size).

    Attributes:
        weight: shape (out_channels, in_channels / groups, *kernel_size).
        bias: shape (out_channels,), or None.

    Example:
        >>> layer = nn.Conv2d(3, 16, kernel_size=3, padding="same")
        >>> layer.weight.shape, layer(np.zeros((2, 3, 8, 8))).shape
        ((16, 3, 3, 3), (2, 16, 8, 8))
        >>> nn.Conv2d(16, 16, 3, groups=16).weight.shape  # depthwise
        (16, 1, 3, 3)
    """

    ndim = 2


class Conv3d(_ConvNd):
    """Convolution of (N, C, D, H, W); arguments as `Conv2d`.

    Example:
        >>> nn.Conv3d(1, 4, kernel_size=(1, 3, 3), stride=2)(np.zeros((2, 1, 8, 9, 9))).shape
        (2, 4, 4, 4, 4)
    """

    ndim = 3


class ConvTranspose1d(_ConvTransposeNd):
    """Transposed convolution of (N, C, L); arguments as `ConvTranspose2d`.

    Example:
        >>> nn.ConvTranspose1d(1, 1, 3, stride=2, bias=False, init=1.0)([[[1.0, 2.0]]])
        Tensor([[[1., 1., 3., 2., 2.]]], requires_grad=True)
    """

    ndim = 1


class ConvTranspose2d(_ConvTransposeNd):
    """Transposed convolution of (N, C, H, W): the gradient of a convolution by its input, which upsamples.

    Args:
        in_channels, out_channels: number of channels of input and output; in_channels may be None, see `Linear`.
        kernel_size: a number, or one per spatial axis; as all that follow.
        stride: distance of the windows in the output.
        padding: how much is cut off both ends.
        output_padding: how much longer the output is at the end; less than stride or dilation.
        groups, bias, dilation, channels_last: see `Conv2d`.
        padding_mode: "zeros", the only one that a transposed convolution has.
        init, bias_init, generator, dtype: see `Linear`; the default distribution is PyTorch's,
            U(-1/sqrt(n), 1/sqrt(n)) with n = out_channels / groups * prod(kernel_size).

    Attributes:
        weight: shape (in_channels, out_channels / groups, *kernel_size).
        bias: shape (out_channels,), or None.

    Example:
        >>> layer = nn.ConvTranspose2d(16, 8, kernel_size=4, stride=2, padding=1)
        >>> layer.weight.shape, layer(np.zeros((1, 16, 7, 7))).shape
        ((16, 8, 4, 4), (1, 8, 14, 14))
    """

    ndim = 2


class ConvTranspose3d(_ConvTransposeNd):
    """Transposed convolution of (N, C, D, H, W); arguments as `ConvTranspose2d`.

    Example:
        >>> layer = nn.ConvTranspose3d(2, 1, kernel_size=3, stride=2, padding=1, output_padding=1)
        >>> layer(np.zeros((1, 2, 4, 4, 4))).shape
        (1, 1, 8, 8, 8)
    """

    ndim = 3
