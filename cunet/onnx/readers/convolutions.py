"""Convolutions and pools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...ops import array, math, reduce
from ...ops.conv import convolution
from ...ops.pool import pooling
from ..reading import need, reads

_CONV = (convolution.conv1d, convolution.conv2d, convolution.conv3d)
_TRANSPOSED = (convolution.conv_transpose1d, convolution.conv_transpose2d, convolution.conv_transpose3d)
_MAX = (pooling.max_pool1d, pooling.max_pool2d, pooling.max_pool3d)
_MEAN = (pooling.avg_pool1d, pooling.avg_pool2d, pooling.avg_pool3d)


def _sides(pads: Sequence[int] | None, ndim: int) -> list[tuple[int, int]]:
    """Return (before, after) for each axis of ONNX's list: all before, then all after."""
    given = list(pads) if pads else [0] * (2 * ndim)
    return [(given[k], given[k + ndim]) for k in range(ndim)]


def _resolved(
    auto_pad: str, pads: Any, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], steps: Sequence[int]
) -> list[tuple[int, int]]:
    """Return the border that a node asks for."""
    if auto_pad in ("NOTSET", "VALID"):
        return _sides(pads if auto_pad == "NOTSET" else None, len(sizes))
    need(auto_pad in ("SAME_UPPER", "SAME_LOWER"), f"auto_pad {auto_pad!r} is not known")
    totals = [
        max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        for n, k, s, d in zip(sizes, kernel, strides, steps, strict=True)
    ]
    pairs = [(total // 2, total - total // 2) for total in totals]
    return pairs if auto_pad == "SAME_UPPER" else [(b, a) for a, b in pairs]


def _each(value: Any, ndim: int, default: int = 1) -> tuple[int, ...]:
    return tuple(value) if value else (default,) * ndim


def _ndim(x: Any) -> int:
    need(3 <= x.ndim <= 5, f"1 to 3 spatial axes are needed, got an input of shape {x.shape}")
    return x.ndim - 2


@reads("Conv")
def _(x, weight, bias=None, auto_pad="NOTSET", dilations=None, group=1, kernel_shape=None, pads=None, strides=None):
    ndim = _ndim(x)
    kernel, strides, steps = weight.shape[2:], _each(strides, ndim), _each(dilations, ndim)
    border = _resolved(auto_pad, pads, x.shape[2:], kernel, strides, steps)
    if any(a != b for a, b in border):
        x, border = array.pad(x, [(0, 0), (0, 0), *border]), [(0, 0)] * ndim
    return _CONV[ndim - 1](x, weight, bias, strides, tuple(a for a, _ in border), steps, group)


@reads("ConvTranspose")
def _(
    x, weight, bias=None, auto_pad="NOTSET", dilations=None, group=1, kernel_shape=None, output_padding=None,
    output_shape=None, pads=None, strides=None,
):  # fmt: skip
    ndim = _ndim(x)
    strides, steps, extra = _each(strides, ndim), _each(dilations, ndim), _each(output_padding, ndim, 0)
    full = [
        (n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(x.shape[2:], strides, weight.shape[2:], steps, strict=True)
    ]
    border = _sides(pads, ndim)
    if output_shape or auto_pad.startswith("SAME"):
        wanted = list(output_shape or [n * s for n, s in zip(x.shape[2:], strides, strict=True)])
        cuts = [n + e - w for n, e, w in zip(full, extra, wanted[-ndim:], strict=True)]
        upper = auto_pad == "SAME_UPPER"
        border = [(c // 2, c - c // 2) if upper else (c - c // 2, c // 2) for c in cuts]
    ends = [n + e for n, e in zip(full, extra, strict=True)]
    y = _TRANSPOSED[ndim - 1](x, weight, bias, strides, 0, 0, group, steps)
    longer = [(0, max(end - (b if b < 0 else 0) - n, 0)) for end, n, (_, b) in zip(ends, full, border, strict=True)]
    if any(after for _, after in longer):  # what no tap reaches has the bias alone
        lacking = array.pad(y if bias is None else y - _across(bias, ndim), [(0, 0), (0, 0), *longer])
        y = lacking if bias is None else lacking + _across(bias, ndim)
    return y[(slice(None), slice(None), *(slice(a, end - b) for (a, b), end in zip(border, ends, strict=True)))]


def _across(bias: Any, ndim: int) -> Any:
    return array.reshape(bias, (-1, *[1] * ndim))


def _windows(x: Any, auto_pad: str, kernel: Any, pads: Any, strides: Any, dilations: Any) -> Any:
    ndim = _ndim(x)
    strides, steps = _each(strides, ndim), _each(dilations, ndim)
    return ndim, strides, steps, _resolved(auto_pad, pads, x.shape[2:], kernel, strides, steps)


def _reach(sizes: Any, kernel: Any, strides: Any, steps: Any, border: Any, ceil: int) -> list[tuple[int, int]]:
    """Return the border with as much behind as the last window needs, which with `ceil` may hang over."""
    found = []
    for n, k, s, d, (a, b) in zip(sizes, kernel, strides, steps, border, strict=True):
        reach = (k - 1) * d + 1
        count = (n + a + b - reach + (s - 1 if ceil else 0)) // s + 1
        count -= int(bool(ceil) and (count - 1) * s >= n + a)
        found.append((a, max((count - 1) * s + reach - n - a, 0 if ceil else b)))
    return found


@reads("MaxPool")
def _(
    x, auto_pad="NOTSET", ceil_mode=0, dilations=None, kernel_shape=(), pads=None, storage_order=0, strides=None,
    results=1,
):  # fmt: skip
    kernel = tuple(kernel_shape)
    ndim, strides, steps, border = _windows(x, auto_pad, kernel, pads, strides, dilations)
    need(results == 1, "MaxPool: the places of the maxima are not read")
    border = _reach(x.shape[2:], kernel, strides, steps, border, ceil_mode)
    if x.dtype.kind != "f":
        y = x.astype(np.float64)
        low = float(np.iinfo(x.dtype).min)
    else:
        y, low = x, -np.inf
    y = array.pad(y, [(0, 0), (0, 0), *border], low) if any(map(any, border)) else y
    return _MAX[ndim - 1](y, kernel, strides, 0, steps).astype(x.dtype)


@reads("AveragePool")
def _(
    x, auto_pad="NOTSET", ceil_mode=0, count_include_pad=0, dilations=None, kernel_shape=(), pads=None, strides=None
):  # fmt: skip
    kernel = tuple(kernel_shape)
    ndim, strides, steps, given = _windows(x, auto_pad, kernel, pads, strides, dilations)
    border = _reach(x.shape[2:], kernel, strides, steps, given, ceil_mode)
    need(set(steps) == {1}, "AveragePool: dilations must be 1")
    sums = _MEAN[ndim - 1](array.pad(x, [(0, 0), (0, 0), *border]), kernel, strides)
    inner = given if count_include_pad else [(0, 0)] * ndim
    ones = np.ones((1, 1, *(n + a + b for n, (a, b) in zip(x.shape[2:], inner, strict=True))), x.dtype)
    rest = [
        (a - p, max(b - q, 0)) for (a, b), (p, q) in zip(border, inner, strict=True)
    ]  # hanging over the end counts for nothing
    shares = _MEAN[ndim - 1](np.pad(ones, [(0, 0), (0, 0), *rest]), kernel, strides)
    return sums if bool((shares.data == 1).all()) else sums / _like(shares, x)


def _like(y: Any, x: Any) -> Any:
    return y.to(x.device)


def _over_space(function: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda x: function(x, tuple(range(2, x.ndim)), True)


reads("GlobalAveragePool")(_over_space(reduce.mean))
reads("GlobalMaxPool")(_over_space(reduce.max))


@reads("GlobalLpPool")
def _(x, p=2):
    return math.power(reduce.sum(abs(x) ** float(p), tuple(range(2, x.ndim)), True), 1 / p)


@reads("LRN")
def _(x, alpha=0.0001, beta=0.75, bias=1.0, size=1):
    before = (size - 1) // 2
    squares = array.pad(x * x, [(0, 0), (before, size - 1 - before), *[(0, 0)] * (x.ndim - 2)])
    channels = x.shape[1]
    total = sum(squares[:, k : k + channels] for k in range(size))
    return x / (total * (alpha / size) + bias) ** beta
