"""Ops that fold axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...kernels.axes import folded_axes
from ...ops import cumulative, distance, logsumexp, reduce
from ..graph import Given, Graph, NotExportable, Value
from ..writing import writes


def folded(g: Graph, kind: str, x: Given, axes: Given, keepdims: bool = True) -> str:
    """Return the name of what a Reduce node makes."""
    return g(f"Reduce{kind}", x, axes, keepdims=int(keepdims))


def _reduces(kind: str) -> Callable[..., str]:
    def write(g, x, *, axis, keepdims):
        return (
            folded(g, kind, g.cast(x, g.dtype), folded_axes(x.ndim, axis), keepdims) if x.ndim else g.cast(x, g.dtype)
        )

    return write


for _kind, _op in {"Sum": reduce.sum, "Mean": reduce.mean, "Max": reduce.max, "Min": reduce.min, "Prod": reduce.prod,
                   "LogSumExp": logsumexp.logsumexp}.items():  # fmt: skip
    writes(_op)(_reduces(_kind))


def centred(g: Graph, x: Given, axes: Given) -> tuple[str, str]:
    """Return the names of what is left of an array without its means over axes, and of their variances."""
    d = g("Sub", x, folded(g, "Mean", x, axes))
    return d, folded(g, "Mean", g("Mul", d, d), axes)


@writes(reduce.var)
def _variance(g, x, *, axis, ddof, keepdims):
    axes = folded_axes(x.ndim, axis)
    d, v = centred(g, g.cast(x, g.dtype), axes)
    if ddof:
        count = np.prod(x.lengths(axes))
        v = g("Mul", v, float(count / (count - ddof)))
    return v if keepdims else g("Squeeze", v, axes)


@writes(reduce.std)
def _(g, x, *, axis, ddof, keepdims):
    return g("Sqrt", _variance(g, x, axis=axis, ddof=ddof, keepdims=keepdims))


@writes(cumulative.cumsum)
def _(g, x, *, axis):
    x = g.cast(x, g.dtype) if axis is not None else g("Reshape", g.cast(x, g.dtype), [-1])
    return g("CumSum", x, np.asarray(axis or 0, np.int64))


def length_of(g: Graph, x: Given, p: float, axes: list[int]) -> str:
    """Return the name of the norms of order `p` over axes, which are kept."""
    size = g("Abs", x)
    if p in (1, 2):
        return folded(g, f"L{int(p)}", x, axes)
    if p == np.inf:
        return folded(g, "Max", size, axes)
    if p == 0:
        return folded(g, "Sum", g("Cast", g("Greater", size, 0.0), to=g.type_of(g.dtype)), axes)
    return g("Pow", folded(g, "Sum", g("Pow", size, float(p)), axes), 1 / p)


def unit(g: Graph, x: Given, p: float, axes: list[int], eps: float) -> str:
    """Return the name of vectors divided by their length, or by `eps` where that is longer."""
    return g("Div", x, g("Max", length_of(g, x, p, axes), float(eps)))


@writes(distance.normalize)
def _(g, x, *, p, dim, eps):
    if not x.ndim:
        raise NotExportable("its input must have an axis")
    return unit(g, x, p, list(folded_axes(x.ndim, dim)), eps)


@writes(distance.cosine_similarity)
def _(g, x1, x2, *, dim, eps):
    axes = [dim if dim < 0 else dim - max(x1.ndim, x2.ndim)]  # from the end: shapes broadcast
    return _cosine(g, x1, x2, axes, eps)


def _cosine(g: Graph, x1: Value, x2: Value, axes: list[int], eps: float) -> str:
    both = [g("Expand", x, g("Shape", g("Add", x1, x2))) for x in (x1, x2)]
    u, v = (unit(g, x, 2, axes, eps) for x in both)
    return folded(g, "Sum", g("Mul", u, v), axes, False)


@writes(distance.pairwise_distance)
def _(g, x1, x2, *, p, eps, keepdim):
    gap = g("Add", g("Sub", x1, x2), float(eps))
    length = length_of(g, gap, p, [-1])
    return length if keepdim else g("Squeeze", length, [-1])
