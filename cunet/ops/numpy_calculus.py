"""`numpy.gradient`, `interp` and `trapezoid` on Tensors: slopes of samples, lines between them, areas below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import array_module
from ..kernels.axes import one_axis
from . import array, math, rearrange, reduce, selection
from .numpy_arguments import unsupported
from .operands import lifted


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Return slopes along axes, by differences of neighbours: a tuple if there are several axes.

    Args:
        f: samples.
        varargs: for all axes or for each a distance, or the places of the samples.
        axis: one, several, or all.
        edge_order: 1 or 2, the order of the differences at both ends.
    """
    x = lifted(f)
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = [one_axis(x.ndim, a) for a in axes]
    steps = varargs or (1.0,)
    steps = steps * len(axes) if len(steps) == 1 else steps
    if len(steps) != len(axes):
        raise TypeError(f"gradient: one distance, or one for each of {len(axes)} axes is required, got {len(varargs)}")
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order must be 1 or 2, got {edge_order}")
    short = [x.shape[a] for a in axes if x.shape[a] <= edge_order]
    if short:
        raise ValueError(f"gradient: at least {edge_order + 1} samples along each axis are required, got {short[0]}")
    found = tuple(_slope(x, a, step, edge_order) for a, step in zip(axes, steps, strict=True))
    return found[0] if len(found) == 1 else found


def _slope(x: Tensor, axis: int, step: Any, edge_order: int) -> Tensor:
    before, widths = (slice(None),) * axis, _widths(x, axis, step)

    def part(start: int | None, stop: int | None) -> Tensor:
        return x[(*before, slice(start, stop))]

    if widths is None:
        inner = math.divide(math.subtract(part(2, None), part(None, -2)), 2.0 * step)
        first = last = step
    else:
        inner = _weighed(_middle(widths[0], widths[1]), part(None, -2), part(1, -1), part(2, None))
        first, last = (width[(*before, slice(k, k + 1 or None))] for width, k in ((widths[2], 0), (widths[2], -1)))
    if edge_order == 1:
        left = math.divide(math.subtract(part(1, 2), part(0, 1)), first)
        right = math.divide(math.subtract(part(-1, None), part(-2, -1)), last)
    else:
        second, last_but_one = (first, last) if widths is None else (_one(widths, axis, 1), _one(widths, axis, -2))
        left = _weighed(_edge(first, second), part(0, 1), part(1, 2), part(2, 3))
        right = math.negative(_weighed(_edge(last, last_but_one), part(-1, None), part(-2, -1), part(-3, -2)))
    return array.concatenate([left, inner, right], axis)


def _widths(x: Tensor, axis: int, step: Any) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return the distances before and behind each inner sample, and all; None: one distance for all."""
    at = lifted(step, x)
    if not at.ndim:
        return None
    if at.shape != (x.shape[axis],):
        raise ValueError(f"gradient: {x.shape[axis]} places are required along axis {axis}, got shape {at.shape}")
    d = rearrange.diff(at)
    shape = (-1,) + (1,) * (x.ndim - axis - 1)
    wide = array.reshape(d, (1,) * axis + (d.size,) + shape[1:])
    before = (slice(None),) * axis
    return wide[(*before, slice(None, -1))], wide[(*before, slice(1, None))], wide


def _one(widths: tuple[Tensor, Tensor, Tensor], axis: int, k: int) -> Tensor:
    return widths[2][(slice(None),) * axis + (slice(k, k + 1),)]


def _middle(h: Any, k: Any) -> tuple[Any, Any, Any]:
    """Return the weights of a sample, and of those at distances h before and k behind, for the slope there."""
    return -k / (h * (h + k)), (k - h) / (h * k), h / (k * (h + k))


def _edge(h: Any, k: Any) -> tuple[Any, Any, Any]:
    """Return the weights of the first sample and the two behind, at distances h and h + k, for the slope there."""
    return -(2 * h + k) / (h * (h + k)), (h + k) / (h * k), -h / (k * (h + k))


def _weighed(weights: tuple[Any, Any, Any], *parts: Tensor) -> Tensor:
    a, b, c = (math.multiply(w, p) for w, p in zip(weights, parts, strict=True))
    return math.add(math.add(a, b), c)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Tensor:
    """Return values on the lines between points, whose places rise.

    Args:
        x: where.
        xp, fp: places and values of the points.
        left, right: values outside of them; those of the first and the last point by default.
        period: not supported.
    """
    unsupported(period=period)
    x, places, values = lifted(x, fp, xp), lifted(xp, x, fp), lifted(fp, x, xp)
    if places.ndim != 1 or places.shape != values.shape or not places.size:
        raise ValueError(
            f"interp: as many places as values are required, one at least, got {places.shape} and {values.shape}"
        )
    first, last = values[0], values[-1]
    inner = first
    if places.size > 1:
        module = array_module(places.data)
        k = module.clip(module.searchsorted(places.data, x.data, side="right") - 1, 0, places.size - 2)
        start, height = places[k], values[k]
        slope = math.divide(math.subtract(values[k + 1], height), math.subtract(places[k + 1], start))
        inner = math.add(height, math.multiply(math.subtract(x, start), slope))
    below, above = x < places[0], x > places[-1]
    y = selection.where(x == places[-1], last, inner)
    y = selection.where(above, last if right is None else right, y)
    return selection.where(below, first if left is None else left, y)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    """Return the integral of lines between points."""
    y = lifted(y)
    axis = one_axis(y.ndim, axis)
    width = dx
    if x is not None:
        x = lifted(x, y)
        width = rearrange.diff(x, axis=axis if x.ndim > 1 else 0)
        width = array.reshape(width, (-1,) + (1,) * (y.ndim - axis - 1)) if x.ndim == 1 else width
    before = (slice(None),) * axis
    both = math.add(y[(*before, slice(1, None))], y[(*before, slice(None, -1))])
    return reduce.sum(math.multiply(math.multiply(both, width), 0.5), axis=axis)


#: The functions of NumPy by these.
CALCULUS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.gradient: gradient,
    np.interp: interp,
    np.trapezoid: trapezoid,
}
