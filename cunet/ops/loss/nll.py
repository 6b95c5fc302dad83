"""The loss of class labels: nll_loss, and what cross_entropy shares with it."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ...autograd.op import Result, op
from ...autograd.tensor import as_array
from ...device import Array, array_module, is_array, is_gpu_array
from ...kernels import elementwise, reduction
from ...kernels.capture import holds
from ..softmax import check_floating
from .regression import check_reduction, constant, reduce_loss, spread_gradient

# `i` numbers the positions; out of the range of classes nothing is read and all is NaN.
LABEL_CUDA = """
    bool inside = 0 <= t && t < classes;
    A own = inside ? A(x[(i / inner * classes + t) * inner + i % inner]) : A(0);
    kept = t == ignored ? A(0) : inside ? weight : log(A(-1));
"""


def own_scores(x, t, weight, classes, inner, ignored):
    """Return the score of each label's own class, and the weight that its loss has: what `LABEL_CUDA` computes."""
    i = np.arange(t.size).reshape(t.shape)
    inside = (t >= 0) & (t < classes)
    own = x.reshape(-1)[(i // inner * classes + np.where(inside, t, 0)) * inner + i % inner]
    return own, np.where(t != ignored, np.where(inside, weight, np.nan), 0).astype(x.dtype)


@elementwise(
    "raw T x, int64 t, A weight, int64 classes, int64 inner, int64 ignored",
    "A loss, A kept",
    LABEL_CUDA + "loss = kept == 0 ? A(0) : -kept * own",
)
def nll_forward(x, t, weight, classes, inner, ignored):
    own, kept = own_scores(x, t, weight, classes, inner, ignored)
    return np.where(kept == 0, 0, -kept * own), kept


# x gives shape and dtype; kept is NaN for a label out of range.
@elementwise(
    "T x, int64 t, col int64 c, A kept, A g",
    "T gx",
    "gx = kept != kept ? kept : t == c && kept != 0 ? -kept * g : A(0)",
)
def nll_backward(x, t, c, kept, g):
    gx = np.zeros_like(x)
    gx += np.where(kept == kept, 0, kept)
    own = np.where(kept == 0, 0, -kept * g)
    np.put_along_axis(gx, np.clip(t, 0, c.size - 1), own, x.ndim - c.ndim)
    return gx


# The two sums of a mean over labels and its quotient at once; `kept` holds the weights.
@reduction(
    "T in_loss, T in_kept",
    "T out_mean, T out_total",
    map="MeanState{in_loss, in_kept}",
    reduce="MeanState{a.sum + b.sum, a.kept + b.kept}",
    post="out_mean = a.sum / a.kept, out_total = a.kept",
    identity="MeanState{0, 0}",
    reduce_type="MeanState",
    preamble="struct MeanState { A sum; A kept; };",
)
def label_mean(loss, kept, axis, keepdims):
    total = kept.sum(axis=axis, keepdims=keepdims)
    return loss.sum(axis=axis, keepdims=keepdims) / total, total


def reduce_label_loss(loss: Array, kept: Array, dtype: Any, reduction: str) -> tuple[Array, Any]:
    """Return the loss of labels reduced as `reduce_loss` does, and what its gradient is divided by."""
    if reduction != "mean":
        return reduce_loss(loss, dtype, reduction, 1), 1
    mean, total = label_mean(loss, kept, axis=None)
    return mean.astype(dtype, copy=False), total


def class_axis(who: str, x: Array, axis: int) -> int:
    """Return the class axis counted from the front; the only one of a single row of logits."""
    axis = 0 if x.ndim == 1 else axis
    if not -x.ndim <= axis < x.ndim or x.shape[axis] == 0:
        raise ValueError(f"{who}: axis {axis} must hold at least one class, got shape {x.shape}")
    return axis % x.ndim


def class_weight(who: str, weight: Any, x: Array, axis: int) -> Any:
    """Return the class weights as an array that broadcasts against `x`, or 1.0."""
    if weight is None:
        return 1.0
    weight = constant(who, "weight", weight, x)
    if weight.shape != (x.shape[axis],):
        raise ValueError(f"{who}: weight must have shape (C,) = {(x.shape[axis],)}, got {weight.shape}")
    return weight.reshape(-1, *(1,) * (x.ndim - axis - 1))


def labels(who: str, x: Array, target: Array, axis: int, ignored: int | None) -> Array:
    """Return the labels as int64 with the class axis put back."""
    if target.dtype.kind not in "iu":
        raise TypeError(f"{who}: target must hold class labels of integer dtype, got {target.dtype}")
    if target.shape != without(x.shape, axis):
        raise ValueError(
            f"{who}: class labels must have the shape of {x.shape} without axis {axis}, {without(x.shape, axis)},"
            f" got {target.shape}"
        )
    classes = x.shape[axis]
    t = target.astype(np.int64, copy=False)
    if not is_gpu_array(t) and not holds(are_labels, t, classes, ignored):
        other = "" if ignored is None else f", or ignore_index = {ignored}"
        wrong = _wrong(t, classes, ignored)[0]
        raise ValueError(f"{who}: class labels must be 0 to {classes - 1}{other}; got {wrong}")
    return t.reshape(*x.shape[:axis], 1, *x.shape[axis + 1 :])


def are_labels(t: Array, classes: int, ignored: int | None) -> bool:
    """Tell whether all of t, int64, are numbers of classes, or the one that is ignored."""
    # as one pass over those of which none is ignored: negative ones are huge
    return bool(
        not t.size or np.maximum.reduce(t.view(np.uint64), axis=None) < classes or not _wrong(t, classes, ignored).size
    )


def _wrong(t: Array, classes: int, ignored: int | None) -> Array:
    return t[((t < 0) | (t >= classes)) & (t != ignored)]  # all of them, if none is ignored


def class_numbers(x: Array, axis: int) -> Array:
    """Return 0, 1, ... along the class axis."""
    shape = (x.shape[axis], *(1,) * (x.ndim - axis - 1))
    return array_module(x).arange(shape[0]).reshape(shape) if is_gpu_array(x) else _numbers(shape)


@functools.lru_cache(64)
def _numbers(shape: tuple[int, ...]) -> np.ndarray:
    numbers = np.arange(shape[0])
    numbers.flags.writeable = False  # many have it
    return numbers.reshape(shape)


def weight_of(weight: Any, t: Array, classes: int) -> Any:
    """Return the weight of each label; of one out of range, that of some class."""
    return weight.reshape(-1)[t % classes] if is_array(weight) else weight


def without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Return `shape` without the length of `axis`."""
    return shape[:axis] + shape[axis + 1 :]


def expand(a: Array, axis: int) -> Array:
    """Put the class axis back into a gradient, with length 1; that of a mean or sum stays as it is."""
    return a.reshape(*a.shape[:axis], 1, *a.shape[axis:]) if a.ndim else a


@op(arrays=2)
def nll_loss(
    input,
    target,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    axis: int = 1,
) -> Result:
    """Return minus the log-probability of the class that `target` names.

    Args:
        input: (N, C, ...) log-probabilities, as `log_softmax` gives them, or (C,). From logits
            `cross_entropy` is faster and more accurate.
        target: class labels; this, and the other arguments and errors, as in `cross_entropy`.
        weight: (C,), one factor for each class; gets no gradient.
        ignore_index: label whose positions count nothing.
        reduction: "mean", "sum" or "none".
        axis: the class axis.

    Raises:
        ValueError, TypeError: as `cross_entropy`.

    Example:
        >>> log_p = F.log_softmax(cunet.tensor([[0.0, 0.0, 0.0], [0.0, 4.0, 0.0]]))
        >>> F.nll_loss(log_p, [2, 1], reduction="none").round(4)
        Tensor([1.0986, 0.036 ])
    """
    check_reduction("nll_loss", reduction)
    check_floating("nll_loss", input, "input")
    axis = class_axis("nll_loss", input, axis)
    weight = class_weight("nll_loss", weight, input, axis)
    target = as_array(target)
    t = labels("nll_loss", input, target, axis, ignore_index)
    classes = input.shape[axis]
    own = weight_of(weight, t, classes)
    sizes = (classes, math.prod(input.shape[axis + 1 :]), ignore_index)
    loss, kept = nll_forward(input, t, own, *sizes)
    value, divisor = reduce_label_loss(loss.reshape(target.shape), kept.reshape(target.shape), input.dtype, reduction)

    def vjp(gy):
        g = spread_gradient(expand(gy, axis), input.dtype, divisor)
        return (nll_backward(input, t, class_numbers(input, axis), kept, g), None)

    return value, vjp
