"""Batch norm: statistics of the batch for each channel, in training, and given ones."""

from __future__ import annotations

import functools
from typing import Any

from ...autograd.op import Result, Results, op
from ...device import Array, array_module
from ...kernels.capture import reciprocal_root
from . import kernels
from .backward import before_activation, sums
from .epilogue import PLAIN, activated
from .forward import apply
from .groups import Groups, by_channel
from .normalize import as_factor, check, normalize_groups


@op
def batch_norm_training(x, weight=None, bias=None, *, axis: int = 1, eps: float = 1e-5, activation=None) -> Results:
    """Normalise each channel by the mean and variance of the batch: training form.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias`` with mean and var over all axes but `axis`, var
    divided by the count. The variance of y is ``var / (var + eps) * weight**2``.

    Args:
        x: floating, 2 to 5 axes.
        weight, bias: shape (C,) with C the length of `axis`, or None for 1 and 0.
        axis: channel axis: 1 for (N, C, ...), -1 for (N, ..., C).
        eps, activation: see `cunet.functional.batch_norm`.

    Returns:
        ``(y, mean, var)``: y like x; mean and var of shape (C,), in float32 for half types. The op keeps no
        running statistics: `cunet.nn.BatchNorm` does.

    Raises:
        ValueError: fewer than two values per channel (the output would be the bias whatever the input), or
            shapes do not fit.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1; gradients: section 3.
    """
    groups, shape = by_channel("batch_norm", x, axis)
    check("batch_norm", x, {"weight": weight, "bias": bias}, shape, "(C,)", eps)
    if groups.per_mean < 2:
        raise ValueError(
            f"batch_norm: training needs more than one value per channel, got {groups.per_mean} in shape {x.shape}"
        )
    out = normalize_groups(x, weight, bias, groups, eps, activated=activated("batch_norm", activation))

    def vjp(gys):
        gy, gmean, gvar = gys
        gx, gweight, gbias = out.backward(array_module(x).zeros_like(out.y) if gy is None else gy)
        if gmean is None and gvar is None:
            return gx, gweight, gbias
        return lambda: gx() + _statistics_backward(x, out.mean, gmean, gvar, groups), gweight, gbias

    return (out.y, out.mean.reshape(shape), out.var.reshape(shape)), vjp


def _statistics_backward(x: Array, mean: Array, gmean: Any, gvar: Any, groups: Groups) -> Array:
    """Return the gradient that reaches x through the mean and the variance that batch_norm returns."""
    d = x.reshape(groups.shape) - mean
    g = array_module(x).zeros_like(d) if gvar is None else d * (gvar.reshape(groups.params) * 2)
    if gmean is not None:
        g = g + gmean.reshape(groups.params)
    return (g / groups.per_mean).reshape(x.shape)


@op
def batch_norm_inference(
    x, mean, var, weight=None, bias=None, *, axis: int = 1, eps: float = 1e-5, activation=None
) -> Result:
    """Normalise each channel by given statistics: a fixed linear map of x.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``. No gradient goes to `mean` and `var`.

    Args:
        x: floating, 2 to 5 axes.
        mean, var, weight, bias: shape (C,) with C the length of `axis`; weight and bias may be None.
        axis, eps, activation: see `cunet.functional.batch_norm`.

    Returns:
        Array like x.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 2.
    """
    groups, shape = by_channel("batch_norm", x, axis)
    params = {"running_mean": mean, "running_var": var, "weight": weight, "bias": bias}
    check("batch_norm", x, params, shape, "(C,)", eps)
    view = x.reshape(groups.shape)
    m, v = (as_factor(a, groups.params, x, 0.0) for a in (mean, var))
    w, b = as_factor(weight, groups.params, x, 1.0), as_factor(bias, groups.params, x, 0.0)
    rstd = reciprocal_root(v, eps)
    y, saved = apply(view, m, v, rstd, w, b, activated("batch_norm", activation))

    def vjp(gy):
        g = before_activation(gy.reshape(groups.shape), saved).g
        shared = functools.cache(lambda: sums(g, saved, PLAIN, (), 1.0, groups.folded))
        return (
            lambda: kernels.normalize(g, 0.0, rstd, w, 0.0).reshape(x.shape),
            None,
            None,
            None if weight is None else lambda: shared()[1].reshape(shape),
            None if bias is None else lambda: shared()[0].reshape(shape),
        )

    return y.reshape(x.shape), vjp
