"""Samples drawn from a stream, the same on every device: classes, zeros and ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import Array, array_module, is_array, is_floating, like
from .generator import Generator, default_generator


def categorical(
    logits: Any, axis: int = -1, shape: int | tuple[int, ...] = (), generator: Generator | None = None
) -> Array:
    """Draw classes whose probabilities are ``softmax(logits)``.

    The class is the first of which the sum of probabilities up to it is above a number in [0, 1). These numbers are
    drawn on the CPU, so that every device draws the same classes. The logarithm of the probability of what was drawn is
    a negative cross-entropy.

    Args:
        logits: Tensor or array with an axis of classes; -inf is never drawn.
        axis: the axis of classes.
        shape: how many draws of each, a number or several, as leading axes of the result.
        generator: where numbers are drawn from; by default the stream "sampling" of `manual_seed`.

    Returns:
        An array of int64 on the device of `logits`, of shape `shape` and that of `logits` without `axis`.

    Raises:
        ValueError: a row of logits holds NaN or +inf, or nothing above -inf; on a GPU finding that out waits for it.

    Example:
        >>> logits = cunet.tensor(np.zeros((4, 3)), requires_grad=True)
        >>> actions = cunet.random.categorical(logits)
        >>> reward = np.where(actions == 2, 1.0, 0.0)
        >>> log_prob = -F.cross_entropy(logits, actions, reduction="none")
        >>> (-log_prob * reward).mean().backward()  # a step of REINFORCE
        >>> actions.shape, logits.grad.shape
        ((4,), (4, 3))
    """
    scores = _array(logits)
    xp = array_module(scores)
    rows = xp.moveaxis(scores.astype(np.float64), axis, -1)
    if not rows.shape[-1]:
        raise ValueError(f"categorical: logits must have a class along axis {axis}, got shape {scores.shape}")
    with np.errstate(all="ignore"):  # inf - inf is looked at below
        total = xp.cumsum(xp.exp(rows - rows.max(axis=-1, keepdims=True)), axis=-1)
    if not bool(xp.isfinite(total).all()):
        raise ValueError("categorical: each row of logits must have a finite largest value, got nan or inf")
    u = _uniform(generator, shape, rows.shape[:-1], scores)
    return (total <= (u * total[..., -1])[..., None]).sum(axis=-1)


def bernoulli(p: Any, shape: int | tuple[int, ...] = (), generator: Generator | None = None) -> Array:
    """Draw 1 with probability `p`, else 0; the same on every device.

    Args:
        p: Tensor, array or number, in [0, 1].
        shape: how many draws of each, a number or several, as leading axes of the result.
        generator: where numbers are drawn from; by default the stream "sampling" of `manual_seed`.

    Returns:
        An array of 0 and 1 on the device of `p`, of shape `shape` and that of `p`, in the dtype of a floating array
        `p`, else float32.

    Raises:
        ValueError: a probability is outside [0, 1]; on a GPU finding that out waits for it.

    Example:
        >>> cunet.random.bernoulli(np.array([0.0, 0.25, 0.75, 1.0]), shape=(3,))
        array([[0., 0., 1., 1.],
               [0., 0., 1., 1.],
               [0., 0., 1., 1.]])
    """
    chances = _array(p)
    if not bool(((chances >= 0) & (chances <= 1)).all()):
        raise ValueError(f"bernoulli: p must be in [0, 1] everywhere, got {chances.min()} to {chances.max()}")
    hit = _uniform(generator, shape, chances.shape, chances) < chances
    return hit.astype(chances.dtype if is_floating(chances.dtype) and hasattr(p, "dtype") else np.float32)


def _array(x: Any) -> Array:
    """Return an array, that of a Tensor, or one of a number or a list."""
    x = x if is_array(x) else getattr(x, "data", x)
    return x if is_array(x) else np.asarray(x)


def _uniform(
    generator: Generator | None, draws: int | tuple[int, ...], shape: tuple[int, ...], reference: Array
) -> Array:
    """Return float64 numbers in [0, 1) on the device of `reference`, an array of this `shape` for each draw."""
    leading = (draws,) if isinstance(draws, (int, np.integer)) else tuple(draws)
    return like((generator or default_generator("sampling")).rng().random((*leading, *shape)), reference)
