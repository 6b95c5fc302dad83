"""Nodes that fold axes, and running sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...device import array_module, is_floating
from ...ops import cumulative, distance, logsumexp, math, reduce, selection
from ...ops.array import pad
from ..reading import listed, numbers, reads


def _folds(function: Callable[..., Any], plain: str = "") -> Callable[..., Any]:
    def read(x, axes=None, keepdims=1, noop_with_empty_axes=0):
        along = listed(axes)
        if not along and noop_with_empty_axes:
            return x if plain else function(x, (), True)
        axis = tuple(a % x.ndim for a in along) if along else tuple(range(x.ndim))
        if plain and not is_floating(x.dtype):
            return getattr(x.data, plain)(axis=axis, keepdims=bool(keepdims)).astype(x.dtype)
        return function(x, axis, bool(keepdims))

    return read


def _empty(x: Any, axis: tuple[int, ...], keepdims: bool, largest: bool) -> Any:
    """Return the extreme of each of no elements: what any other one beats."""
    shape = [1 if k in axis else n for k, n in enumerate(x.shape) if keepdims or k not in axis]
    xp = array_module(x.data)
    return xp.full(shape, -np.inf if largest else np.inf, x.dtype)


def _maximum(x, axis, keepdims):
    return reduce.max(x, axis, keepdims) if x.size else _empty(x, axis, keepdims, True)


def _minimum(x, axis, keepdims):
    return reduce.min(x, axis, keepdims) if x.size else _empty(x, axis, keepdims, False)


reads("ReduceSum", settings=(1,))(_folds(reduce.sum, "sum"))
reads("ReduceMean", settings=(1,))(_folds(reduce.mean, "mean"))
reads("ReduceProd", settings=(1,))(_folds(reduce.prod, "prod"))
reads("ReduceMax", settings=(1,))(_folds(_maximum, "max"))
reads("ReduceMin", settings=(1,))(_folds(_minimum, "min"))
reads("ReduceL1", settings=(1,))(_folds(lambda x, axis, keep: reduce.sum(selection.abs(x), axis, keep)))
reads("ReduceL2", settings=(1,))(_folds(lambda x, axis, keep: math.sqrt(reduce.sum(x * x, axis, keep))))
reads("ReduceSumSquare", settings=(1,))(_folds(lambda x, axis, keep: reduce.sum(x * x, axis, keep)))
reads("ReduceLogSum", settings=(1,))(_folds(lambda x, axis, keep: math.log(reduce.sum(x, axis, keep))))
reads("ReduceLogSumExp", settings=(1,))(_folds(logsumexp.logsumexp))


@reads("CumSum", settings=(1,))
def _(x, axis, exclusive=0, reverse=0):
    return _running(cumulative.cumsum, 0.0, x, axis, exclusive, reverse)


@reads("CumProd", settings=(1,))
def _(x, axis, exclusive=0, reverse=0):
    return _running(cumulative.cumprod, 1.0, x, axis, exclusive, reverse)


def _running(function: Callable[..., Any], start: float, x: Any, axis: Any, exclusive: int, reverse: int) -> Any:
    k = int(np.ravel(numbers(axis))[0]) % x.ndim
    lead = (slice(None),) * k
    back = (*lead, slice(None, None, -1))
    x = x[back] if reverse else x
    if exclusive:
        widths = [(1, 0) if j == k else (0, 0) for j in range(x.ndim)]
        x = pad(x, widths, start)[(*lead, slice(None, -1))]
    y = function(x, k).astype(x.dtype)
    return y[back] if reverse else y


@reads("LpNormalization")
def _(x, axis=-1, p=2):
    return distance.normalize(x, float(p), axis, 1e-38)


@reads("MeanVarianceNormalization")
def _(x, axes=(0, 2, 3)):
    d = x - reduce.mean(x, tuple(axes), True)
    return d / (math.sqrt(reduce.mean(d * d, tuple(axes), True)) + 1e-9)
