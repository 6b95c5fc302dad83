"""Pooling and resampling layers: classes of the functions, most for 1, 2 and 3 spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ops.pool import pooling as ops
from ..ops.pool.pooling import Axes
from ..ops.resize import interpolate
from ..ops.shuffle import pixel_shuffle, pixel_unshuffle
from .function_layer import Unary


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
    """Layer that applies `cunet.functional.adaptive_avg_pool1d`; same options.

    Example:
        >>> nn.AdaptiveAvgPool1d(2)([[[1.0, 2.0, 3.0, 4.0]]])
        Tensor([[[1.5, 3.5]]])
    """

    function = staticmethod(ops.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Layer that applies `cunet.functional.adaptive_avg_pool2d`; same options.

    Example:
        >>> nn.AdaptiveAvgPool2d(1)(np.zeros((8, 64, 7, 7))).shape  # the mean of each channel, for any size
        (8, 64, 1, 1)
    """

    function = staticmethod(ops.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Layer that applies `cunet.functional.adaptive_avg_pool3d`; same options.

    Example:
        >>> nn.AdaptiveAvgPool3d((1, 2, 2))(np.zeros((1, 4, 6, 5, 4))).shape
        (1, 4, 1, 2, 2)
    """

    function = staticmethod(ops.adaptive_avg_pool3d)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Layer that applies `cunet.functional.adaptive_max_pool1d`; same options.

    Example:
        >>> nn.AdaptiveMaxPool1d(2)([[[1.0, 5.0, 2.0, 3.0]]])
        Tensor([[[5., 3.]]])
    """

    function = staticmethod(ops.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Layer that applies `cunet.functional.adaptive_max_pool2d`; same options.

    Example:
        >>> y, at = nn.AdaptiveMaxPool2d(1, return_indices=True)([[[[1.0, 2.0], [9.0, 4.0]]]])
        >>> y.item(), at.item()  # row 1, column 0 of 2
        (9.0, 2)
    """

    function = staticmethod(ops.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Layer that applies `cunet.functional.adaptive_max_pool3d`; same options.

    Example:
        >>> nn.AdaptiveMaxPool3d(2)(np.zeros((1, 4, 6, 5, 4))).shape
        (1, 4, 2, 2, 2)
    """

    function = staticmethod(ops.adaptive_max_pool3d)


class AvgPool1d(_AvgPool):
    """Layer that applies `cunet.functional.avg_pool1d`; same options.

    Example:
        >>> nn.AvgPool1d(3, stride=1, padding=1)([[[3.0, 3.0, 3.0]]])
        Tensor([[[2., 3., 2.]]])
        >>> nn.AvgPool1d(3, stride=1, padding=1, count_include_pad=False)([[[3.0, 3.0, 3.0]]])
        Tensor([[[3., 3., 3.]]])
    """

    function = staticmethod(ops.avg_pool1d)


class AvgPool2d(_AvgPool):
    """Layer that applies `cunet.functional.avg_pool2d`; same options.

    Example:
        >>> nn.AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
        Tensor([[ 2.5,  4.5],
                [10.5, 12.5]], dtype=float64)
    """

    function = staticmethod(ops.avg_pool2d)


class AvgPool3d(_AvgPool):
    """Layer that applies `cunet.functional.avg_pool3d`; same options.

    Example:
        >>> nn.AvgPool3d(2)(np.zeros((1, 3, 8, 8, 8))).shape  # the stride is the kernel's size
        (1, 3, 4, 4, 4)
    """

    function = staticmethod(ops.avg_pool3d)


class Upsample(Unary):
    """Layer that applies `cunet.functional.interpolate`; same options.

    Example:
        >>> nn.Upsample(scale_factor=2)([[[1.0, 2.0]]])
        Tensor([[[1., 1., 2., 2.]]])
        >>> nn.Upsample(scale_factor=2, mode="linear")([[[1.0, 2.0]]])
        Tensor([[[1.  , 1.25, 1.75, 2.  ]]])
    """

    function = staticmethod(interpolate)
    size: int | Sequence[int] | None = None
    scale_factor: float | Sequence[float] | None = None
    mode: str = "nearest"
    align_corners: bool | None = None
    channels_last: bool = False


class PixelShuffle(Unary):
    """Layer that applies `cunet.functional.pixel_shuffle`; same options.

    Example:
        >>> nn.PixelShuffle(2)(np.arange(4.0).reshape(1, 4, 1, 1))[0, 0]
        Tensor([[0., 1.],
                [2., 3.]], dtype=float64)
        >>> nn.PixelShuffle(2)(np.zeros((1, 12, 5, 5))).shape
        (1, 3, 10, 10)
    """

    function = staticmethod(pixel_shuffle)
    upscale_factor: int


class PixelUnshuffle(Unary):
    """Layer that applies `cunet.functional.pixel_unshuffle`; same options.

    Example:
        >>> nn.PixelUnshuffle(2)(np.zeros((1, 3, 10, 10))).shape
        (1, 12, 5, 5)
    """

    function = staticmethod(pixel_unshuffle)
    downscale_factor: int


class MaxPool1d(_MaxPool):
    """Layer that applies `cunet.functional.max_pool1d`.

    Example:
        >>> nn.MaxPool1d(2)([[[1.0, 3.0, 5.0, 7.0, 9.0]]])
        Tensor([[[3., 7.]]])
        >>> nn.MaxPool1d(2, ceil_mode=True)([[[1.0, 3.0, 5.0, 7.0, 9.0]]])
        Tensor([[[3., 7., 9.]]])
    """

    function = staticmethod(ops.max_pool1d)


class MaxPool2d(_MaxPool):
    """Layer that applies `cunet.functional.max_pool2d`.

    Example:
        >>> nn.MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))[0, 0]
        Tensor([[ 5.,  7.],
                [13., 15.]], dtype=float64)
        >>> nn.MaxPool2d(3, stride=2, padding=1)(np.zeros((1, 4, 28, 28))).shape
        (1, 4, 14, 14)
    """

    function = staticmethod(ops.max_pool2d)


class MaxPool3d(_MaxPool):
    """Layer that applies `cunet.functional.max_pool3d`.

    Example:
        >>> nn.MaxPool3d((1, 2, 2))(np.zeros((1, 3, 8, 8, 8))).shape
        (1, 3, 8, 4, 4)
    """

    function = staticmethod(ops.max_pool3d)
