"""Convolutions, pools and resampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ops import resize
from ...ops.conv import convolution
from ...ops.pool import pooling
from ...ops.windows import per_axis
from ..graph import Given, Graph, NotExportable, Value
from ..writing import at_axis_1, back_from_axis_1, writes
from .reductions import folded


def _planes(g: Graph, x: Value, channels_last: bool) -> Given:
    return at_axis_1(g, x, x.ndim, -1) if channels_last else x


def _back(g: Graph, y: str, x: Value, channels_last: bool) -> str:
    return back_from_axis_1(g, y, x.ndim, -1) if channels_last else y


def _ends(pads: Sequence[tuple[int, int]]) -> list[int]:
    """Return (before, after) of each axis in ONNX's order: all before, then all after."""
    return [before for before, _ in pads] + [after for _, after in pads]


@writes(convolution._convolution)
def _(g, x, weight, bias=None, *, who, ndim, stride, padding, dilation, groups, channels_last):
    stride, dilation = per_axis(who, "stride", stride, ndim), per_axis(who, "dilation", dilation, ndim)
    kernel = weight.lengths(range(2, 2 + ndim))
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    pads = convolution.paddings(who, padding, stride, reach)
    options = {"strides": stride, "pads": _ends(pads), "dilations": dilation, "group": groups, "kernel_shape": kernel}
    return _back(g, g("Conv", _planes(g, x, channels_last), weight, bias, **options), x, channels_last)


@writes(convolution._transposed_convolution)
def _(g, x, weight, bias=None, *, who, ndim, stride, padding, output_padding, groups, dilation, channels_last):
    numbers = {"strides": (stride, 1), "dilations": (dilation, 1), "output_padding": (output_padding, 0)}
    options: dict[str, Any] = {name: per_axis(who, name, n, ndim, least) for name, (n, least) in numbers.items()}
    options |= {"pads": per_axis(who, "padding", padding, ndim, 0) * 2, "group": groups}
    kernel = weight.lengths(range(2, 2 + ndim))
    y = g("ConvTranspose", _planes(g, x, channels_last), weight, bias, kernel_shape=kernel, **options)
    return _back(g, y, x, channels_last)


def _sliding(plan: Any, ndim: int) -> dict[str, Any]:
    """Return the attributes of a pool's windows."""
    given = plan.keywords
    kernel = per_axis("pool", "kernel", given["kernel"], ndim)
    stride = kernel if given["stride"] is None else per_axis("pool", "stride", given["stride"], ndim)
    padding = per_axis("pool", "padding", given["padding"], ndim, 0)
    dilation = per_axis("pool", "dilation", given.get("dilation", 1), ndim)
    ceil = int(given["ceil_mode"])
    return {"kernel_shape": kernel, "strides": stride, "pads": padding * 2, "dilations": dilation, "ceil_mode": ceil}


def _parts(g: Graph, x: Value, planes: Given, plan: Any, last: bool, kind: str) -> str:
    """Return the name of a mean or maximum over parts of about equal length of each axis, one axis after the other."""
    ndim = x.ndim - 2
    sizes = x.shape[1:-1] if last else x.shape[2:]
    wanted = plan.keywords["output_size"]
    wanted = tuple(wanted) if isinstance(wanted, (tuple, list)) else (wanted,) * ndim
    for axis, (n, out) in enumerate(zip(sizes, wanted, strict=True), start=2):
        if out is None or out == n:
            continue
        if out == 1:
            planes = folded(g, kind, planes, [axis])
            continue
        if not isinstance(n, int):
            raise NotExportable("a spatial axis follows the batch, and its length would have to be fixed")
        cuts = [(o * n // out, -(-(o + 1) * n // out)) for o in range(out)]
        parts = [folded(g, kind, g("Slice", planes, [a], [b], [axis]), [axis]) for a, b in cuts]
        planes = g("Concat", *parts, axis=axis)
    return planes if isinstance(planes, str) else g("Identity", planes)


def _even(plan: Any, sizes: Sequence[Any]) -> dict[str, Any] | None:
    """Return the attributes of parts of equal length as sliding windows; None where they are not equal."""
    wanted = plan.keywords["output_size"]
    wanted = tuple(wanted) if isinstance(wanted, (tuple, list)) else (wanted,) * len(sizes)
    pairs = [(n, n if out is None else out) for n, out in zip(sizes, wanted, strict=True)]
    if not all(isinstance(n, int) and n % out == 0 for n, out in pairs):
        return None
    kernel = [n // out for n, out in pairs]
    return {"kernel_shape": kernel, "strides": kernel}


@writes(pooling._max_pool)
def _(g, x, *, ndim, plan, channels_last, return_indices):
    planes = _planes(g, x, channels_last)
    sizes = x.shape[1:-1] if channels_last else x.shape[2:]
    options = _even(plan, sizes) if "output_size" in plan.keywords else _sliding(plan, ndim)
    if not return_indices:
        y = _parts(g, x, planes, plan, channels_last, "Max") if options is None else g("MaxPool", planes, **options)
        return _back(g, y, x, channels_last)
    if options is None or not all(isinstance(n, int) for n in sizes):
        raise NotExportable("return_indices needs parts of equal length, and lengths that do not follow the batch")
    y, where = g.node("MaxPool", [planes], 2, **options)
    where = g("Mod", where, np.asarray(np.prod(sizes), np.int64))  # ONNX counts over samples and channels too
    return [_back(g, y, x, channels_last), _back(g, where, x, channels_last)]


@writes(pooling._avg_pool)
def _(g, x, *, ndim, plan, channels_last, count_include_pad, divisor):
    planes = _planes(g, x, channels_last)
    adaptive = "output_size" in plan.keywords
    options = _even(plan, x.shape[1:-1] if channels_last else x.shape[2:]) if adaptive else _sliding(plan, ndim)
    if options is None:
        return _back(g, _parts(g, x, planes, plan, channels_last, "Mean"), x, channels_last)
    if divisor:
        if options["ceil_mode"]:
            raise NotExportable("divisor_override and ceil_mode together have no form in ONNX")
        y = g("AveragePool", planes, count_include_pad=1, **options)
        y = g("Mul", y, float(np.prod(options["kernel_shape"])) / divisor)
    else:
        y = g("AveragePool", planes, count_include_pad=int(count_include_pad), **options)
    return _back(g, y, x, channels_last)


@writes(resize._interpolate)
def _(g, x, *, size, scale_factor, mode, align_corners, channels_last):
    planes = _planes(g, x, channels_last)
    ndim = x.ndim - 2
    axes = list(range(2, x.ndim))
    how = {"nearest": "nearest", "bicubic": "cubic"}.get(mode, "linear")
    where = "asymmetric" if mode == "nearest" else "align_corners" if align_corners else "half_pixel"
    options: dict[str, Any] = {"mode": how, "coordinate_transformation_mode": where, "axes": axes}
    options |= {"nearest_mode": "floor"} if mode == "nearest" else {}
    options |= {"cubic_coeff_a": -0.75} if mode == "bicubic" else {}
    given = scale_factor if size is None else size
    each = tuple(given) if isinstance(given, (tuple, list)) else (given,) * ndim
    scales = np.asarray(each, np.float32) if size is None else None
    y = g("Resize", planes, None, scales, None if size is None else [int(n) for n in each], **options)
    return _back(g, y, x, channels_last)
