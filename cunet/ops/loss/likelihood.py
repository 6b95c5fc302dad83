"""Minus the logarithm of a probability: gaussian_nll_loss, poisson_nll_loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...autograd.op import Result, op
from ...device import Array, is_array, is_gpu_array, like
from ...kernels import elementwise
from ...kernels.sum_to import sum_over
from .regression import as_floats, as_pair, check_reduction, divisor_of, reduce_loss, spread_gradient


# The square is taken apart: d * d leaves the range long before d * (d / c) does.
@elementwise(
    "T x, T t, T v, A eps, A constant",
    "A loss",
    "A c = v < 0 ? log(A(-1)) : v < eps ? eps : v, d = x - t; loss = (log(c) + d * (d / c)) / 2 + constant",
)
def gaussian_forward(x, t, v, eps, constant):
    c, d = _variance(v, eps), x - t
    return (np.log(c) + d * (d / c)) / 2 + constant


@elementwise(
    "A g, T x, T t, T v, A eps",
    "T gx",
    "A c = v < 0 ? log(A(-1)) : v < eps ? eps : v; gx = g * ((x - t) / c)",
)
def gaussian_backward(g, x, t, v, eps):
    return g * ((x - t) / _variance(v, eps))


@elementwise(
    "A g, T x, T t, T v, A eps",
    "A gv",
    "A c = v < 0 ? log(A(-1)) : v < eps ? eps : v, d = x - t; gv = g * ((1 - d * (d / c)) / (2 * c))",
)
def gaussian_variance_backward(g, x, t, v, eps):
    c, d = _variance(v, eps), x - t
    return g * ((1 - d * (d / c)) / (2 * c))


def _variance(v: np.ndarray, eps: float) -> np.ndarray:
    return np.where(v < 0, np.nan, np.maximum(v, eps)).astype(v.dtype)


def _shared(who: str, var: Any, x: Array) -> Array:
    """Return variances, or a number for all of them, in a shape that broadcasts to that of `x`."""
    if not is_array(var):
        var = like(np.asarray(var, x.dtype), x)
    if not is_gpu_array(var) and (var < 0).any():
        raise ValueError(f"{who}: var must be at least 0, got {var[var < 0].reshape(-1)[0]}")
    if var.shape and var.shape == x.shape[:-1]:
        return var[..., None]
    if var.ndim not in (0, x.ndim) or any(
        n not in (1, m) for n, m in zip(var.shape, x.shape[-var.ndim :], strict=False)
    ):
        raise ValueError(
            f"{who}: var must have the shape of input {x.shape}, or be shared along an axis of it, got {var.shape}"
        )
    return var


@op(arrays=3)
def gaussian_nll_loss(input, target, var, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> Result:
    """Return ``(log(v) + (input - target)**2 / v) / 2`` with ``v = max(var, eps)``: a mean and a variance predicted.

    Args:
        input: the predicted means, floating.
        target: what was found, of the same shape.
        var: the predicted variances, at least 0: of that shape; with length 1 on one axis or without the last axis,
            where they are shared along it; or a number. All three get a gradient, that of `var` as if it were not
            limited by `eps`.
        full: whether to add ``log(2 * pi) / 2``.
        eps: the least variance that counts, above 0.
        reduction: "mean" over all elements, "sum", or "none".

    Raises:
        ValueError: shapes that do not fit, eps not above 0, an unknown reduction, or on the CPU a variance below 0 (on
            the GPU, where asking would make the host wait, its loss and gradient are NaN).
        TypeError: no array is of floating dtype.

    Source: Nix & Weigend 1994, "Estimating the mean and variance of the target probability distribution", equation 3.

    Example:
        >>> mean, target = cunet.tensor([0.0]), cunet.tensor([2.0])
        >>> F.gaussian_nll_loss(mean, target, cunet.tensor([1.0]))
        Tensor(2.)
        >>> F.gaussian_nll_loss(mean, target, cunet.tensor([4.0])).round(4)  # less: it was known to be uncertain
        Tensor(1.1931)
    """
    who = "gaussian_nll_loss"
    check_reduction(who, reduction)
    if not eps > 0:
        raise ValueError(f"{who}: eps must be above 0, got {eps}")
    x, t = as_pair(who, input, target)
    x, t, v = as_floats(who, x, t, _shared(who, var, x))
    shorter = v.ndim > np.ndim(var)
    divisor, constant = divisor_of(x, reduction), math.log(2 * math.pi) / 2 if full else 0.0

    def vjp(gy):
        g = spread_gradient(gy, x.dtype, divisor)

        def for_variance() -> Array:
            gv = gaussian_variance_backward(g, x, t, v, eps)
            return sum_over(gv, (gv.ndim - 1,), keepdims=False) if shorter else gv

        gx = gaussian_backward(g, x, t, v, eps)
        return gx, lambda: -gx, for_variance

    return reduce_loss(gaussian_forward(x, t, v, eps, constant), x.dtype, reduction, divisor), vjp


# What Stirling's formula has of log(t!) counts for t > 1. With it the loss is t * (exp(r) - 1 - r) + log(2 pi t) / 2
# for r = x - log(t): where exp(x) is near t, the terms exp(x), t * x and t * log(t) would cancel.
@elementwise(
    "T x, T t, bool full",
    "A loss",
    """A r = x - log(t > 1 ? t : A(1));
    loss = full && t > 1 ? t * (expm1(r) - r) + log(A(6.283185307179586) * t) / 2
                         : exp(x) - (t == 0 ? A(0) : t * x)""",
)
def poisson_log_forward(x, t, full):
    plain = np.exp(x) - np.where(t == 0, 0, t * x)
    if not full:
        return plain
    r = x - np.log(np.where(t > 1, t, 1))
    return np.where(t > 1, t * (np.expm1(r) - r) + np.log(2 * np.pi * t) / 2, plain)


@elementwise("A g, T x, T t", "T gx", "gx = g * (exp(x) - t)")
def poisson_log_backward(g, x, t):
    return g * (np.exp(x) - t)


@elementwise(
    "A g, T x, T t, bool full",
    "T gt",
    "gt = g * (full && t > 1 ? 1 / (2 * t) - (x - log(t)) : -x)",
)
def poisson_log_target_backward(g, x, t, full):
    return g * (np.where(t > 1, 1 / (2 * t) - (x - np.log(t)), -x) if full else -x)


# The same of a rate q = x + eps instead of its logarithm, with q = t * (1 + u).
@elementwise(
    "T x, T t, A eps, bool full",
    "A loss",
    """A q = x + eps, u = (q - t) / t;
    loss = full && t > 1 ? t * (u - log1p(u)) - eps + log(A(6.283185307179586) * t) / 2
                         : x - (t == 0 ? A(0) : t * log(q))""",
)
def poisson_forward(x, t, eps, full):
    q = x + eps
    plain = x - np.where(t == 0, 0, t * np.log(q))
    if not full:
        return plain
    u = (q - t) / t
    return np.where(t > 1, t * (u - np.log1p(u)) - eps + np.log(2 * np.pi * t) / 2, plain)


@elementwise("A g, T x, T t, A eps", "T gx", "A q = x + eps; gx = g * (t == 0 ? A(1) : (q - t) / q)")
def poisson_backward(g, x, t, eps):
    q = x + eps
    return g * np.where(t == 0, 1, (q - t) / q)


@elementwise(
    "A g, T x, T t, A eps, bool full",
    "T gt",
    "A q = x + eps; gt = g * (full && t > 1 ? 1 / (2 * t) - log1p((q - t) / t) : -log(q))",
)
def poisson_target_backward(g, x, t, eps, full):
    q = x + eps
    return g * (np.where(t > 1, 1 / (2 * t) - np.log1p((q - t) / t), -np.log(q)) if full else -np.log(q))


@op(arrays=2)
def poisson_nll_loss(
    input, target, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
) -> Result:
    """Return ``exp(input) - target * input``: minus the log-probability of a count, without what no rate changes.

    Args:
        input: logarithms of the predicted rates; or the rates, if not `log_input`: the loss is then
            ``input - target * log(input + eps)``.
        target: counts, of the same shape. Both get a gradient. For a count of 0 the loss is the rate, be it 0.
        log_input: whether `input` holds logarithms.
        full: whether to add, for counts above 1, ``target * log(target) - target + log(2 * pi * target) / 2``,
            Stirling's formula for ``log(target!)``.
        eps: added to rates, so that one of 0 has a logarithm.
        reduction: "mean" over all elements, "sum", or "none".

    Raises:
        ValueError: the shapes differ, or an unknown reduction.
        TypeError: neither array is of floating dtype.

    Example:
        >>> log_rate, count = cunet.tensor([0.0, 1.0]), cunet.tensor([2.0, 0.0])
        >>> F.poisson_nll_loss(log_rate, count, reduction="none").round(4)
        Tensor([1.    , 2.7183])
        >>> F.poisson_nll_loss(log_rate.exp(), count, log_input=False, reduction="none").round(4)
        Tensor([1.    , 2.7183])
    """
    check_reduction("poisson_nll_loss", reduction)
    x, t = as_pair("poisson_nll_loss", input, target)
    divisor, full = divisor_of(x, reduction), bool(full)
    loss = poisson_log_forward(x, t, full) if log_input else poisson_forward(x, t, eps, full)

    def vjp(gy):
        g = spread_gradient(gy, x.dtype, divisor)
        if log_input:
            return lambda: poisson_log_backward(g, x, t), lambda: poisson_log_target_backward(g, x, t, full)
        return lambda: poisson_backward(g, x, t, eps), lambda: poisson_target_backward(g, x, t, eps, full)

    return reduce_loss(loss, x.dtype, reduction, divisor), vjp
