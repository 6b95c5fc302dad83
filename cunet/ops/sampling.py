"""Samples through which a gradient goes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import array_module, like
from ..random import Generator, default_generator
from .math import add, multiply
from .softmax import check_floating, softmax


def gumbel_softmax(
    logits: Any, tau: float = 1.0, hard: bool = False, *, axis: int = -1, generator: Generator | None = None
) -> Tensor:
    """Draw from classes with probabilities ``softmax(logits)``, softly: ``softmax((logits + g) / tau)``.

    The largest element is where `cunet.random.categorical` could have drawn; the smaller `tau`, the nearer it is to 1.

    Args:
        logits: floating, any shape.
        tau: temperature, > 0.
        hard: give 1 for the largest and 0 for all others (to rounding), with the gradient of the soft sample.
        axis: the axis of classes.
        generator: where the noise g, of Gumbel's distribution, is drawn from, on the CPU; by default the stream
            "sampling" of `cunet.manual_seed`.

    Raises:
        ValueError: `tau` is not positive.
        TypeError: `logits` are not floating.

    Source: Jang, Gu, Poole 2017, arXiv:1611.01144, equation 2; Maddison, Mnih, Teh 2017, arXiv:1611.00712.
    """
    if not tau > 0:
        raise ValueError(f"gumbel_softmax: tau must be positive, got {tau}")
    data = logits.data if isinstance(logits, Tensor) else logits
    check_floating("gumbel_softmax", data, "logits")
    noise = (generator or default_generator("sampling")).rng().gumbel(size=data.shape)
    noise = like(np.asarray(noise).astype(data.dtype), data)
    y = softmax(multiply(add(logits, noise), 1 / tau), axis=axis)
    if not hard:
        return y
    xp = array_module(data)
    classes = xp.arange(data.shape[axis]).reshape([-1 if k == axis % data.ndim else 1 for k in range(data.ndim)])
    chosen = xp.expand_dims(y.data.argmax(axis=axis), axis) == classes
    return add(y, chosen.astype(data.dtype) - y.data)
