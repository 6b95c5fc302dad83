"""Statistics of NumPy on Tensors, made of ops: means with weights, quantiles, what leaves NaN out, covariances."""

from __future__ import annotations

import math as numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, array_module, like
from ..kernels.axes import folded_axes, one_axis, reduced_shape
from . import array, cumulative, linalg, math, pairwise, products, rearrange, reduce, selection, sorting
from .numpy_arguments import Unsupported, in_line, unsupported
from .operands import lifted


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """Return the mean with weights; with `returned` their sum too."""
    x = lifted(a, weights)
    if weights is None:
        y = reduce.mean(x, axis=axis, keepdims=keepdims)
        total: Any = x.size / max(y.size, 1)
    else:
        w = lifted(weights, x)
        if w.shape != x.shape:
            if w.ndim != 1 or not isinstance(axis, int) or w.size != x.shape[axis]:
                raise ValueError(f"average: weights must have shape {x.shape} or the length of an axis, got {w.shape}")
            w = array.reshape(w, (-1,) + (1,) * (x.ndim - one_axis(x.ndim, axis) - 1))
        w = array.broadcast_to(w, x.shape)
        total = reduce.sum(w, axis=axis, keepdims=keepdims)
        y = math.divide(reduce.sum(math.multiply(x, w), axis=axis, keepdims=keepdims), total)
    return (y, array.broadcast_to(lifted(total, x), y.shape)) if returned else y


def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    """Return the distance from the smallest to the largest element."""
    unsupported(out=out)
    x = lifted(a)
    return math.subtract(reduce.max(x, axis=axis, keepdims=keepdims), reduce.min(x, axis=axis, keepdims=keepdims))


def _quantile(ignore_nan: bool) -> Callable[..., Tensor]:
    """Return the function that finds quantiles, of all elements or of those that are no NaN."""

    def quantile(
        a: Any,
        q: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: bool = False,
        **others: Any,
    ) -> Tensor:
        unsupported(out=out, overwrite_input=overwrite_input, **others)
        if method != "linear":
            raise Unsupported(f"method={method!r}")
        if isinstance(q, Tensor):
            raise Unsupported("q= that is a Tensor")
        x, parts = lifted(a), np.asarray(q, np.float64)
        if not ((parts >= 0) & (parts <= 1)).all():
            raise ValueError(f"quantile: q must be between 0 and 1, got {q}")
        axes = folded_axes(x.ndim, tuple(axis) if isinstance(axis, list) else axis)
        kept = [k for k in range(x.ndim) if k not in axes]
        length = numbers.prod(x.shape[k] for k in axes)
        if not length:
            raise ValueError(f"quantile: at least one element over axis {axis} is required, got shape {x.shape}")
        rows = array.reshape(array.transpose(x, (*axes, *kept)), (length, *(x.shape[k] for k in kept)))
        y = (_present_at if ignore_nan else _all_at)(sorting.sort(rows, 0), parts.reshape(-1))
        return array.reshape(y, parts.shape + reduced_shape(x.shape, axes if x.ndim else axis, keepdims))

    return quantile


def _all_at(rows: Tensor, parts: np.ndarray) -> Tensor:
    """Return the elements at parts of the way through sorted rows, or what is between two of them."""
    place = parts * (rows.shape[0] - 1)
    low = np.floor(place).astype(np.int64)
    weight = like((place - low).astype(rows.dtype), rows.data).reshape((-1,) + (1,) * (rows.ndim - 1))
    y = pairwise.lerp(rows[low], rows[np.minimum(low + 1, rows.shape[0] - 1)], weight)
    return selection.where(rows[-1:] != rows[-1:], np.nan, y)  # NaN comes last


def _present_at(rows: Tensor, parts: np.ndarray) -> Tensor:
    """Return the same of the elements of each column that are no NaN."""
    xp = array_module(rows.data)
    last = xp.maximum((~xp.isnan(rows.data)).sum(axis=0) - 1, 0)
    place = like(parts, rows.data).reshape((-1,) + (1,) * (rows.ndim - 1)) * last
    low = xp.floor(place).astype(np.int64)
    before, behind = (sorting.take_along_axis(rows, k, 0) for k in (low, xp.minimum(low + 1, last)))
    return pairwise.lerp(before, behind, (place - low).astype(rows.dtype))


quantile, nanquantile = _quantile(False), _quantile(True)


def _percent(run: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def percentile(a: Any, q: Any, *args: Any, **kwargs: Any) -> Tensor:
        if isinstance(q, Tensor):
            raise Unsupported("q= that is a Tensor")
        return run(a, np.asarray(q, np.float64) / 100, *args, **kwargs)

    return percentile


percentile, nanpercentile = _percent(quantile), _percent(nanquantile)


def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Tensor:
    """Return the middle of what is no NaN."""
    unsupported(out=out, overwrite_input=overwrite_input)
    return nanquantile(a, 0.5, axis, keepdims=keepdims)


def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Tensor:
    """Return elements in NumPy's own order, in which those of places `kth` stand where they would in a sort."""
    unsupported(order=order)
    x, axis = in_line(a, axis)
    y = array_module(x.data).partition(x.data, kth, axis)
    rank = sorting.argsort(sorting.argsort(y, axis), axis)
    return sorting.take_along_axis(sorting.sort(x, axis), rank, axis)


def _numbers(x: Tensor, instead: float) -> tuple[Tensor, Array]:
    """Return elements with something instead of NaN, and where there is none."""
    nan = array_module(x.data).isnan(x.data)
    return selection.where(nan, instead, x), ~nan


def _count(there: Array, axis: Any, keepdims: bool, dtype: Any) -> Array:
    return array_module(there).asarray(there.sum(axis=axis, keepdims=keepdims)).astype(dtype)


def nansum(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **others: Any
) -> Tensor:
    """Return the sum of what is no NaN."""
    unsupported(out=out, **others)
    return reduce.sum(_numbers(lifted(a), 0.0)[0], axis=axis, keepdims=keepdims, dtype=dtype)


def nanprod(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **others: Any
) -> Tensor:
    """Return the product of what is no NaN."""
    unsupported(out=out, **others)
    return reduce.prod(_numbers(lifted(a), 1.0)[0], axis=axis, keepdims=keepdims, dtype=dtype)


def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **others: Any
) -> Tensor:
    """Return the mean of what is no NaN."""
    unsupported(out=out, **others)
    x, there = _numbers(lifted(a), 0.0)
    total = reduce.sum(x, axis=axis, keepdims=keepdims, dtype=dtype)
    return math.divide(total, _count(there, axis, keepdims, total.dtype))


def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: int = 0,
    keepdims: bool = False,
    **others: Any,
) -> Tensor:
    """Return the variance of what is no NaN."""
    unsupported(out=out, dtype=dtype, **others)
    x = lifted(a)
    apart = _numbers(math.subtract(x, nanmean(x, axis, keepdims=True)), 0.0)[0]
    free = _count(_numbers(x, 0.0)[1], axis, keepdims, x.dtype) - ddof
    total = reduce.sum(math.square(apart), axis=axis, keepdims=keepdims)
    return selection.where(free > 0, math.divide(total, free), np.nan)


def nanstd(a: Any, *args: Any, **kwargs: Any) -> Tensor:
    """Return the standard deviation of what is no NaN."""
    return math.sqrt(nanvar(a, *args, **kwargs))


def _extreme(choose: Callable[..., Tensor], least: float) -> Callable[..., Tensor]:
    """Return the function that finds an extreme of what is no NaN."""

    def found(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, **others: Any) -> Tensor:
        unsupported(out=out, **others)
        x, there = _numbers(lifted(a), least)
        y = choose(x, axis=axis, keepdims=keepdims)
        return selection.where(there.any(axis=axis, keepdims=keepdims), y, np.nan)

    return found


nanmax, nanmin = _extreme(reduce.max, -numbers.inf), _extreme(reduce.min, numbers.inf)


def _running(run: Callable[..., Tensor], instead: float) -> Callable[..., Tensor]:
    def along(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Tensor:
        unsupported(out=out)
        return run(_numbers(lifted(a), instead)[0], axis=axis, dtype=dtype)

    return along


nancumsum, nancumprod = _running(cumulative.cumsum, 0.0), _running(cumulative.cumprod, 1.0)


def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, **others: Any
) -> Tensor:
    """Return covariances of variables, which are rows."""
    unsupported(y=y, **others)
    x = lifted(m)
    x = array.reshape(x, (1, -1)) if x.ndim < 2 else x
    x = x if rowvar or x.shape[0] == 1 else array.transpose(x)
    apart = math.subtract(x, reduce.mean(x, axis=1, keepdims=True))
    free = x.shape[1] - (int(not bias) if ddof is None else ddof)
    return array.squeeze(math.divide(linalg.matmul(apart, array.transpose(apart)), float(free)))


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, **others: Any) -> Tensor:
    """Return covariances over standard deviations."""
    c = cov(x, y, rowvar, **others)
    if not c.ndim:
        return math.divide(c, c)
    deviations = math.sqrt(rearrange.diag(c))
    return math.divide(c, products.outer(deviations, deviations))


#: The functions of NumPy by these.
STATISTICS: dict[Callable[..., Any], Callable[..., Any]] = {
    getattr(np, own.__name__): own
    for own in (average, corrcoef, cov, nanmean, nanmedian, nanprod, nanstd, nansum, nanvar, partition, ptp)
} | {
    np.nancumprod: nancumprod,
    np.nancumsum: nancumsum,
    np.nanmax: nanmax,
    np.nanmin: nanmin,
    np.nanpercentile: nanpercentile,
    np.nanquantile: nanquantile,
    np.percentile: percentile,
    np.quantile: quantile,
}
