"""Layer norm and RMS norm: over the trailing axes of each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.op import Result, op
from ...autograd.tensor import Tensor
from .epilogue import activated
from .groups import by_sample
from .normalize import check, normalize_groups


def as_shape(shape: Any) -> tuple[int, ...]:
    """Return a shape given as a sequence or one int as a tuple."""
    return tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)


@op
def _layer_norm(x, weight=None, bias=None, *, normalized_shape, eps, activation) -> Result:
    groups = by_sample("layer_norm", x, normalized_shape)
    check("layer_norm", x, {"weight": weight, "bias": bias}, normalized_shape, "normalized_shape", eps)
    out = normalize_groups(x, weight, bias, groups, eps, activated=activated("layer_norm", activation))
    return out.y, out.backward


def layer_norm(
    input: Any,
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
        input: floating, shape (..., *normalized_shape).
        normalized_shape: lengths of the trailing axes, or one int.
        weight, bias: shape normalized_shape, or None for 1 and 0.
        eps: added to the variance.
        activation: see `batch_norm`.

    Returns:
        Tensor like `input`.

    Raises:
        ValueError: `input` does not end with the axes `normalized_shape`, or weight or bias has another shape.
        TypeError: `input` is not of floating dtype.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450, equation 3.

    Example:
        >>> x = cunet.tensor([[1.0, 3.0], [10.0, 30.0]])
        >>> F.layer_norm(x, 2).round(4)
        Tensor([[-1.,  1.],
                [-1.,  1.]])
        >>> F.layer_norm(x, 2, activation="relu").round(4)
        Tensor([[0., 1.],
                [0., 1.]])
    """
    return _layer_norm(input, weight, bias, normalized_shape=as_shape(normalized_shape), eps=eps, activation=activation)


@op
def _rms_norm(x, weight=None, *, normalized_shape, eps, activation) -> Result:
    groups = by_sample("rms_norm", x, normalized_shape)
    check("rms_norm", x, {"weight": weight}, normalized_shape, "normalized_shape", 0.0 if eps is None else eps)
    if eps is None:
        eps = 2.0**-7 if x.dtype.name == "bfloat16" else float(np.finfo(x.dtype).eps)
    out = normalize_groups(x, weight, None, groups, eps, False, activated("rms_norm", activation))
    return out.y, lambda gy: out.backward(gy)[:2]


def rms_norm(
    input: Any,
    normalized_shape: int | Sequence[int],
    weight: Any = None,
    eps: float | None = None,
    *,
    activation: Any = None,
) -> Tensor:
    """Divide each sample by the root mean square over its trailing axes.

    ``y = x / sqrt(mean(x**2) + eps) * weight``

    Args:
        input: floating, shape (..., *normalized_shape).
        normalized_shape: lengths of the trailing axes, or one int.
        weight: shape normalized_shape, or None for 1.
        eps: added to the mean square; None: the spacing of x's dtype at 1, as in PyTorch.
        activation: see `batch_norm`.

    Returns:
        Tensor like `input`.

    Raises:
        ValueError: `input` does not end with the axes `normalized_shape`, or the weight has another shape.
        TypeError: `input` is not of floating dtype.

    Source: Zhang and Sennrich 2019, arXiv:1910.07467, equation 4.

    Example:
        >>> F.rms_norm(cunet.tensor([[3.0, 4.0], [30.0, 40.0]]), 2).round(4)
        Tensor([[0.8485, 1.1314],
                [0.8485, 1.1314]])
    """
    return _rms_norm(input, weight, normalized_shape=as_shape(normalized_shape), eps=eps, activation=activation)
