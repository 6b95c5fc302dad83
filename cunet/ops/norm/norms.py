"""Normalisations: batch, layer, group, instance and RMS norm.

Each op chooses which values share statistics and which share a weight; `cunet.ops.norm.norms.normalize` does the rest.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.op import Result, Results, op
from ...autograd.tensor import Tensor
from ...device import Array, array_module, is_floating
from .epilogue import fused
from .kernels import normalize
from .normalize import Groups, as_factor, groups_of, normalize_groups, normalize_sums_over


def _check(who: str, x: Array, params: dict[str, Array | None], shape: tuple[int, ...], symbol: str) -> None:
    if not is_floating(x.dtype):
        raise TypeError(f"{who}: x must have a floating dtype, got {x.dtype}")
    for name, a in params.items():
        if a is not None and a.shape != shape:
            raise ValueError(f"{who}: {name} must have shape {symbol} = {shape}, got {a.shape}")


def _channel_groups(who: str, x: Array, axis: int) -> tuple[Groups, tuple[int, ...]]:
    """Return the view of batch norm, and the shape (C,) of what it has one of per channel."""
    if not 2 <= x.ndim <= 5:
        raise ValueError(f"{who}: x must have 2 to 5 axes, got shape {x.shape}")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{who}: axis {axis} does not exist for shape {x.shape}")
    axis %= x.ndim
    before, channels, after = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    return groups_of((before, True, True), (channels, False, False), (after, True, True)), (channels,)


@op
def batch_norm(x, weight=None, bias=None, *, axis: int = 1, eps: float = 1e-5, activation=None) -> Results:
    """Normalise each channel by the mean and variance of the batch: training form.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias`` with mean and var over all axes but `axis`, var
    divided by the count. The variance of y is ``var / (var + eps) * weight**2``.

    Args:
        x: floating, 2 to 5 axes.
        weight, bias: shape (C,) with C the length of `axis`, or None for 1 and 0.
        axis: channel axis: 1 for (N, C, ...), -1 for (N, ..., C).
        eps: added to the variance.
        activation: what to apply to y, in the same kernels: the name of an elementwise function of
            `cunet.functional` ("relu"), the function, or a `functools.partial` of it with its options. y before it
            is not kept.

    Returns:
        ``(y, mean, var)``: y like x; mean and var of shape (C,), in float32 for half types. The op keeps no
        running statistics: `cunet.nn.BatchNorm` does.

    Raises:
        ValueError: fewer than two values per channel (the output would be the bias whatever the input), or
            shapes do not fit.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1; gradients: section 3.
    """
    groups, shape = _channel_groups("batch_norm", x, axis)
    _check("batch_norm", x, {"weight": weight, "bias": bias}, shape, "(C,)")
    if groups.per_mean < 2:
        raise ValueError(
            f"batch_norm: training needs more than one value per channel; x of shape {x.shape} has {groups.per_mean}"
        )
    out = normalize_groups(x, weight, bias, groups, eps, activated=fused("batch_norm", activation))

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
        axis, eps, activation: see `batch_norm`.

    Returns:
        Array like x.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 2.
    """
    groups, shape = _channel_groups("batch_norm_inference", x, axis)
    params = {"mean": mean, "var": var, "weight": weight, "bias": bias}
    _check("batch_norm_inference", x, params, shape, "(C,)")
    view = x.reshape(groups.shape)
    m, v = (as_factor(a, groups.params, x, 0.0) for a in (mean, var))
    w, b = as_factor(weight, groups.params, x, 1.0), as_factor(bias, groups.params, x, 0.0)
    rstd = 1 / array_module(x).sqrt(v + eps)
    how = fused("batch_norm_inference", activation)
    if how.apart(x):
        y, back = how.alone(normalize(view, m, rstd, w, b))
    else:
        y, back = how.kernels.normalize(view, m, rstd, w, b, *how.parameters), None

    def vjp(gy):
        g = gy.reshape(groups.shape)
        if back:
            (g,) = back(g)
        elif how.gradient:
            g = how.gradient(g, view, m, rstd, w, b, *how.parameters)
        sums = functools.cache(lambda: normalize_sums_over(g, view, m, rstd, 1.0, groups.folded))
        return (
            lambda: normalize(g, 0.0, rstd, w, 0.0).reshape(x.shape),
            None,
            None,
            None if weight is None else lambda: sums()[1].reshape(shape),
            None if bias is None else lambda: sums()[0].reshape(shape),
        )

    return y.reshape(x.shape), vjp


def _trailing_groups(who: str, x: Array, shape: tuple[int, ...]) -> Groups:
    if not shape or x.shape[-len(shape) :] != shape or math.prod(shape) == 0:
        raise ValueError(f"{who}: x must end with the axes normalized_shape = {shape}, got shape {x.shape}")
    lead = math.prod(x.shape[: x.ndim - len(shape)])
    return groups_of((lead, False, True), (math.prod(shape), True, False))


def as_shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return a shape given as a sequence or one int as a tuple."""
    return (shape,) if isinstance(shape, int) else tuple(shape)


@op
def _layer_norm(x, weight=None, bias=None, *, normalized_shape, eps, activation) -> Result:
    groups = _trailing_groups("layer_norm", x, normalized_shape)
    _check("layer_norm", x, {"weight": weight, "bias": bias}, normalized_shape, "normalized_shape")
    out = normalize_groups(x, weight, bias, groups, eps, activated=fused("layer_norm", activation))
    return out.y, out.backward


def layer_norm(
    x: Any,
    normalized_shape: int | Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *,
    activation: Any = None,
) -> Tensor:
    """Normalise each sample over its trailing axes: the same in training and evaluation.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``, var divided by the count.

    Args:
        x: floating, shape (..., *normalized_shape).
        normalized_shape: lengths of the trailing axes, or one int.
        weight, bias: shape normalized_shape, or None for 1 and 0.
        eps: added to the variance.
        activation: see `batch_norm`.

    Returns:
        Tensor like x.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450, equation 3.
    """
    return _layer_norm(x, weight, bias, normalized_shape=as_shape(normalized_shape), eps=eps, activation=activation)


@op
def _rms_norm(x, weight=None, *, normalized_shape, eps, activation) -> Result:
    groups = _trailing_groups("rms_norm", x, normalized_shape)
    _check("rms_norm", x, {"weight": weight}, normalized_shape, "normalized_shape")
    if eps is None:
        eps = 2.0**-7 if x.dtype.name == "bfloat16" else float(np.finfo(x.dtype).eps)
    out = normalize_groups(x, weight, None, groups, eps, False, fused("rms_norm", activation))
    return out.y, lambda gy: out.backward(gy)[:2]


def rms_norm(
    x: Any,
    normalized_shape: int | Sequence[int],
    weight: Any = None,
    eps: float | None = None,
    *,
    activation: Any = None,
) -> Tensor:
    """Divide each sample by the root mean square over its trailing axes.

    ``y = x / sqrt(mean(x**2) + eps) * weight``

    Args:
        x: floating, shape (..., *normalized_shape).
        normalized_shape: lengths of the trailing axes, or one int.
        weight: shape normalized_shape, or None for 1.
        eps: added to the mean square; None: the spacing of x's dtype at 1, as in PyTorch.
        activation: see `batch_norm`.

    Returns:
        Tensor like x.

    Source: Zhang and Sennrich 2019, arXiv:1910.07467, equation 4.
    """
    return _rms_norm(x, weight, normalized_shape=as_shape(normalized_shape), eps=eps, activation=activation)


def _split_channels(who: str, x: Array, num_groups: int | None, axis: int) -> tuple[Groups, tuple[int, ...]]:
    """Return the view of group norm (None: one group per channel), and the shape (C,) of its parameters."""
    if x.ndim < 2 or not -x.ndim <= axis < x.ndim or axis % x.ndim == 0:
        raise ValueError(
            f"{who}: x must be (N, ...) with a channel axis other than 0, got axis {axis}, shape {x.shape}"
        )
    axis %= x.ndim
    channels = x.shape[axis]
    count = channels if num_groups is None else num_groups
    if count < 1 or channels % count:
        raise ValueError(f"{who}: num_groups must divide the {channels} channels of shape {x.shape}, got {count}")
    before, after = math.prod(x.shape[1:axis]), math.prod(x.shape[axis + 1 :])
    groups = groups_of(
        (x.shape[0], False, True),
        (before, True, True),
        (count, False, False),
        (channels // count, True, False),
        (after, True, True),
    )
    return groups, (channels,)


@op
def _group_norm(x, weight=None, bias=None, *, num_groups, eps, axis, activation) -> Result:
    groups, shape = _split_channels("group_norm", x, num_groups, axis)
    _check("group_norm", x, {"weight": weight, "bias": bias}, shape, "(C,)")
    out = normalize_groups(x, weight, bias, groups, eps, activated=fused("group_norm", activation))
    return out.y, out.backward


def group_norm(
    x: Any,
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *,
    axis: int = 1,
    activation: Any = None,
) -> Tensor:
    """Normalise groups of neighbouring channels of each sample.

    Args:
        x: floating, shape (N, C, ...), or (N, ..., C) with ``axis=-1``.
        num_groups: divides C; the statistics are over C / num_groups channels and all positions.
        weight, bias: shape (C,), or None for 1 and 0.
        eps: added to the variance.
        axis: channel axis.
        activation: see `batch_norm`.

    Returns:
        Tensor like x.

    Source: Wu and He 2018, arXiv:1803.08494, equations 1 and 7.
    """
    return _group_norm(x, weight, bias, num_groups=num_groups, eps=eps, axis=axis, activation=activation)


@op
def instance_norm(x, weight=None, bias=None, *, axis: int = 1, eps: float = 1e-5, activation=None) -> Result:
    """Normalise each channel of each sample over its positions.

    Args:
        x: floating, shape (N, C, ...), or (N, ..., C) with ``axis=-1``.
        weight, bias: shape (C,), or None for 1 and 0.
        axis: channel axis.
        eps: added to the variance.
        activation: see `batch_norm`.

    Returns:
        Array like x.

    Raises:
        ValueError: a channel has fewer than two positions (the output would be the bias whatever the input).

    Source: Ulyanov, Vedaldi and Lempitsky 2016, arXiv:1607.08022, equation 6.
    """
    groups, shape = _split_channels("instance_norm", x, None, axis)
    _check("instance_norm", x, {"weight": weight, "bias": bias}, shape, "(C,)")
    if groups.per_mean < 2:
        raise ValueError(f"instance_norm: x needs more than one position per channel, got shape {x.shape}")
    out = normalize_groups(x, weight, bias, groups, eps, activated=fused("instance_norm", activation))
    return out.y, out.backward
