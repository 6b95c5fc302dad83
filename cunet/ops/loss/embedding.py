"""Losses that draw vectors together and apart: cosine_embedding_loss, triplet_margin_loss.

A hinge at its margin has the gradient of before it, as in `margin`. Half types are computed in float32 throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autograd.op import Result, op
from ...autograd.tensor import Tensor, array_of, as_array
from ...device import Array, accumulator, array_module
from ...kernels import elementwise
from ...kernels.capture import done
from ...kernels.sum_to import sum_over
from ..distance import check_order, norm, pairwise_distance
from ..operands import lifted
from ..selection import minimum
from .margin import check_signs, margin_ranking_loss
from .regression import as_same, check_reduction, reduce_loss, spread_gradient

_EPS = 1e-6  # whose square is added to each squared length


def _lengths(x: Array) -> tuple[Array, Array]:
    """Return vectors over their length, and the lengths: those of the vectors with `_EPS` as one component more."""
    length = array_module(x).hypot(norm(x, 2, (x.ndim - 1,)), _EPS)
    return x / length, length


# From `apart`, which is 1 - cosine.
@elementwise(
    "T apart, T t, A margin",
    "T loss, T slope",
    """A z = (1 - apart) - margin;
    loss = t == 1 ? apart : t != -1 ? log(A(-1)) : z < 0 ? A(0) : z;
    slope = t == 1 ? A(1) : t != -1 ? log(A(-1)) : z < 0 ? A(0) : A(-1)""",
)
def cosine_hinge(apart, t, margin):
    z = (1 - apart) - margin
    loss = np.where(t == 1, apart, np.where(t == -1, np.maximum(z, 0), np.nan))
    return loss, np.where(t == 1, 1, np.where(t == -1, np.where(z < 0, 0, -1), np.nan)).astype(apart.dtype)


@op(arrays=3)
def cosine_embedding_loss(input1, input2, target, margin: float = 0.0, reduction: str = "mean") -> Result:
    """Return ``1 - c`` where `target` is 1, ``max(0, c - margin)`` where it is -1, for the cosine c of two vectors.

    ``1 - c`` is found from the difference of the two, so that it is right where they are nearly the same. Squared
    lengths have 1e-12 added, as in PyTorch: that of a vector of 0 has a gradient.

    Args:
        input1, input2: shape (N, D), or (D,); at least one floating. Both get a gradient.
        target: 1 where the two vectors belong together, -1 where not: (N,), or (); gets no gradient.
        margin: the cosine up to which vectors that do not belong together cost nothing; -1 to 1.
        reduction: "mean" over all pairs, "sum", or "none".

    Raises:
        ValueError: shapes that do not fit, an unknown reduction, or on the CPU a target that is neither 1 nor -1 (on
            the GPU, where asking would make the host wait, its loss and gradient are NaN).
        TypeError: neither input is of floating dtype.

    Example:
        >>> x = cunet.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
        >>> y = cunet.tensor([[5.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
        >>> F.cosine_embedding_loss(x, y, [1, 1, -1], reduction="none").round(4)
        Tensor([0. , 1. , 0.6])
    """
    who = "cosine_embedding_loss"
    check_reduction(who, reduction)
    x1, x2 = as_same(who, input1=input1, input2=input2)
    t = as_array(target)
    if x1.ndim not in (1, 2) or t.shape != x1.shape[:-1]:
        raise ValueError(
            f"{who}: inputs must have shape (N, D) and target (N,), or (D,) and (), got {x1.shape} and {t.shape}"
        )
    check_signs(who, t)
    dtype, axis = x1.dtype, (x1.ndim - 1,)
    wide = accumulator(dtype)
    (u1, length1), (u2, length2) = (_lengths(x.astype(wide, copy=False)) for x in (x1, x2))
    t = t.astype(wide, copy=False)[..., None]
    gap = u1 - u2
    apart = (sum_over(gap * gap, axis) + (_EPS / length1) ** 2 + (_EPS / length2) ** 2) / 2  # 1 - cosine
    loss, slope = cosine_hinge(apart, t, margin)
    divisor = loss.size if reduction == "mean" else 1

    def vjp(gy):
        g = spread_gradient(gy if not gy.ndim else gy[..., None], dtype, divisor) * slope
        return lambda: g * (gap - u1 * apart) / length1, lambda: g * (-gap - u2 * apart) / length2, None

    return reduce_loss(loss.reshape(loss.shape[:-1]), dtype, reduction, divisor), vjp


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Any, Any], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Return ``max(0, distance(anchor, positive) - distance(anchor, negative) + margin)``.

    Args:
        anchor, positive, negative: what `distance_function` takes: something, what belongs to it, and what does not.
        distance_function: of two of them, the distances of all pairs, of one shape; `pairwise_distance` by default.
        margin: by how much what does not belong shall be farther; above 0.
        swap: whether the distance of `positive` and `negative` counts where that of `anchor` and `negative` is larger.
        reduction: "mean" over all pairs, "sum", or "none".

    Raises:
        ValueError: margin is not above 0, an unknown reduction, or shapes that differ.

    Source: Balntas et al. 2016, "Learning local feature descriptors with triplets and shallow convolutional neural
        networks", section 3 (swap: section 3.2).

    Example:
        >>> anchor, near, far = cunet.tensor([[2.0, 0.0]]), cunet.tensor([[1.0, 0.0]]), cunet.tensor([[0.0, 1.0]])
        >>> def by_angle(x, y):
        ...     return 1 - F.cosine_similarity(x, y)
        >>> F.triplet_margin_with_distance_loss(anchor, near, far, distance_function=by_angle, margin=1.5)
        Tensor(0.5)
    """
    who = "triplet_margin_with_distance_loss"
    return _triplet(who, (anchor, positive, negative), distance_function or pairwise_distance, margin, swap, reduction)


def _triplet(
    who: str, things: tuple[Any, Any, Any], between: Callable[[Any, Any], Tensor], margin: float, swap: bool, how: str
) -> Tensor:
    check_reduction(who, how)
    if not margin > 0:
        raise ValueError(f"{who}: margin must be above 0, got {margin}")
    anchor, positive, negative = things
    near, far = between(anchor, positive), between(anchor, negative)
    if swap:
        far = minimum(far, between(positive, negative))
    if near.shape != far.shape:
        raise ValueError(f"{who}: both distances must have the same shape, got {near.shape} and {far.shape}")
    behind = done(array_module(array_of(near)).full, near.shape, -1, near.dtype)
    return margin_ranking_loss(near, far, behind, margin, how)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Return ``max(0, distance(anchor, positive) - distance(anchor, negative) + margin)``, distances by a norm.

    Args:
        anchor, positive, negative: shape (..., D) of vectors, one shape; floating. All get a gradient.
        margin: by how much `negative` shall be farther; above 0.
        p, eps: see `pairwise_distance`.
        swap, reduction: see `triplet_margin_with_distance_loss`.

    Raises:
        ValueError: the shapes differ, margin is not above 0, p is below 0, or an unknown reduction.
        TypeError: an array is not of floating dtype.

    Source: Balntas et al. 2016, "Learning local feature descriptors with triplets and shallow convolutional neural
        networks", section 3.

    Example:
        >>> anchor, near, far = cunet.tensor([[0.0, 0.0]]), cunet.tensor([[0.0, 1.0]]), cunet.tensor([[0.0, 1.5]])
        >>> F.triplet_margin_loss(anchor, near, far).round(4)
        Tensor(0.5)
        >>> F.triplet_margin_loss(anchor, near, far, margin=0.5).round(4)
        Tensor(0.)
    """
    who = "triplet_margin_loss"
    check_order(who, p)
    things = (anchor, positive, negative)
    shapes = [lifted(x).shape for x in things]
    if len({*shapes}) > 1:
        raise ValueError(f"{who}: anchor, positive and negative must have the same shape, got {shapes}")
    return _triplet(who, things, lambda x, y: pairwise_distance(x, y, p, eps), margin, swap, reduction)
