"""Norms, as means and square roots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.rules import composite
from ...autograd.tracing import plain
from .. import math, reduce
from ..activation import registry
from ..array import reshape
from ..norm.batch_norm import batch_norm_inference, batch_norm_training
from ..norm.group_norm import _group_norm, _instance_norm
from ..norm.layer_norm import _layer_norm, _rms_norm

Axes = tuple[int, ...]


def _followed(y: Any, activation: Any) -> Any:
    """Return y with the activation that follows."""
    entry, options = registry.find("norm", activation)
    return y if entry is None else entry.function(y, **options)


def _scaled(y: Any, weight: Any, bias: Any, shape: Sequence[int], activation: Any) -> Any:
    y = y if weight is None else math.multiply(y, reshape(weight, shape))
    y = y if bias is None else math.add(y, reshape(bias, shape))
    return _followed(y, activation)


def _standard(x: Any, axes: Axes, eps: float, centred: bool = True) -> tuple[Any, Any, Any]:
    """Return x normalised over axes, and the mean and variance, which are kept."""
    mean = reduce.mean(x, axis=axes, keepdims=True)
    d = math.subtract(x, mean) if centred else x
    var = reduce.mean(math.square(d), axis=axes, keepdims=True)
    return math.multiply(d, math.rsqrt(math.add(var, eps))), mean, var


def _channels(x: Any, axis: int) -> tuple[Axes, list[int]]:
    """Return all axes but that of channels, and the shape of what has one number a channel."""
    axis %= x.ndim
    return tuple(k for k in range(x.ndim) if k != axis), [n if k == axis else 1 for k, n in enumerate(x.shape)]


@composite(batch_norm_training)
def _(x, weight=None, bias=None, *, axis=1, eps=1e-5, activation=None):
    axes, shape = _channels(x, axis)
    y, mean, var = _standard(x, axes, eps)
    return _scaled(y, weight, bias, shape, activation), reshape(mean, (-1,)), reshape(var, (-1,))


@composite(batch_norm_inference)
def _(x, mean, var, weight=None, bias=None, *, axis=1, eps=1e-5, activation=None):
    _, shape = _channels(x, axis)
    mean, var = (reshape(plain(a), shape) for a in (mean, var))  # without a gradient
    y = math.multiply(math.subtract(x, mean), math.rsqrt(math.add(var, eps)))
    return _scaled(y, weight, bias, shape, activation)


@composite(_layer_norm)
def _(x, weight=None, bias=None, *, normalized_shape, eps, activation):
    axes = tuple(range(x.ndim - len(normalized_shape), x.ndim))
    return _scaled(_standard(x, axes, eps)[0], weight, bias, normalized_shape, activation)


@composite(_rms_norm)
def _(x, weight=None, *, normalized_shape, eps, activation):
    axes = tuple(range(x.ndim - len(normalized_shape), x.ndim))
    if eps is None:
        eps = 2.0**-7 if x.dtype.name == "bfloat16" else float(np.finfo(x.dtype).eps)
    return _scaled(_standard(x, axes, eps, False)[0], weight, None, normalized_shape, activation)


@composite(_group_norm)
def _(x, weight=None, bias=None, *, num_groups, eps, axis, activation):
    axis %= x.ndim
    channels = x.shape[axis]
    count = channels if num_groups is None else num_groups
    view = reshape(x, (*x.shape[:axis], count, channels // count, *x.shape[axis + 1 :]))
    y, _, _ = _standard(view, tuple(k for k in range(1, view.ndim) if k != axis), eps)
    return _scaled(reshape(y, x.shape), weight, bias, _channels(x, axis)[1], activation)


@composite(_instance_norm)
def _(x, weight=None, bias=None, *, axis, eps, activation):
    axis %= x.ndim
    y, _, _ = _standard(x, tuple(k for k in range(1, x.ndim) if k != axis), eps)
    return _scaled(y, weight, bias, _channels(x, axis)[1], activation)
