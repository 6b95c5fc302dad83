"""Norms, each with what may follow it in the same kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops.norm import batch_norm, group_norm, layer_norm
from ..graph import Given, Graph, Value
from ..writing import activated, at_axis_1, back_from_axis_1, parameter, writes
from .reductions import centred, folded


def scaled(g: Graph, x: str, weight: Given, bias: Given) -> str:
    """Return the name of ``x * weight + bias``, of which either may be None."""
    x = x if weight is None else g("Mul", x, weight)
    return x if bias is None else g("Add", x, bias)


def standardised(g: Graph, x: Given, axes: list[int], eps: float) -> str:
    """Return the name of an array without its means over axes, divided by their deviations."""
    d, v = centred(g, x, axes)
    return g("Div", d, g("Sqrt", g("Add", v, float(eps))))


def _filled(weight: Value | None, channels: int, value: float, dtype: np.dtype) -> Given:
    return weight if weight is not None else np.full(channels, value, dtype)


@writes(batch_norm.batch_norm_inference)
def _(g, x, mean, var, weight=None, bias=None, *, axis, eps, activation):
    c = mean.length(0)
    y = g(
        "BatchNormalization",
        at_axis_1(g, x, x.ndim, axis),
        _filled(weight, c, 1, x.dtype),
        _filled(bias, c, 0, x.dtype),
        *(mean, var),
        epsilon=float(eps),
    )
    return activated(g, back_from_axis_1(g, y, x.ndim, axis), activation)


@writes(batch_norm.batch_norm_training)
def _(g, x, weight=None, bias=None, *, axis, eps, activation):
    axes = [k for k in range(x.ndim) if k != axis % x.ndim]
    mean = folded(g, "Mean", x, axes)
    d, v = centred(g, x, axes)
    y = g("Div", d, g("Sqrt", g("Add", v, float(eps))))
    y = scaled(g, y, parameter(g, weight, x.ndim, axis), parameter(g, bias, x.ndim, axis))
    return [activated(g, y, activation), g("Squeeze", mean, axes), g("Squeeze", v, axes)]


@writes(group_norm._instance_norm)
def _(g, x, weight=None, bias=None, *, axis, eps, activation):
    axes = [k for k in range(1, x.ndim) if k != axis % x.ndim]
    y = standardised(g, x, axes, eps)
    y = scaled(g, y, parameter(g, weight, x.ndim, axis), parameter(g, bias, x.ndim, axis))
    return activated(g, y, activation)


@writes(group_norm._group_norm)
def _(g, x, weight=None, bias=None, *, num_groups, eps, axis, activation):
    shape = [n for k, n in enumerate(x.shape) if k not in (0, axis % x.ndim)]
    planes = at_axis_1(g, x, x.ndim, axis)
    y = standardised(g, g("Reshape", planes, [0, num_groups, -1]), [2], eps)
    y = g.shaped(y, [x.shape[0], x.shape[axis], *shape])
    y = scaled(g, y, parameter(g, weight, x.ndim, 1), parameter(g, bias, x.ndim, 1))
    return activated(g, back_from_axis_1(g, y, x.ndim, axis), activation)


@writes(layer_norm._layer_norm)
def _(g, x, weight=None, bias=None, *, normalized_shape, eps, activation):
    scale: Any = np.ones(normalized_shape, x.dtype) if weight is None else weight
    y = g("LayerNormalization", x, scale, bias, axis=-len(normalized_shape), epsilon=float(eps))
    return activated(g, y, activation)


@writes(layer_norm._rms_norm)
def _(g, x, weight=None, *, normalized_shape, eps, activation):
    axes = list(range(-len(normalized_shape), 0))
    eps = float(np.finfo(x.dtype).eps if eps is None else eps)
    root = g("Sqrt", g("Add", folded(g, "Mean", g("Mul", x, x), axes), eps))
    return activated(g, scaled(g, g("Div", x, root), weight, None), activation)
