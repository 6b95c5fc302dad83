"""Group norm, and instance norm by the input: over groups of channels of each sample."""

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
    input: Any,
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
        input: floating, shape (N, C, ...), or (N, ..., C) with ``axis=-1``.
        num_groups: divides C; the statistics are over C / num_groups channels and all positions.
        weight, bias: shape (C,), or None for 1 and 0.
        eps: added to the variance.
        axis: channel axis.
        activation: see `batch_norm`.

    Returns:
        Tensor like `input`.

    Raises:
        ValueError: `num_groups` does not divide C, or shapes do not fit.
        TypeError: `input` is not of floating dtype.

    Source: Wu and He 2018, arXiv:1803.08494, equations 1 and 7.

    Example:
        >>> F.group_norm(cunet.tensor([[1.0, 3.0, 10.0, 30.0]]), 2).round(4)
        Tensor([[-1.,  1., -1.,  1.]])
        >>> F.group_norm(cunet.tensor([[1.0, 3.0, 10.0, 30.0]]), 1).round(4)
        Tensor([[-0.872 , -0.6976, -0.0872,  1.6569]])
    """
    return _group_norm(input, weight, bias, num_groups=num_groups, eps=eps, axis=axis, activation=activation)


@op
def _instance_norm(x, weight=None, bias=None, *, axis, eps, activation) -> Result:
    groups, shape = by_channel_group("instance_norm", x, None, axis)
    check("instance_norm", x, {"weight": weight, "bias": bias}, shape, "(C,)", eps)
    if groups.per_mean < 2:
        raise ValueError(f"instance_norm: input needs more than one position per channel, got shape {x.shape}")
    out = normalize_groups(x, weight, bias, groups, eps, activated=activated("instance_norm", activation))
    return out.y, out.backward
