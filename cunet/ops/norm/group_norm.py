"""Group norm and instance norm: over groups of channels of each sample."""

from __future__ import annotations

from typing import Any

from ...autograd.op import Result, op
from ...autograd.tensor import Tensor
from .epilogue import activated
from .groups import by_channel_group
from .normalize import check, normalize_groups


@op
def _group_norm(x, weight=None, bias=None, *, num_groups, eps, axis, activation) -> Result:
    groups, shape = by_channel_group("group_norm", x, num_groups, axis)
    check("group_norm", x, {"weight": weight, "bias": bias}, shape, "(C,)", eps)
    out = normalize_groups(x, weight, bias, groups, eps, activated=activated("group_norm", activation))
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
    groups, shape = by_channel_group("instance_norm", x, None, axis)
    check("instance_norm", x, {"weight": weight, "bias": bias}, shape, "(C,)", eps)
    if groups.per_mean < 2:
        raise ValueError(f"instance_norm: x needs more than one position per channel, got shape {x.shape}")
    out = normalize_groups(x, weight, bias, groups, eps, activated=activated("instance_norm", activation))
    return out.y, out.backward
