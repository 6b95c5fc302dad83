"""Pooling, resampling and border layers: classes of the functions, most for 1, 2 and 3 spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd.tensor import Tensor
from ..ops.pool import pooling as ops
from ..ops.pool.pooling import Axes
from ..ops.resize import interpolate, pad
from ..ops.shuffle import pixel_shuffle, pixel_unshuffle
from ..system.checks import check_counts
from .function_layer import Unary
from .inputs import as_input
from .module import Module


class _AdaptiveAvgPool(Unary):
    output_size: Any
    channels_last: bool = False


class _AdaptiveMaxPool(Unary):
    output_size: Any
    return_indices: bool = False
    channels_last: bool = False


class _AvgPool(Unary):
    kernel_size: Axes
    stride: Axes | None = None
    padding: Axes = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: float | None = None
    channels_last: bool = False


class _MaxPool(Unary):
    """Base of the max pools, whose options PyTorch's layers take in another order than its functions."""

    kernel_size: Axes
    stride: Axes | None = None
    padding: Axes = 0
    dilation: Axes = 1
    return_indices: bool = False
    ceil_mode: bool = False
    channels_last: bool = False


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Layer that applies `cunet.functional.adaptive_avg_pool1d`; same options."""

    function = staticmethod(ops.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Layer that applies `cunet.functional.adaptive_avg_pool2d`; same options."""

    function = staticmethod(ops.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Layer that applies `cunet.functional.adaptive_avg_pool3d`; same options."""

    function = staticmethod(ops.adaptive_avg_pool3d)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Layer that applies `cunet.functional.adaptive_max_pool1d`; same options."""

    function = staticmethod(ops.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Layer that applies `cunet.functional.adaptive_max_pool2d`; same options."""

    function = staticmethod(ops.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Layer that applies `cunet.functional.adaptive_max_pool3d`; same options."""

    function = staticmethod(ops.adaptive_max_pool3d)


class AvgPool1d(_AvgPool):
    """Layer that applies `cunet.functional.avg_pool1d`; same options."""

    function = staticmethod(ops.avg_pool1d)


class AvgPool2d(_AvgPool):
    """Layer that applies `cunet.functional.avg_pool2d`; same options."""

    function = staticmethod(ops.avg_pool2d)


class AvgPool3d(_AvgPool):
    """Layer that applies `cunet.functional.avg_pool3d`; same options."""

    function = staticmethod(ops.avg_pool3d)


class Upsample(Unary):
    """Layer that applies `cunet.functional.interpolate`; same options."""

    function = staticmethod(interpolate)
    size: int | Sequence[int] | None = None
    scale_factor: float | Sequence[float] | None = None
    mode: str = "nearest"
    align_corners: bool | None = None
    channels_last: bool = False


class PixelShuffle(Unary):
    """Layer that applies `cunet.functional.pixel_shuffle`; same options."""

    function = staticmethod(pixel_shuffle)
    upscale_factor: int


class PixelUnshuffle(Unary):
    """Layer that applies `cunet.functional.pixel_unshuffle`; same options."""

    function = staticmethod(pixel_unshuffle)
    downscale_factor: int


class MaxPool1d(_MaxPool):
    """Layer that applies `cunet.functional.max_pool1d`."""

    function = staticmethod(ops.max_pool1d)


class MaxPool2d(_MaxPool):
    """Layer that applies `cunet.functional.max_pool2d`."""

    function = staticmethod(ops.max_pool2d)


class MaxPool3d(_MaxPool):
    """Layer that applies `cunet.functional.max_pool3d`."""

    function = staticmethod(ops.max_pool3d)


class _Pad(Module):
    """Border of the spatial axes; see `cunet.functional.pad`.

    Args:
        padding: one width for all sides, or (before, after) of the last axis, then of the one before it.
        channels_last: the input is (N, *spatial, C).
    """

    mode: str
    ndim: int

    def __init__(self, padding: int | Sequence[int], channels_last: bool = False) -> None:
        widths: Any = padding if isinstance(padding, (tuple, list)) else (padding,) * (2 * self.ndim)
        self.padding: tuple[int, ...] = tuple(widths)
        for width in self.padding:
            check_counts(type(self).__name__, 0, padding=width)
        if len(self.padding) != 2 * self.ndim:
            raise ValueError(f"{type(self).__name__}: padding must be 1 or {2 * self.ndim} numbers, got {padding!r}")
        self.channels_last = channels_last

    def forward(self, x: Any) -> Tensor:
        """Return `x` with its border."""
        return pad(as_input(self, x, None), self.padding, self.mode, channels_last=self.channels_last)

    def extra_repr(self) -> str:
        """Show the widths."""
        return f"{self.padding}"


def _pad_layer(name: str, mode: str, ndim: int) -> type[_Pad]:
    return type(name, (_Pad,), {"mode": mode, "ndim": ndim, "__doc__": _Pad.__doc__, "__module__": __name__})


ZeroPad1d, ZeroPad2d, ZeroPad3d = (_pad_layer(f"ZeroPad{k}d", "constant", k) for k in (1, 2, 3))
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = (_pad_layer(f"ReflectionPad{k}d", "reflect", k) for k in (1, 2, 3))
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = (
    _pad_layer(f"ReplicationPad{k}d", "replicate", k) for k in (1, 2, 3)
)
CircularPad1d, CircularPad2d, CircularPad3d = (_pad_layer(f"CircularPad{k}d", "circular", k) for k in (1, 2, 3))
