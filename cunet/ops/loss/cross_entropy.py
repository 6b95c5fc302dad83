"""The loss of classifiers, from their logits: cross_entropy.

Softmax and cross-entropy are one op. In the backward pass the class that was right gets
``(exp(x - top) - 1) - rest`` (see `softmax`) over ``1 + rest``: ``softmax - 1``, without the cancellation
that would turn the gradient of a confident right answer into 0.
"""

from __future__ import annotations

import math
from typing import Any

from ...autograd.op import Result, op
from ...autograd.tensor import as_array
from ...device import Array, is_array, is_floating
from ...kernels.tiled import Tiled
from ..softmax import check_floating, is_last, log_softmax_forward
from ..softmax_stats import softmax_stats
from .label_kernels import (
    label_backward,
    label_loss,
    label_loss_rows,
    label_rows_backward,
    smooth_label_backward,
    smooth_label_loss,
    soft_backward,
    soft_loss,
    weighted_gap,
)
from .nll import class_axis, class_numbers, class_weight, expand, labels, reduce_label_loss, weight_of, without
from .regression import check_reduction, reduce_loss, spread_gradient


@op(arrays=2)
def cross_entropy(
    input,
    target,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    axis: int = 1,
) -> Result:
    """Return the cross-entropy of softmax(input) against `target`: ``-sum(q * log_softmax(input))``.

    Scores go in as they are: no softmax before. `q` is 1 for the class `target` names, or `target` itself if
    that holds probabilities; label smoothing e makes it ``(1 - e) * q + e / C``.

    Args:
        input: (N, C, ...) for C classes on `axis`, or (C,); floating.
        target: class labels 0 to C-1 of any integer dtype, shape of `input` without the class axis; or
            probabilities, floating, shape of `input`. A gradient goes to probabilities, none to labels.
        weight: (C,), one factor for each class; gets no gradient.
        ignore_index: label whose positions count nothing and get no gradient.
        reduction: "mean" divides the sum by the weights of the labels that were not ignored (nan if there are
            none), and for probabilities by the number of positions; "sum"; "none" gives the shape of labels.
        label_smoothing: from 0 to 1.
        axis: the class axis.

    Raises:
        ValueError: shapes that do not fit; a label out of range on the CPU (on the GPU, where asking would
            make the host wait, its loss and gradient are NaN); an unknown reduction.
        TypeError: `input` not floating, `target` neither integer nor floating.

    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7 (label smoothing).

    Example:
        >>> logits = cunet.tensor([[0.0, 0.0, 0.0], [0.0, 4.0, 0.0]])  # no idea; quite sure of class 1
        >>> F.cross_entropy(logits, [2, 1], reduction="none").round(4)
        Tensor([1.0986, 0.036 ])
        >>> F.cross_entropy(logits, [2, -100]).round(4)  # log(3); the second label is ignored
        Tensor(1.0986)
        >>> F.cross_entropy(logits, [2, 1], label_smoothing=0.1, reduction="none").round(4)
        Tensor([1.0986, 0.3026])
    """
    check_reduction("cross_entropy", reduction)
    check_floating("cross_entropy", input, "input")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must be from 0 to 1, got {label_smoothing}")
    axis = class_axis("cross_entropy", input, axis)
    target = as_array(target)
    weight = class_weight("cross_entropy", weight, input, axis)
    options = (axis, weight, label_smoothing, reduction)
    if is_floating(target.dtype):
        return _from_probabilities(input, target, *options)
    return _from_labels(input, target, ignore_index, *options)


def _from_labels(
    x: Array, target: Array, ignored: int, axis: int, weight: Any, smoothing: float, reduction: str
) -> tuple[Array, Any]:
    t = labels("cross_entropy", x, target, axis, ignored)
    classes = x.shape[axis]
    own = weight_of(weight, t, classes)
    if is_last(x, axis) and not smoothing:
        return _from_label_rows(x, t, own, ignored, target.shape, reduction)
    keep, spread, total = 1.0 - smoothing, smoothing / classes, _total(weight, classes)
    sizes = (classes, math.prod(x.shape[axis + 1 :]), ignored)
    with Tiled(x) as run:
        top, rest = run(softmax_stats, x, axis=axis, keepdims=True)
        if smoothing:
            gap = run(weighted_gap, x, top, weight, axis=axis, keepdims=True)
            loss, kept = run(smooth_label_loss, x, t, top, rest, own, gap, total, keep, spread, *sizes)
        else:
            loss, kept = run(label_loss, x, t, top, rest, own, *sizes)
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
            f"cross_entropy: probabilities must have the shape of input {x.shape}, got {q.shape}"
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
