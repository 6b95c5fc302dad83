"""Losses between probabilities: binary cross-entropy from logits, Kullback-Leibler divergence."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd.op import Result, op
from ...device import Array
from ...kernels import elementwise
from .regression import REDUCTIONS, as_pair, check_reduction, constant, divisor_of, reduce_loss, spread_gradient


# log1p(exp(-|z|)) is what softplus(z) is above max(z, 0), and softplus(-z) above max(-z, 0). A part that the target
# leaves out is 0 for an infinite logit too.
@elementwise(
    "T z, T t, A positive, A weight",
    "A loss",
    "A tail = log1p(exp(-fabs(z)));"
    " A no = t == 1 ? A(0) : (1 - t) * ((z > 0 ? z : A(0)) + tail);"
    " A yes = t == 0 ? A(0) : positive * t * ((z < 0 ? -z : A(0)) + tail);"
    " loss = weight * (no + yes)",
    smooth="loss = weight * ((1 - t) * softplus(z) + positive * t * softplus(-z))",
)
def bce_forward(z, t, positive, weight):
    tail = np.log1p(np.exp(-np.abs(z)))
    no = np.where(t == 1, 0, (1 - t) * (np.maximum(z, 0) + tail))
    yes = np.where(t == 0, 0, positive * t * (np.maximum(-z, 0) + tail))
    return weight * (no + yes)


# sigmoid(z) and sigmoid(-z) are 1 / (1 + e) and e / (1 + e); 1 - sigmoid(z) would be 0 from z = 17 in float32.
@elementwise(
    "A g, T z, T t, A positive, A weight",
    "T gz",
    "A e = exp(-fabs(z));"
    " gz = g * weight * ((1 - t) * (z > 0 ? A(1) : e) - positive * t * (z > 0 ? e : A(1))) / (1 + e)",
    smooth="gz = g * weight * ((1 - t) / (1 + exp(-z)) - positive * t / (1 + exp(z)))",
)
def bce_backward(g, z, t, positive, weight):
    e = np.exp(-np.abs(z))
    up, down = np.maximum(z > 0, e), np.maximum(z <= 0, e)
    return g * weight * ((1 - t) * up - positive * t * down) / (1 + e)


@elementwise(
    "A g, T z, A positive, A weight",
    "T gt",
    "A tail = log1p(exp(-fabs(z)));"
    " gt = g * weight * (positive * ((z < 0 ? -z : A(0)) + tail) - ((z > 0 ? z : A(0)) + tail))",
    smooth="gt = g * weight * (positive * softplus(-z) - softplus(z))",
)
def bce_target_backward(g, z, positive, weight):
    tail = np.log1p(np.exp(-np.abs(z)))
    return g * weight * (positive * (np.maximum(-z, 0) + tail) - (np.maximum(z, 0) + tail))


@op(arrays=2)
def binary_cross_entropy_with_logits(
    input, target, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Result:
    """Return ``-(p * t * log(sigmoid(z)) + (1 - t) * log(1 - sigmoid(z)))`` for logits z and targets t.

    Computed from the logits as ``max(z, 0) - z * t + log1p(exp(-|z|))`` (for p = 1), which loses nothing where a
    float32 sigmoid is exactly 1: from z = 17 on.

    Args:
        input, target: arrays of one shape; targets from 0 to 1. Both get a gradient.
        weight: factor of each element's loss; broadcasts to the shape of `input`; gets no gradient.
        reduction: "mean" over all elements (whatever their weights), "sum", or "none".
        pos_weight: factor p of the positive part, such as (C,) for logits (N, C); as `weight`.

    Raises:
        ValueError: shapes that do not fit, or an unknown reduction.
        TypeError: neither array is of floating dtype.

    Example:
        >>> logits, targets = cunet.tensor([0.0, 20.0, -2.0]), cunet.tensor([1.0, 0.0, 0.0])
        >>> F.binary_cross_entropy_with_logits(logits, targets, reduction="none").round(4)
        Tensor([ 0.6931, 20.    ,  0.1269])
        >>> F.binary_cross_entropy_with_logits(logits, targets, reduction="none", pos_weight=3.0).round(4)
        Tensor([ 2.0794, 20.    ,  0.1269])
    """
    who = "binary_cross_entropy_with_logits"
    check_reduction(who, reduction)
    z, t = as_pair(who, input, target)
    factors = factor(who, "pos_weight", pos_weight, z), factor(who, "weight", weight, z)
    divisor = divisor_of(z, reduction)

    def vjp(gy):
        g = spread_gradient(gy, z.dtype, divisor)
        return lambda: bce_backward(g, z, t, *factors), lambda: bce_target_backward(g, z, *factors)

    return reduce_loss(bce_forward(z, t, *factors), z.dtype, reduction, divisor), vjp


def factor(who: str, name: str, value: Any, x: Array) -> Any:
    """Return a constant factor in the dtype of arithmetic; 1.0 for None."""
    if value is None:
        return 1.0
    value = constant(who, name, value, x)
    pairs = zip(reversed(value.shape), reversed(x.shape), strict=False)
    if value.ndim > x.ndim or any(v not in (1, s) for v, s in pairs):
        raise ValueError(f"{who}: {name} must broadcast to the shape of input {x.shape}, got {value.shape}")
    return value


@elementwise("T x, T t", "A loss", "loss = t == 0 ? A(0) : t * (log(t) - x)")
def kl_forward(x, t):
    return np.where(t == 0, 0, t * (np.log(t) - x))


@elementwise("A g, T t", "T gx", "gx = -g * t")
def kl_backward(g, t):
    return -g * t


@elementwise("A g, T x, T t", "T gt", "gt = g * (log(t) - x + 1)")
def kl_target_backward(g, x, t):
    return g * (np.log(t) - x + 1)


@elementwise("T x, T t", "A loss", "A p = exp(t); loss = p == 0 ? A(0) : p * (t - x)")
def kl_log_forward(x, t):
    p = np.exp(t)
    return np.where(p == 0, 0, p * (t - x))


@elementwise("A g, T t", "T gx", "gx = -g * exp(t)")
def kl_log_backward(g, t):
    return -g * np.exp(t)


@elementwise("A g, T x, T t", "T gt", "A p = exp(t); gt = p == 0 ? A(0) : g * p * (t - x + 1)")
def kl_log_target_backward(g, x, t):
    p = np.exp(t)
    return np.where(p == 0, 0, g * p * (t - x + 1))


@op(arrays=2)
def kl_div(input, target, reduction: str = "mean", log_target: bool = False) -> Result:
    """Return the Kullback-Leibler divergence ``t * (log(t) - input)`` of each element; 0 where t = 0.

    Args:
        input: log-probabilities, such as from `log_softmax`.
        target: probabilities, or their logarithms if `log_target`; same shape. Both get a gradient; that for a
            target of 0 is ``-inf``, its limit.
        reduction: "batchmean" divides the sum by the length of the first axis, which gives the divergence of
            distributions; "mean" divides by the number of elements, as PyTorch does; "sum"; "none".
        log_target: whether `target` holds logarithms.

    Raises:
        ValueError: the shapes differ, or an unknown reduction.
        TypeError: neither is of floating dtype.

    Source: Kullback & Leibler 1951, "On information and sufficiency", equation 2.4.

    Example:
        >>> log_q, p = np.log([[0.25, 0.75]]), np.array([[0.5, 0.5]])
        >>> F.kl_div(log_q, p, reduction="batchmean").round(4)
        Tensor(0.1438, dtype=float64)
        >>> F.kl_div(log_q, p).round(4)  # "mean" divides by the number of classes too
        Tensor(0.0719, dtype=float64)
    """
    check_reduction("kl_div", reduction, ("batchmean", *REDUCTIONS))
    x, t = as_pair("kl_div", input, target)
    divisor = divisor_of(x, reduction)
    forward, backward, target_backward = (
        (kl_log_forward, kl_log_backward, kl_log_target_backward)
        if log_target
        else (kl_forward, kl_backward, kl_target_backward)
    )

    def vjp(gy):
        g = spread_gradient(gy, x.dtype, divisor)
        return lambda: backward(g, t), lambda: target_backward(g, x, t)

    return reduce_loss(forward(x, t), x.dtype, reduction, divisor), vjp
