"""Norms and dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...device import accumulator
from ...ops import math as arithmetic
from ...ops import reduce
from ...ops.array import reshape
from ...ops.norm.layer_norm import layer_norm, rms_norm
from ...ops.norm.running import batch_norm
from ..reading import need, reads


@reads("BatchNormalization")
def _(x, scale, bias, mean, var, epsilon=1e-5, momentum=0.9, training_mode=0, spatial=1, results=1):
    need(not training_mode and spatial == 1, "BatchNormalization: training_mode must be 0; its statistics are fixed")
    return batch_norm(x, mean, var, scale, bias, eps=epsilon)


@reads("InstanceNormalization")
def _(x, scale, bias, epsilon=1e-5):
    return _standardised(x, range(2, x.ndim), epsilon) * _across(scale, x.ndim) + _across(bias, x.ndim)


@reads("GroupNormalization")
def _(x, scale, bias, epsilon=1e-5, num_groups=1, stash_type=1, opset=21):
    flat = reshape(x, (x.shape[0], num_groups, -1))
    y = _standardised(flat, (2,), epsilon)
    if opset >= 21:
        return reshape(y, x.shape) * _across(scale, x.ndim) + _across(bias, x.ndim)
    return reshape(y * _across(scale, 3) + _across(bias, 3), x.shape)  # one number for each group


def _standardised(x: Any, axes: Any, eps: float) -> Any:
    d = x - reduce.mean(x, tuple(axes), True)
    return d / arithmetic.sqrt(reduce.mean(d * d, tuple(axes), True) + eps)


def _across(weight: Any, ndim: int) -> Any:
    return reshape(weight, (-1, *[1] * (ndim - 2)))


@reads("LayerNormalization")
def _(x, scale, bias=None, axis=-1, epsilon=1e-5, stash_type=1, results=1):
    k = axis % x.ndim
    shape = x.shape[k:]
    if results == 1 and scale.shape == shape and (bias is None or bias.shape == shape):
        return layer_norm(x, shape, scale, bias, epsilon)
    axes = tuple(range(k, x.ndim))
    wide = x.astype(accumulator(x.dtype))
    mean = reduce.mean(wide, axes, True)
    d = wide - mean
    inverse = arithmetic.rsqrt(reduce.mean(d * d, axes, True) + epsilon)
    y = (d * inverse).astype(x.dtype) * scale
    return [y if bias is None else y + bias, mean, inverse][:results]


@reads("RMSNormalization")
def _(x, scale, axis=-1, epsilon=1e-5, stash_type=1):
    shape = x.shape[axis % x.ndim :]
    if scale.shape == shape:
        return rms_norm(x, shape, scale, epsilon)
    return rms_norm(reshape(x, (*x.shape[: axis % x.ndim], math.prod(shape))), math.prod(shape), None, epsilon).reshape(
        x.shape
    ) * scale  # fmt: skip


@reads("Dropout", settings=(1, 2))
def _(x, ratio=None, training_mode=None, seed=None, is_test=1, results=1):
    need(training_mode is None or not bool(training_mode.data), "Dropout: training_mode must be false")
    return x if results == 1 else (x, np.ones(x.shape, np.bool_))
