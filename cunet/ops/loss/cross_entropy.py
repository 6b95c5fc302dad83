"""The loss of classifiers, from their logits: cross_entropy.

Softmax and cross-entropy are one op. In the backward pass the class that was right gets
``(exp(x - top) - 1) - rest`` (see `softmax`) over ``1 + rest``: ``softmax - 1``, without the cancellation
that would turn the gradient of a confident right answer into 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...autograd.op import Result, op
from ...autograd.tensor import as_array
from ...device import Array, is_array, is_floating
from ...kernels import elementwise, reduction
from ...kernels.rowwise import rowwise
from ...kernels.tiled import Together
from ..softmax import TOP_CUDA, check_floating, in_rows, log_softmax_forward, softmax_stats
from .nll import (
    class_axis,
    class_numbers,
    class_weight,
    expand,
    label_loss,
    labels,
    reduce_label_loss,
    weight_of,
    without,
)
from .regression import check_reduction, reduce_loss, spread_gradient


@reduction(
    "T in_x, A in_top, A in_weight",
    "A out_gap",
    map="in_weight == 0 ? A(0) : in_weight * (in_top - A(in_x))",
    reduce="a + b",
    post="out_gap = a",
    identity="0",
    along="in_weight",
)
def weighted_gap(x, top, weight, axis, keepdims):
    return np.where(weight == 0, 0, weight * (top - x)).sum(axis=axis, keepdims=keepdims)


# `c` counts the classes along its first axis, as many axes from the end as the class axis is.
@elementwise(
    "T x, int64 t, int64 c, A top, A rest, A kept, A g",
    "T gx",
    "A hit = t == c; gx = kept == 0 ? A(0) : kept * g / (1 + rest) * ((exp(x - top) - hit) - hit * rest)",
    along="c",
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
    with Together(x) as run:
        top, rest = run(softmax_stats, x, axis=-1, keepdims=True)
        loss, kept = run(label_loss, x, t, top, rest, weight, 0.0, 0.0, 1.0, 0.0, x.shape[-1], 1, ignored)
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
    return label_backward(x, t, np.arange(x.shape[-1]), top, rest, kept, g)


def _clear(gx: Array, rows: Array) -> Array:
    """Set `rows` to 0, whatever is in them: 0 * nan is no 0."""
    if rows.any():
        np.copyto(gx, 0, where=rows)
    return gx


@elementwise(
    "T x, int64 t, int64 c, A top, A rest, A kept, A g, A keep, A spread, A weight, A total, int64 ignored",
    "T gx",
    """
    A hit = t == c, e = exp(x - top);
    A right = kept == 0 ? A(0) : kept * keep * ((e - hit) - hit * rest);
    A all = spread * ((e * total - weight) - weight * rest);
    gx = t == ignored ? A(0) : g / (1 + rest) * (right + all);
    """,
    along="c weight",
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
    "T in_x, T in_q, A in_top, A in_rest, A in_weight, A in_keep, A in_spread",
    "A out_loss, A out_mass",
    map="soft_term(in_weight * (A(in_q) * in_keep + in_spread), in_top - A(in_x), in_rest)",
    reduce="SoftState{a.loss + b.loss, a.mass + b.mass}",
    post="out_loss = a.loss, out_mass = a.mass",
    identity="SoftState{A(0), A(0)}",
    reduce_type="SoftState",
    along="in_weight",
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
    "T x, T q, A top, A rest, A weight, A keep, A spread, A mass, A g",
    "T gx",
    "A share = weight * (q * keep + spread); gx = g / (1 + rest) * ((exp(x - top) * mass - share) - share * rest)",
    along="weight",
)
def soft_backward(x, q, top, rest, weight, keep, spread, mass, g):
    share = weight * (q * keep + spread)
    return g / (1 + rest) * ((np.exp(x - top) * mass - share) - share * rest)


@op(arrays=2)
def cross_entropy(
    logits,
    target,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    axis: int = 1,
) -> Result:
    """Return the cross-entropy of softmax(logits) against `target`: ``-sum(q * log_softmax(logits))``.

    Scores go in as they are: no softmax before. `q` is 1 for the class `target` names, or `target` itself if
    that holds probabilities; label smoothing e makes it ``(1 - e) * q + e / C``.

    Args:
        logits: (N, C, ...) for C classes on `axis`, or (C,); floating.
        target: class labels 0 to C-1 of any integer dtype, shape of `logits` without the class axis; or
            probabilities, floating, shape of `logits`. A gradient goes to probabilities, none to labels.
        weight: (C,), one factor for each class; gets no gradient.
        ignore_index: label whose positions count nothing and get no gradient.
        reduction: "mean" divides the sum by the weights of the labels that were not ignored (nan if there are
            none), and for probabilities by the number of positions; "sum"; "none" gives the shape of labels.
        label_smoothing: from 0 to 1.
        axis: the class axis.

    Raises:
        ValueError: shapes that do not fit; a label out of range on the CPU (on the GPU, where asking would
            make the host wait, its loss and gradient are NaN); an unknown reduction.
        TypeError: `logits` not floating, `target` neither integer nor floating.

    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7 (label smoothing).
    """
    check_reduction("cross_entropy", reduction)
    check_floating("cross_entropy", logits, "logits")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must be from 0 to 1, got {label_smoothing}")
    axis = class_axis("cross_entropy", logits, axis)
    target = as_array(target)
    weight = class_weight("cross_entropy", weight, logits, axis)
    options = (axis, weight, label_smoothing, reduction)
    if is_floating(target.dtype):
        return _from_probabilities(logits, target, *options)
    return _from_labels(logits, target, ignore_index, *options)


def _from_labels(
    x: Array, target: Array, ignored: int, axis: int, weight: Any, smoothing: float, reduction: str
) -> tuple[Array, Any]:
    t = labels("cross_entropy", x, target, axis, ignored)
    classes = x.shape[axis]
    own = weight_of(weight, t, classes)
    if in_rows(x, axis) and not smoothing:
        return _from_label_rows(x, t, own, ignored, target.shape, reduction)
    keep, spread, total = 1.0 - smoothing, smoothing / classes, _total(weight, classes)
    sizes = (classes, math.prod(x.shape[axis + 1 :]), ignored)
    with Together(x) as run:
        top, rest = run(softmax_stats, x, axis=axis, keepdims=True)
        gap = run(weighted_gap, x, top, weight, axis=axis, keepdims=True) if smoothing else 0.0
        loss, kept = run(label_loss, x, t, top, rest, own, gap, total, keep, spread, *sizes)
    value, divisor = reduce_label_loss(loss.reshape(target.shape), kept.reshape(target.shape), x.dtype, reduction)

    def vjp(gy):
        g, c = spread_gradient(expand(gy, axis), x.dtype, divisor), class_numbers(x, axis)
        if not smoothing:
            return (label_backward(x, t, c, top, rest, kept, g), None)
        smoothed = (keep, spread, weight, total, ignored)
        return (smooth_label_backward(x, t, c, top, rest, kept, g, *smoothed), None)

    return value, vjp


def _from_label_rows(
    x: Array, t: Array, weight: Any, ignored: int, shape: tuple[int, ...], reduction: str
) -> tuple[Array, Any]:
    """Return the loss and its gradient where the classes are the last axis: one kernel each."""
    loss, kept, top, rest = label_loss_rows(x, t, weight, ignored)
    value, divisor = reduce_label_loss(loss.reshape(shape), kept.reshape(shape), x.dtype, reduction)

    def vjp(gy):
        g = spread_gradient(expand(gy, x.ndim - 1), x.dtype, divisor)
        return (label_rows_backward(x, t, top, rest, kept, g), None)

    return value, vjp


def _from_probabilities(
    x: Array, q: Array, axis: int, weight: Any, smoothing: float, reduction: str
) -> tuple[Array, Any]:
    if q.shape != x.shape:
        raise ValueError(
            f"cross_entropy: probabilities must have the shape of the logits {x.shape}, got {q.shape}"
            " (class labels must be of integer dtype)"
        )
    q = q.astype(x.dtype, copy=False)
    classes = x.shape[axis]
    top, rest = softmax_stats(x, axis=axis, keepdims=True)
    keep, spread = 1.0 - smoothing, smoothing / classes
    loss, mass = soft_loss(x, q, top, rest, weight, keep, spread, axis=axis, keepdims=True)
    divisor = loss.size if reduction == "mean" else 1

    def vjp(gy):
        g = spread_gradient(expand(gy, axis), x.dtype, divisor)
        return (
            lambda: soft_backward(x, q, top, rest, weight, keep, spread, mass, g),
            lambda: log_softmax_forward(x, top, rest) * (weight * (g * -keep)),
        )

    return reduce_loss(loss.reshape(without(x.shape, axis)), x.dtype, reduction, divisor), vjp


def _total(weight: Any, classes: int) -> Any:
    return weight.sum() if is_array(weight) else float(classes)
