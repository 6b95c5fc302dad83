"""Convolution and transposed convolution over 1, 2 or 3 spatial axes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...autograd.op import Result, op
from ...autograd.tensor import Tensor
from ...device import Array, accumulator, array_module
from ...kernels.sum_to import sum_over
from ..windows import (
    Windows,
    check_fit,
    check_input,
    described,
    from_planes,
    over_samples,
    per_axis,
    three,
    to_planes,
    useful,
)
from . import docstrings
from .primitives import convolve, convolve_input_gradient, convolve_weight_gradient

Sizes = tuple[int, ...]  # one for each spatial axis


def _channel_sums(gy: Array) -> Array:
    planes = sum_over(gy.reshape(*gy.shape[:2], math.prod(gy.shape[2:])), (2,), keepdims=False)
    return sum_over(planes, (0,), keepdims=False)


def _widened(*arrays: Any) -> tuple[np.dtype, list[Any]]:
    """Return the dtype of the result, and the arrays in that of the arithmetic: NumPy has no products of halves."""
    xp = array_module(*arrays)
    dtype = xp.result_type(*[a.dtype for a in arrays if a is not None])
    wide = dtype if xp is not np else accumulator(dtype)
    return dtype, [None if a is None else a.astype(wide, copy=False) for a in arrays]


def _check_weight(
    who: str, x: Array, weight: Array, bias: Array | None, groups: int, last: bool, transposed: bool
) -> None:
    """Check channels, groups and bias; `transposed` for the weight of a transposed convolution (C, O/groups, ...)."""
    channels = x.shape[-1] if last else x.shape[1]
    layout = "(in_channels, out_channels / groups" if transposed else "(out_channels, in_channels / groups"
    if weight.ndim != x.ndim:
        raise ValueError(f"{who}: weight must have {x.ndim} axes {layout}, *kernel), got shape {weight.shape}")
    if not isinstance(groups, (int, np.integer)) or groups < 1 or channels % groups or weight.shape[0] % groups:
        raise ValueError(
            f"{who}: groups must divide the {channels} channels of input and weight.shape[0] = {weight.shape[0]}, "
            f"got {groups}"
        )
    expected = channels if transposed else channels // groups
    if weight.shape[0 if transposed else 1] != expected:
        raise ValueError(
            f"{who}: weight must have shape {layout}, *kernel) with {expected} for in_channels"
            f"{'' if transposed else ' / groups'}, because input has {channels} channels, got {weight.shape}"
        )
    out = weight.shape[1] * groups if transposed else weight.shape[0]
    if bias is not None and bias.shape != (out,):
        raise ValueError(f"{who}: bias must have shape ({out},), got {bias.shape}")


def same_padding(reach: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (before, after) per axis so that the output is as long as the input; the odd one goes behind."""
    return [((r - 1) // 2, r - 1 - (r - 1) // 2) for r in reach]


def paddings(who: str, padding: Any, stride: tuple[int, ...], reach: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (before, after) per axis of what the user gave."""
    if padding == "valid":
        return [(0, 0)] * len(reach)
    if padding == "same":
        if any(s != 1 for s in stride):
            raise ValueError(f'{who}: padding="same" needs stride 1, got stride {stride}')
        return same_padding(reach)
    if isinstance(padding, str):
        raise ValueError(f'{who}: padding must be numbers, "same" or "valid", got {padding!r}')
    return [(p, p) for p in per_axis(who, "padding", padding, len(reach), 0)]


@functools.lru_cache(4096)
def _windows(who: str, sizes: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes, padding: Sizes | str) -> Windows:
    """Return the windows of a convolution over axes of these `sizes`."""
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    pads = paddings(who, padding, stride, reach)
    check_fit(who, sizes, reach, [sum(p) for p in pads])
    out = [(n + sum(p) - r) // s + 1 for n, p, r, s in zip(sizes, pads, reach, stride, strict=True)]
    return Windows(
        three(sizes, 1),
        three(out, 1),
        three(kernel, 1),
        three(useful(stride, sizes, out), 1),
        three([before for before, _ in pads], 0),
        three(dilation, 1),
    )


@op
def _convolution(x, weight, bias=None, *, who, ndim, stride, padding, dilation, groups, channels_last) -> Result:
    sizes = check_input(who, x, ndim, channels_last)
    _check_weight(who, x, weight, bias, groups, channels_last, False)
    stride, dilation = per_axis(who, "stride", stride, ndim), per_axis(who, "dilation", dilation, ndim)
    padding = padding if isinstance(padding, str) else per_axis(who, "padding", padding, ndim, 0)
    windows = _windows(who, sizes, weight.shape[2:], stride, dilation, padding)
    dtype, (x, weight, bias) = _widened(to_planes(x, channels_last), weight, bias)
    shape = weight.shape
    weight = weight.reshape(*shape[:2], *windows.kernel)
    y = convolve(x, weight, bias, windows, groups).astype(dtype, copy=False)

    def vjp(gy):
        g = to_planes(gy, channels_last).astype(x.dtype, copy=False)
        with_weight: list[Array] = []  # the gradient of the bias, where that of the weight brings it along

        def for_weight() -> Array:
            gw, gb = convolve_weight_gradient(x, g, windows, groups, bias is not None)
            with_weight.extend([] if gb is None else [gb])
            return gw.reshape(shape)

        return (
            lambda: from_planes(convolve_input_gradient(g, weight, windows, groups), ndim, channels_last),
            for_weight,
            lambda: with_weight.pop() if with_weight else _channel_sums(g),
        )

    return from_planes(y, ndim, channels_last), vjp


@op
def _transposed_convolution(
    x, weight, bias=None, *, who, ndim, stride, padding, output_padding, groups, dilation, channels_last
) -> Result:
    sizes = check_input(who, x, ndim, channels_last)
    _check_weight(who, x, weight, bias, groups, channels_last, True)
    kernel = weight.shape[2:]
    stride, dilation = per_axis(who, "stride", stride, ndim), per_axis(who, "dilation", dilation, ndim)
    padding = per_axis(who, "padding", padding, ndim, 0)
    extra = per_axis(who, "output_padding", output_padding, ndim, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(f"{who}: output_padding must be less than stride or dilation, got {extra} at stride {stride}")
    out = [
        (n - 1) * s - 2 * p + (k - 1) * d + e + 1
        for n, s, p, k, d, e in zip(sizes, stride, padding, kernel, dilation, extra, strict=True)
    ]
    if min(out) < 1:
        raise ValueError(f"{who}: padding {padding} leaves nothing of the output, whose shape would be {tuple(out)}")
    steps = useful(stride, out, sizes)
    windows = Windows(
        three(out, 1), three(sizes, 1), three(kernel, 1), three(steps, 1), three(padding, 0), three(dilation, 1)
    )
    dtype, (x, weight, bias) = _widened(to_planes(x, channels_last), weight, bias)
    shape = weight.shape
    weight = weight.reshape(*shape[:2], *windows.kernel)
    y = convolve_input_gradient(x, weight, windows, groups)
    if bias is not None:
        y += bias[:, None, None, None]

    def vjp(gy):
        g = to_planes(gy, channels_last).astype(x.dtype, copy=False)
        return (
            lambda: from_planes(convolve(g, weight, None, windows, groups), ndim, channels_last),
            lambda: convolve_weight_gradient(g, x, windows, groups)[0].reshape(shape),
            lambda: _channel_sums(g),
        )

    return from_planes(y.astype(dtype, copy=False), ndim, channels_last), vjp


def _conv(ndim: int) -> Callable[..., Tensor]:
    who = f"conv{ndim}d"

    def conv(
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        channels_last: bool = False,
    ) -> Tensor:
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        return over_samples(
            _convolution, input, weight, bias, who=who, ndim=ndim, channels_last=channels_last, **options
        )

    return described(conv, who, docstrings.CONV, ndim, example=docstrings.EXAMPLES[who])


def _conv_transpose(ndim: int) -> Callable[..., Tensor]:
    who = f"conv_transpose{ndim}d"

    def conv_transpose(
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        dilation: int | tuple[int, ...] = 1,
        channels_last: bool = False,
    ) -> Tensor:
        options: dict[str, Any] = {"stride": stride, "padding": padding, "output_padding": output_padding}
        options |= {"groups": groups, "dilation": dilation, "channels_last": channels_last}
        return over_samples(_transposed_convolution, input, weight, bias, who=who, ndim=ndim, **options)

    return described(conv_transpose, who, docstrings.TRANSPOSED, ndim, example=docstrings.EXAMPLES[who])


conv1d, conv2d, conv3d = (_conv(ndim) for ndim in (1, 2, 3))
conv_transpose1d, conv_transpose2d, conv_transpose3d = (_conv_transpose(ndim) for ndim in (1, 2, 3))
