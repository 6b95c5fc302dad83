"""What all normalisations share.

An input is viewed so that the values which share a mean, and those which share a weight, are whole axes
(`groups`). From there on all norms are the same: `forward` and `backward`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...device import Array, accumulator, is_floating
from ...kernels.assign import reshaped
from ...system.messages import shown
from .backward import Backward
from .epilogue import NONE, Activated
from .forward import normalize
from .groups import Groups


def check_eps(who: str, eps: Any) -> None:
    """Raise TypeError unless `eps` is a number, ValueError if it is negative."""
    if not isinstance(eps, (int, float, np.number)):
        raise TypeError(f"{who}: eps must be a number, got {shown(eps)}")
    if not eps >= 0:
        raise ValueError(f"{who}: eps must not be negative, got {eps}")


def check(who: str, x: Array, params: dict[str, Array | None], shape: tuple[int, ...], symbol: str, eps: float) -> None:
    """Raise TypeError unless `x` is floating, ValueError unless `params` have the `shape` that is called `symbol`."""
    check_eps(who, eps)
    if not is_floating(x.dtype):
        raise TypeError(f"{who}: input must have a floating dtype, got {x.dtype}")
    for name, a in params.items():
        if a is not None and a.shape != shape:
            raise ValueError(f"{who}: {name} must have shape {symbol} = {shape}, got {a.shape}")


def as_factor(a: Array | None, shape: tuple[int, ...], like: Array, default: float) -> Any:
    """Return weight or bias in the arithmetic type of `like`, of a shape that broadcasts; a number for None."""
    return default if a is None else a.reshape(shape).astype(accumulator(like.dtype), copy=False)


class Normalized(NamedTuple):
    """What a norm returns: the output, statistics in the view, and the way back."""

    y: Array
    mean: Any
    var: Any
    backward: Callable[[Array], tuple[Any, Any, Any]]


def normalize_groups(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    groups: Groups,
    eps: float,
    centred: bool = True,
    activated: Activated = NONE,
) -> Normalized:
    """Normalise `x` over `groups`, scale, shift and activate; `centred` False: divide by the RMS only."""
    w, b = as_factor(weight, groups.params, x, 1.0), as_factor(bias, groups.params, x, 0.0)
    y, saved = normalize(reshaped(x, groups.shape), w, b, groups, eps, centred, activated)

    def backward(gy: Array) -> tuple[Any, Any, Any]:
        trained = weight is not None or bias is not None
        back = Backward(reshaped(gy, groups.shape), saved, groups, centred, trained)
        return (
            lambda: back.for_x().reshape(x.shape),
            None if weight is None else lambda: back.for_weight().reshape(weight.shape),
            None if bias is None else lambda: back.for_bias().reshape(bias.shape),
        )

    return Normalized(y.reshape(x.shape), saved.mean, saved.var, backward)
