"""Which values of an input share statistics, and which share parameters: views in which those are whole axes."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

from ...device import Array
from ...kernels.axes import reduced_shape
from ...kernels.backends.cuda import tuning as settings
from .statistics import Axes


class Groups(NamedTuple):
    """An input seen so that what shares statistics, and what shares parameters, are whole axes.

    Attributes:
        shape: of the input in this view.
        folded: axes over which statistics are taken.
        shared: axes along which weight and bias are the same.
        common: axes along which both are: one pass over them serves the gradients of x and of the parameters.
        params: shape of weight and bias.
        per_mean: number of values in each mean.
    """

    shape: tuple[int, ...]
    folded: Axes
    shared: Axes
    common: Axes
    params: tuple[int, ...]
    per_mean: int


@functools.lru_cache(4096)
def groups_of(*dims: tuple[int, bool, bool]) -> Groups:
    """Make a view of (length, folded, shared) axes; those of length 1 are left out: they cost index arithmetic."""
    kept = [d for d in dims if d[0] != 1]
    if not any(folded for _, folded, _ in kept):
        kept.append((1, True, True))
    if not any(shared for _, _, shared in kept):
        kept.insert(0, (1, False, True))
    shape = tuple(length for length, _, _ in kept)
    folded = tuple(k for k, (_, folded, _) in enumerate(kept) if folded)
    shared = tuple(k for k, (_, _, shared) in enumerate(kept) if shared)
    common, per_mean = tuple(k for k in folded if k in shared), math.prod(shape[k] for k in folded)
    return Groups(shape, folded, shared, common, reduced_shape(shape, shared, True), per_mean)


class Rows(NamedTuple):
    """Groups as rows of neighbours: what rowwise kernels take beside the arrays."""

    axes: int
    cells: tuple[int, int]


@functools.lru_cache(4096)
def rows_of(groups: Groups) -> Rows | None:
    """Return how each group is a row with parameters of its own or common ones; None if not, or if rows are few."""
    shape, first = groups.shape, min(groups.folded)
    rowwise = settings.tuning
    own = [k for k in range(len(shape)) if k not in groups.shared] or [len(shape)]
    lead, length = math.prod(shape[:first]), math.prod(shape[first:])
    if (
        groups.folded != tuple(range(first, len(shape)))
        or not length
        or (lead < rowwise.many_rows and length > rowwise.long_row)
    ):
        return None
    if own != list(range(own[0], own[-1] + 1)) or own[0] > first or own[-1] < first - 1:
        return None
    return Rows(len(shape) - first, (math.prod(shape[own[0] : first]), math.prod(shape[max(own[-1] + 1, first) :])))


def _has(x: Array, axis: Any) -> bool:
    return isinstance(axis, int) and -x.ndim <= axis < x.ndim


def by_channel(who: str, x: Array, axis: int) -> tuple[Groups, tuple[int, ...]]:
    """Return the view of batch norm, and the shape (C,) of what it has one of per channel.

    Raises:
        ValueError: `x` has not 2 to 5 axes, or not this one.
    """
    if not 2 <= x.ndim <= 5:
        raise ValueError(f"{who}: input must have 2 to 5 axes, got shape {x.shape}")
    if not _has(x, axis):
        raise ValueError(f"{who}: axis {axis!r} does not exist for shape {x.shape}")
    axis %= x.ndim
    before, channels, after = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    return groups_of((before, True, True), (channels, False, False), (after, True, True)), (channels,)


def by_sample(who: str, x: Array, shape: tuple[int, ...]) -> Groups:
    """Return the view of layer norm over the trailing axes of this `shape`.

    Raises:
        ValueError: `x` does not end with them.
    """
    if not shape or x.shape[-len(shape) :] != shape or math.prod(shape) == 0:
        raise ValueError(f"{who}: input must end with the axes normalized_shape = {shape}, got shape {x.shape}")
    lead = math.prod(x.shape[: x.ndim - len(shape)])
    return groups_of((lead, False, True), (math.prod(shape), True, False))


def by_channel_group(who: str, x: Array, num_groups: int | None, axis: int) -> tuple[Groups, tuple[int, ...]]:
    """Return the view of group norm (None: one group per channel), and the shape (C,) of its parameters.

    Raises:
        ValueError: there is no such axis, or the groups do not divide the channels.
    """
    if x.ndim < 2 or not _has(x, axis) or axis % x.ndim == 0:
        raise ValueError(
            f"{who}: input must be (N, ...) with a channel axis other than 0, got axis {axis!r}, shape {x.shape}"
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
