"""Losses that are 0 behind a margin, margin_ranking_loss, hinge_embedding_loss and multi_margin_loss; and
soft_margin_loss, which is smooth.

At the margin itself, where a hinge has no derivative, the gradient is that of before it, as in PyTorch: two equal
scores of a ranking without margin are drawn apart. `multi_margin_loss` has none there, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd.op import Result, op
from ...autograd.tensor import as_array
from ...device import Array, array_module, is_gpu_array
from ...kernels import elementwise
from ...kernels.sum_to import sum_over
from ..softmax import check_floating
from .nll import class_numbers, class_weight, expand, labels, nll_forward, weight_of
from .regression import as_pair, as_same, check_reduction, divisor_of, reduce_loss, spread_gradient


@elementwise("T x1, T x2, T t, A margin", "A loss", "A z = margin - t * (x1 - x2); loss = z < 0 ? A(0) : z")
def margin_ranking_forward(x1, x2, t, margin):
    return np.maximum(margin - t * (x1 - x2), 0)


@elementwise("A g, T x1, T x2, T t, A margin", "T gx", "gx = margin - t * (x1 - x2) < 0 ? A(0) : -g * t")
def margin_ranking_backward(g, x1, x2, t, margin):
    return np.where(margin - t * (x1 - x2) < 0, 0, -g * t)


@elementwise(
    "A g, T x1, T x2, T t, A margin",
    "T gt",
    "A d = x1 - x2; gt = margin - t * d < 0 ? A(0) : -g * d",
)
def margin_ranking_target_backward(g, x1, x2, t, margin):
    d = x1 - x2
    return np.where(margin - t * d < 0, 0, -g * d)


@op(arrays=3)
def margin_ranking_loss(input1, input2, target, margin: float = 0.0, reduction: str = "mean") -> Result:
    """Return ``max(0, margin - target * (input1 - input2))``: 0 where the right one of two scores is ahead.

    Args:
        input1, input2, target: arrays of one shape; at least one floating. `target` is 1 where `input1` shall be the
            larger, -1 where `input2` shall. All get a gradient.
        margin: how far ahead.
        reduction: "mean" over all elements, "sum", or "none".

    Raises:
        ValueError: the shapes differ, or an unknown reduction.
        TypeError: no array is of floating dtype.

    Example:
        >>> first, second = cunet.tensor([2.0, 2.0]), cunet.tensor([1.0, 1.0])
        >>> F.margin_ranking_loss(first, second, [1, -1], margin=0.5, reduction="none")
        Tensor([0. , 1.5])
    """
    check_reduction("margin_ranking_loss", reduction)
    x1, x2, t = as_same("margin_ranking_loss", input1=input1, input2=input2, target=target)
    divisor = divisor_of(x1, reduction)

    def vjp(gy):
        g = spread_gradient(gy, x1.dtype, divisor)
        gx = margin_ranking_backward(g, x1, x2, t, margin)
        return gx, lambda: -gx, lambda: margin_ranking_target_backward(g, x1, x2, t, margin)

    return reduce_loss(margin_ranking_forward(x1, x2, t, margin), x1.dtype, reduction, divisor), vjp


# Neither 1 nor -1: NaN, which is what a GPU, where nobody looks first, has to tell it.
@elementwise(
    "T x, T t, A margin",
    "A loss",
    "loss = t == 1 ? x : t != -1 ? log(A(-1)) : x > margin ? A(0) : margin - x",
)
def hinge_embedding_forward(x, t, margin):
    return np.where(t == 1, x, np.where(t == -1, np.maximum(margin - x, 0), np.nan))


@elementwise(
    "A g, T x, T t, A margin",
    "T gx",
    "gx = t == 1 ? g : t != -1 ? log(A(-1)) : x > margin ? A(0) : -g",
)
def hinge_embedding_backward(g, x, t, margin):
    return np.where(t == 1, g, np.where(t == -1, np.where(x > margin, 0, -g), np.nan)).astype(x.dtype)


def check_signs(who: str, target: Array) -> None:
    """Raise ValueError for a target that is neither 1 nor -1; asks nothing of a GPU."""
    if not is_gpu_array(target):
        wrong = target[(target != 1) & (target != -1)]
        if wrong.size:
            raise ValueError(f"{who}: target must be 1 or -1, got {wrong[0]}")


@op(arrays=2)
def hinge_embedding_loss(input, target, margin: float = 1.0, reduction: str = "mean") -> Result:
    """Return `input` where `target` is 1, ``max(0, margin - input)`` where it is -1.

    Args:
        input: distances between two things, floating.
        target: 1 where the two belong together, -1 where not; of the same shape; gets no gradient.
        margin: how far apart is far enough.
        reduction: "mean" over all elements, "sum", or "none".

    Raises:
        ValueError: the shapes differ, an unknown reduction, or on the CPU a target that is neither 1 nor -1 (on the
            GPU, where asking would make the host wait, its loss and gradient are NaN).
        TypeError: neither array is of floating dtype.

    Example:
        >>> F.hinge_embedding_loss(cunet.tensor([0.25, 0.25, 2.0]), [1, -1, -1], reduction="none")
        Tensor([0.25, 0.75, 0.  ])
    """
    check_reduction("hinge_embedding_loss", reduction)
    x, t = as_pair("hinge_embedding_loss", input, target)
    check_signs("hinge_embedding_loss", t)
    divisor = divisor_of(x, reduction)

    def vjp(gy):
        return hinge_embedding_backward(spread_gradient(gy, x.dtype, divisor), x, t, margin), None

    return reduce_loss(hinge_embedding_forward(x, t, margin), x.dtype, reduction, divisor), vjp


@elementwise(
    "T x, T t",
    "A loss",
    "A z = -t * x; loss = (z > 0 ? z : A(0)) + log1p(exp(-fabs(z)))",
    smooth="loss = softplus(-t * x)",
)
def soft_margin_forward(x, t):
    z = -t * x
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


# The gradient for t is that for x with the two exchanged.
@elementwise("A g, T x, T t", "T gx", "gx = -g * t / (1 + exp(t * x))")
def soft_margin_backward(g, x, t):
    return -g * t / (1 + np.exp(t * x))


@op(arrays=2)
def soft_margin_loss(input, target, reduction: str = "mean") -> Result:
    """Return ``log(1 + exp(-target * input))``, the logistic loss.

    It is `binary_cross_entropy_with_logits` for targets of 1 and -1 instead of 1 and 0.

    Args:
        input, target: arrays of one shape; at least one floating. Both get a gradient.
        reduction: "mean" over all elements, "sum", or "none".

    Raises:
        ValueError: the shapes differ, or an unknown reduction.
        TypeError: neither array is of floating dtype.

    Example:
        >>> F.soft_margin_loss(cunet.tensor([0.0, 5.0, 5.0]), [1, 1, -1], reduction="none").round(4)
        Tensor([0.6931, 0.0067, 5.0067])
    """
    check_reduction("soft_margin_loss", reduction)
    x, t = as_pair("soft_margin_loss", input, target)
    divisor = divisor_of(x, reduction)

    def vjp(gy):
        g = spread_gradient(gy, x.dtype, divisor)
        return lambda: soft_margin_backward(g, x, t), lambda: soft_margin_backward(g, t, x)

    return reduce_loss(soft_margin_forward(x, t), x.dtype, reduction, divisor), vjp


_NONE = -(2**63)  # the label that counts nothing: none is to be left out


# `own` is the score of the right class, NaN for a label out of range.
@elementwise(
    "T x, int64 t, col int64 c, A own, A weight, A margin, int64 p",
    "A loss",
    "A z = margin - (own - x); loss = c == t || z <= 0 ? A(0) : weight * (p == 2 ? z * z : z)",
)
def multi_margin_forward(x, t, c, own, weight, margin, p):
    z = margin - (own - x)
    return np.where((c == t) | (z <= 0), 0, weight * (z * z if p == 2 else z))


@elementwise(
    "A g, T x, int64 t, col int64 c, A own, A weight, A margin, int64 p",
    "A gx",
    "A z = margin - (own - x); gx = c == t || z <= 0 ? A(0) : g * weight * (p == 2 ? 2 * z : z == z ? A(1) : z)",
)
def multi_margin_backward(g, x, t, c, own, weight, margin, p):
    z = margin - (own - x)
    return np.where((c == t) | (z <= 0), 0, g * weight * (2 * z if p == 2 else np.where(z == z, 1, z)))


@op(arrays=2)
def multi_margin_loss(
    input, target, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean"
) -> Result:
    """Return the mean over all classes j of ``max(0, margin - input[target] + input[j])**p``, without ``j = target``.

    The mean divides by the number of all classes, that of the target too.

    Args:
        input: (N, C) scores of C classes, or (C,); floating.
        target: class labels 0 to C-1 of any integer dtype, (N,) or ().
        p: 1 or 2.
        margin: by how much the right class shall be ahead.
        weight: (C,), one factor for each right class; gets no gradient.
        reduction: "mean" over the samples (whatever their weights), "sum", or "none".

    Raises:
        ValueError: shapes that do not fit, another p, an unknown reduction, or on the CPU a label out of range (on the
            GPU, where asking would make the host wait, its loss and gradient are NaN).
        TypeError: `input` is not floating, or `target` not of integer dtype.

    Source: Weston & Watkins 1999, "Support vector machines for multi-class pattern recognition", section 3.

    Example:
        >>> F.multi_margin_loss(cunet.tensor([[0.5, 2.0, 1.75], [0.5, 2.0, 1.75]]), [1, 0], reduction="none").round(4)
        Tensor([0.25  , 1.5833])
    """
    who = "multi_margin_loss"
    check_reduction(who, reduction)
    check_floating(who, input, "input")
    if p not in (1, 2) or isinstance(p, bool):
        raise ValueError(f"{who}: p must be 1 or 2, got {p!r}")
    if input.ndim not in (1, 2) or not input.shape[-1]:
        raise ValueError(f"{who}: input must have shape (N, C) or (C,) with at least one class, got {input.shape}")
    target = as_array(target)
    axis, classes = input.ndim - 1, input.shape[-1]
    weight = class_weight(who, weight, input, axis)
    t = labels(who, input, target, axis, None)
    score, _ = nll_forward(input, t, 1.0, classes, 1, _NONE)
    numbers = (t, class_numbers(input, axis), -score, weight_of(weight, t, classes), margin, int(p))
    divisor = target.size if reduction == "mean" else 1
    loss = sum_over(multi_margin_forward(input, *numbers), (axis,), keepdims=False) / classes

    def vjp(gy):
        g = spread_gradient(expand(gy, axis), input.dtype, divisor) / classes
        gx = multi_margin_backward(g, input, *numbers)
        place = (array_module(t).arange(target.size), t.reshape(-1) % classes)
        gx.reshape(-1, classes)[place] -= sum_over(gx, (axis,)).reshape(-1)
        return gx, None

    return reduce_loss(loss, input.dtype, reduction, divisor), vjp
