"""The kernels of cross-entropy, forward and backward: NumPy body and CUDA body side by side."""

from __future__ import annotations

import numpy as np

from ...device import Array
from ...kernels import elementwise, reduction, rowwise
from ...kernels.tiled import Tiled
from ..softmax import TOP_CUDA
from ..softmax_stats import softmax_stats
from .nll import LABEL_CUDA, class_numbers, own_scores


@reduction(
    "T in_x, A in_top, col A in_weight",
    "A out_gap",
    map="in_weight == 0 ? A(0) : in_weight * (in_top - A(in_x))",
    reduce="a + b",
    post="out_gap = a",
    identity="0",
)
def weighted_gap(x, top, weight, axis, keepdims):
    return np.where(weight == 0, 0, weight * (top - x)).sum(axis=axis, keepdims=keepdims)


@elementwise(
    "raw T x, int64 t, A top, A rest, A weight, int64 classes, int64 inner, int64 ignored",
    "A loss, A kept",
    LABEL_CUDA + "loss = kept == 0 ? A(0) : kept * ((top - own) + log1p(rest))",
)
def label_loss(x, t, top, rest, weight, classes, inner, ignored):
    own, kept = own_scores(x, t, weight, classes, inner, ignored)
    return np.where(kept == 0, 0, kept * ((top - own) + np.log1p(rest, dtype=x.dtype.type))), kept


@elementwise(
    "raw T x, int64 t, A top, A rest, A weight, A gap, A total, A keep, A spread,"
    " int64 classes, int64 inner, int64 ignored",
    "A loss, A kept",
    LABEL_CUDA
    + """
    loss = kept == 0 ? A(0) : kept * keep * ((top - own) + log1p(rest));
    loss += t == ignored ? A(0) : spread * (gap + total * log1p(rest));
    """,
)
def smooth_label_loss(x, t, top, rest, weight, gap, total, keep, spread, classes, inner, ignored):
    own, kept = own_scores(x, t, weight, classes, inner, ignored)
    tail = np.log1p(rest, dtype=x.dtype.type)
    loss = np.where(kept == 0, 0, kept * keep * ((top - own) + tail))
    return loss + np.where(t != ignored, spread * (gap + total * tail), 0), kept


# `c` counts the classes along its first axis, as many axes from the end as the class axis is.
@elementwise(
    "T x, int64 t, col int64 c, A top, A rest, A kept, A g",
    "T gx",
    "A hit = t == c; gx = kept == 0 ? A(0) : kept * g / (1 + rest) * ((exp(x - top) - hit) - hit * rest)",
)
def label_backward(x, t, c, top, rest, kept, g):
    scale = kept * g / (1 + rest)
    gx = np.exp(x - top)
    gx *= scale
    axis = x.ndim - c.ndim
    right = np.clip(t, 0, c.size - 1)
    own = np.exp(np.take_along_axis(x, right, axis) - top)
    np.put_along_axis(gx, right, scale * ((own - 1) - rest), axis)
    return _clear(gx, kept == 0)


# Out of the range of classes nothing is read and all is NaN.
@rowwise(
    "T x, row int64 t, row A weight, int64 ignored",
    "row A loss, row A kept, row A top, row A rest",
    """
    fold(RowTop best, RowTop{log(A(0)), -1}, RowTop{x, j}, row_higher(p, q));
    fold(A others, 0, j == best.where ? A(0) : exp(x - best.top), p + q);
    top = best.top;
    rest = others + (top - top);
    const bool inside = 0 <= t && t < count;
    const A own = inside ? at(x, t) : A(0);
    kept = t == ignored ? A(0) : inside ? weight : log(A(-1));
    loss = kept == 0 ? A(0) : kept * ((top - own) + log1p(rest));
    """,
    preamble=TOP_CUDA,
)
def label_loss_rows(x, t, weight, ignored):
    with Tiled(x) as run:
        top, rest = run(softmax_stats, x, axis=-1, keepdims=True)
        loss, kept = run(label_loss, x, t, top, rest, weight, x.shape[-1], 1, ignored)
    return loss, kept, top, rest


@rowwise(
    "T x, row int64 t, row A top, row A rest, row A kept, row A g",
    "T gx",
    """
    const A scale = kept * g / (1 + rest);
    each(const A hit = j == t; gx = kept == 0 ? A(0) : scale * ((exp(x - top) - hit) - hit * rest));
    """,
)
def label_rows_backward(x, t, top, rest, kept, g):
    return label_backward(x, t, class_numbers(x, x.ndim - 1), top, rest, kept, g)


def _clear(gx: Array, rows: Array) -> Array:
    """Set `rows` to 0, whatever is in them: 0 * nan is no 0."""
    if rows.any():
        np.copyto(gx, 0, where=rows)
    return gx


@elementwise(
    "T x, int64 t, col int64 c, A top, A rest, A kept, A g, A keep, A spread, col A weight, A total, int64 ignored",
    "T gx",
    """
    A hit = t == c, e = exp(x - top);
    A right = kept == 0 ? A(0) : kept * keep * ((e - hit) - hit * rest);
    A all = spread * ((e * total - weight) - weight * rest);
    gx = t == ignored ? A(0) : g / (1 + rest) * (right + all);
    """,
)
def smooth_label_backward(x, t, c, top, rest, kept, g, keep, spread, weight, total, ignored):
    gx = np.exp(x - top)
    gx *= total
    gx -= weight
    gx -= weight * rest
    gx *= g * spread / (1 + rest)
    gx += label_backward.body(x, t, c, top, rest, kept, g * keep)
    return _clear(gx, t == ignored)


@reduction(
    "T in_x, T in_q, A in_top, A in_rest, col A in_weight, A in_keep, A in_spread",
    "A out_loss, A out_mass",
    map="soft_term(in_weight * (A(in_q) * in_keep + in_spread), in_top - A(in_x), in_rest)",
    reduce="SoftState{a.loss + b.loss, a.mass + b.mass}",
    post="out_loss = a.loss, out_mass = a.mass",
    identity="SoftState{A(0), A(0)}",
    reduce_type="SoftState",
    preamble="""
struct SoftState { A loss; A mass; };
__device__ SoftState soft_term(A share, A gap, A others) {
    return SoftState{share == 0 ? A(0) : share * (gap + log1p(others)), share};
}
""",
)
def soft_loss(x, q, top, rest, weight, keep, spread, axis, keepdims):
    share = weight * (q * keep + spread)
    loss = np.where(share == 0, 0, share * ((top - x) + np.log1p(rest)))
    return loss.sum(axis=axis, keepdims=keepdims), share.sum(axis=axis, keepdims=keepdims)


@elementwise(
    "T x, T q, A top, A rest, col A weight, A keep, A spread, A mass, A g",
    "T gx",
    "A share = weight * (q * keep + spread); gx = g / (1 + rest) * ((exp(x - top) * mass - share) - share * rest)",
)
def soft_backward(x, q, top, rest, weight, keep, spread, mass, g):
    share = weight * (q * keep + spread)
    return g / (1 + rest) * ((np.exp(x - top) * mass - share) - share * rest)
