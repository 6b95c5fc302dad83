"""Axes that reductions fold, and the shapes that they leave."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np


def folded_axes(ndim: int, axis: Any) -> tuple[int, ...]:
    """Return the axes that `axis` (int, tuple, None: all) names, from 0; as in NumPy a 0-d array has an axis 0.

    Raises:
        numpy.exceptions.AxisError: there is no such axis.
        ValueError: one is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    for a in given:
        if not -max(ndim, 1) <= a < max(ndim, 1):
            raise np.exceptions.AxisError(a, ndim)
    axes = tuple(a % ndim for a in given) if ndim else ()
    if len(axes) > 1 and len(set(axes)) < len(axes):
        raise ValueError(f"an axis must be named once, got {axis} of {ndim} axes")
    return axes


def one_axis(ndim: int, axis: Any) -> int:
    """Return an axis counted from 0.

    Raises:
        numpy.exceptions.AxisError: there is no such axis.
        TypeError: it is no integer.
    """
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis % ndim


@functools.lru_cache(4096)
def reduced_shape(shape: tuple[int, ...], axis: Any, keepdims: bool) -> tuple[int, ...]:
    """Return the shape left when `axis` (None: all) is folded."""
    axes = folded_axes(len(shape), axis)
    if keepdims:
        return tuple(1 if i in axes else s for i, s in enumerate(shape))
    return tuple(s for i, s in enumerate(shape) if i not in axes)
