"""Pooling, resampling and border layers: classes of the functions, for 1, 2 and 3 spatial axes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ..autograd.tensor import Tensor
from ..ops.pool import pooling as ops
from ..ops.resize import interpolate, pad
from .module import Module


class _Applied(Module):
    """Base of the layers that hold the settings of a function, given as to the function itself."""

    function: Callable[..., Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        signature = inspect.signature(self.function)
        first, *rest = signature.parameters.values()
        try:
            self.options = signature.replace(parameters=rest).bind(*args, **kwargs).arguments
        except TypeError as error:
            names = ", ".join(p.name for p in rest)
            raise TypeError(f"{type(self).__name__}: {error}; its options are ({names})") from None

    def forward(self, x: Any) -> Any:
        """Return the function of `x`."""
        return type(self).function(x, **self.options)

    def extra_repr(self) -> str:
        """Show the options that were given."""
        return ", ".join(f"{k}={v!r}" for k, v in self.options.items())


def _layer(name: str, function: Callable[..., Any]) -> type[_Applied]:
    """Make the layer class of a function; its options are the function's arguments after the array."""
    doc = f"Layer that applies `cunet.functional.{function.__name__}`; same options."
    return type(name, (_Applied,), {"function": staticmethod(function), "__doc__": doc, "__module__": __name__})


AdaptiveAvgPool1d = _layer("AdaptiveAvgPool1d", ops.adaptive_avg_pool1d)
AdaptiveAvgPool2d = _layer("AdaptiveAvgPool2d", ops.adaptive_avg_pool2d)
AdaptiveAvgPool3d = _layer("AdaptiveAvgPool3d", ops.adaptive_avg_pool3d)
AdaptiveMaxPool1d = _layer("AdaptiveMaxPool1d", ops.adaptive_max_pool1d)
AdaptiveMaxPool2d = _layer("AdaptiveMaxPool2d", ops.adaptive_max_pool2d)
AdaptiveMaxPool3d = _layer("AdaptiveMaxPool3d", ops.adaptive_max_pool3d)
AvgPool1d = _layer("AvgPool1d", ops.avg_pool1d)
AvgPool2d = _layer("AvgPool2d", ops.avg_pool2d)
AvgPool3d = _layer("AvgPool3d", ops.avg_pool3d)
Upsample = _layer("Upsample", interpolate)


class _MaxPool(_Applied):
    """Base of the max pools, whose options PyTorch's layers take in another order than its functions."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        channels_last: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode, return_indices, channels_last)


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
        self.padding = (padding,) * (2 * self.ndim) if isinstance(padding, int) else tuple(padding)
        if len(self.padding) != 2 * self.ndim:
            raise ValueError(f"{type(self).__name__}: padding must be 1 or {2 * self.ndim} numbers, got {padding!r}")
        self.channels_last = channels_last

    def forward(self, x: Any) -> Tensor:
        """Return `x` with its border."""
        return pad(x, self.padding, self.mode, channels_last=self.channels_last)

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
