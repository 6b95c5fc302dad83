"""What norms of channels share: their settings, scale and shift, and what they say of inputs that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tape import is_recording
from ..autograd.tensor import Tensor
from ..device import is_gpu_array
from ..ops.norm.normalize import check_eps
from ..system.messages import shown
from .inputs import as_input
from .module import Module
from .parameter import Parameter, check_sizes, make_parameter


class ChannelNorm(Module):
    """Base of the norms with a weight and a bias per channel; `ndims` says how many axes inputs may have."""

    ndims: tuple[int, ...] = (2, 3, 4, 5)

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool, bias: bool, axis: int, dtype: Any
    ) -> None:
        who = type(self).__name__
        check_sizes(who, num_features=num_features)
        check_eps(who, eps)
        if momentum is not None and not isinstance(momentum, (int, float, np.number)):
            raise TypeError(f"{who}: momentum must be a number or None, got {shown(momentum)}")
        if momentum is not None and not 0 <= momentum <= 1:
            raise ValueError(f"{who}: momentum must be None or within [0, 1], the weight of the new, got {momentum}")
        self.num_features, self.eps, self.momentum, self.axis = num_features, eps, momentum, axis
        self.weight, self.bias = scale_and_shift((num_features,), affine, affine and bias, dtype)

    def _checked(self, x: Any) -> Any:
        """Return the input, a nested list as an array, if its shape fits."""
        x = as_input(self, x, self.weight)
        who, shape = type(self).__name__, x.shape
        if len(shape) not in self.ndims:
            raise ValueError(f"{who}: x must have {' or '.join(map(str, self.ndims))} axes, got shape {shape}")
        check_channels(who, shape, self.axis, "num_features", self.num_features)
        return x

    def extra_repr(self) -> str:
        """Show what differs from the plainest layer."""
        parts = [str(self.num_features), f"eps={self.eps}", f"momentum={self.momentum}"]
        parts += ["affine=False"] if self.weight is None else [] if self.bias is not None else ["bias=False"]
        parts += [] if self.axis == 1 else [f"axis={self.axis}"]
        return ", ".join(parts)


def check_channels(who: str, shape: tuple[int, ...], axis: int, name: str, channels: int) -> None:
    """Raise ValueError unless the axis is there and has the length `channels`, which is called `name`."""
    there = isinstance(axis, (int, np.integer)) and -len(shape) <= axis < len(shape)
    if not there or shape[axis] != channels:
        raise ValueError(f"{who}: x must have {name} = {channels} on axis {axis!r}, got shape {shape}")


def scale_and_shift(
    shape: tuple[int, ...], weight: bool, bias: bool, dtype: Any
) -> tuple[Parameter | None, Parameter | None]:
    """Return weight (ones) and bias (zeros) of a norm, None where not wanted."""
    return (
        make_parameter(shape, None, "ones", None, dtype) if weight else None,
        make_parameter(shape, None, "zeros", None, dtype) if bias else None,
    )


def kept(buffer: Tensor) -> Tensor:
    """Return a buffer as a graph may keep it: of one that is written in place later, a copy."""
    return Tensor(buffer.data.copy()) if is_recording() and is_gpu_array(buffer.data) else buffer


def put(buffer: Tensor, new: Tensor) -> None:
    """Give a buffer other values: on a GPU where they lie, so that a captured graph finds them, else a new array."""
    if is_gpu_array(buffer.data):
        buffer.data[...] = new.data
    else:
        buffer.data = new.data
