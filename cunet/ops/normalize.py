"""What all normalisations share: which values belong together, forward and backward.

An input is viewed so that the values which share a mean, and those which share a weight, are whole axes
(`Groups`). From there on all norms are the same.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import sums
from ..backend import Array, accumulator, is_gpu_array
from ..kernels import reduced_shape
from .norm_kernels import (
    Axes,
    join_moments,
    moments,
    norm_rows,
    norm_rows_backward,
    normalize,
    normalize_backward,
    normalize_sums,
    reciprocal_rms,
    rms_rows,
)


class Groups(NamedTuple):
    """An input seen so that what shares statistics, and what shares parameters, are whole axes."""

    shape: tuple[int, ...]
    folded: Axes  # axes over which statistics are taken
    shared: Axes  # axes along which weight and bias are the same

    @property
    def params(self) -> tuple[int, ...]:
        """Shape of weight and bias in this view."""
        return reduced_shape(self.shape, self.shared, True)

    @property
    def per_mean(self) -> int:
        """Number of values in each mean."""
        return math.prod(self.shape[k] for k in self.folded)


def groups_of(*dims: tuple[int, bool, bool]) -> Groups:
    """Make a view of (length, folded, shared) axes; those of length 1 are left out: they cost index arithmetic."""
    kept = [d for d in dims if d[0] != 1]
    if not any(folded for _, folded, _ in kept):
        kept.append((1, True, True))
    if not any(shared for _, _, shared in kept):
        kept.insert(0, (1, False, True))
    return Groups(
        tuple(length for length, _, _ in kept),
        tuple(k for k, (_, folded, _) in enumerate(kept) if folded),
        tuple(k for k, (_, _, shared) in enumerate(kept) if shared),
    )


class Rows(NamedTuple):
    """Groups as rows of neighbours: what the kernels of `cunet.rowwise` take beside the arrays."""

    axes: int
    cells: tuple[int, int]


def _rows_of(groups: Groups) -> Rows | None:
    """Return how each group is a row with parameters of its own or common ones; None if not, or if rows are few."""
    shape, first = groups.shape, min(groups.folded)
    own = [k for k in range(len(shape)) if k not in groups.shared] or [len(shape)]
    lead, length = math.prod(shape[:first]), math.prod(shape[first:])
    if groups.folded != tuple(range(first, len(shape))) or not length or (lead < 64 and length > 8192):
        return None
    if own != list(range(own[0], own[-1] + 1)) or own[0] > first or own[-1] < first - 1:
        return None
    return Rows(len(shape) - first, (math.prod(shape[own[0] : first]), math.prod(shape[max(own[-1] + 1, first) :])))


def _stages(x: Array, axes: Axes) -> tuple[int, int, Axes, Axes]:
    """Say how to fold `axes` in two steps, so that many blocks work at once and sums stay short.

    Returns ``(axis, parts, first, second)``: split `axis` into `parts` (1: do not), fold the axes `first`,
    then the axes `second`; they count in the view after the split, which `_split` makes.
    """
    shape, last = x.shape, x.ndim - 1
    if last in axes:
        run = [k for k in axes if all(j in axes for j in range(k, last + 1))]
        if run[0] == 0 and len(run) > 1:
            run = run[1:]
        return 0, 1, tuple(run), tuple(k for k in axes if k not in run)
    (k,) = axes
    if k == 0 and is_gpu_array(x):  # the kernel itself does it, for any number of rows
        return 0, 1, axes, ()
    wanted = min(256, math.prod(shape[k:]) >> 15)
    parts = math.gcd(shape[k], 1 << wanted.bit_length() >> 1) if wanted else 1
    return (k, parts, (k + 1,), (k,)) if parts > 1 else (0, 1, axes, ())


def _split(a: Any, axis: int, parts: int) -> Any:
    """Split an axis of an array into (parts, length / parts), one of length 1 into (1, 1)."""
    if parts == 1 or not hasattr(a, "shape"):
        return a
    length = a.shape[axis]
    cut = (1, 1) if length == 1 else (parts, length // parts)
    return a.reshape(*a.shape[:axis], *cut, *a.shape[axis + 1 :])


def _moments(x: Array, axes: Axes, eps: float) -> tuple[Array, Array, Array]:
    """Return mean, variance (divided by the count) and ``1 / sqrt(variance + eps)``, axes kept."""
    axis, parts, first, second = _stages(x, axes)
    found = moments(_split(x, axis, parts), eps, axis=first, keepdims=True)
    if second:
        found = join_moments(found[0], found[1], eps, axis=second, keepdims=True)
    kept = reduced_shape(x.shape, axes, True)
    mean, var, rstd = (a.reshape(kept) for a in found)
    return mean, var, rstd


def normalize_sums_over(gy: Array, x: Array, mean: Any, rstd: Array, weight: Any, axes: Axes) -> tuple[Array, Array]:
    """Return the sums of ``gy * weight`` and of ``gy * weight * (x - mean) * rstd`` over `axes`, kept."""
    axis, parts, first, second = _stages(x, axes)
    args = [_split(a, axis, parts) for a in (gy, x, mean, rstd, weight)]
    found = normalize_sums(*args, axis=first, keepdims=True)
    kept = reduced_shape(x.shape, axes, True)
    total, dot = ((sums.total(a, second) if second else a).reshape(kept) for a in found)
    return total, dot


def as_factor(a: Array | None, shape: tuple[int, ...], like: Array, default: float) -> Any:
    """Return weight or bias in the arithmetic type of `like`, of a shape that broadcasts; a number for None."""
    return default if a is None else a.reshape(shape).astype(accumulator(like.dtype), copy=False)


class Normalized(NamedTuple):
    """What the forward pass of a norm leaves: the output, statistics in the view, and the way back."""

    y: Array
    mean: Any
    var: Any
    rstd: Array
    backward: Callable[[Array], tuple[Any, Any, Any]]


def normalize_groups(
    x: Array, weight: Array | None, bias: Array | None, groups: Groups, eps: float, centred: bool = True
) -> Normalized:
    """Normalise `x` over `groups`, scale and shift; `centred` False: divide by the RMS only."""
    view = x.reshape(groups.shape)
    mean: Any = 0.0
    var, rows = None, _rows_of(groups)
    w, b = as_factor(weight, groups.params, x, 1.0), as_factor(bias, groups.params, x, 0.0)
    if rows and centred:
        y, mean, var, rstd = norm_rows(view, w, b, eps, **rows._asdict())
    elif rows:
        y, rstd = rms_rows(view, w, eps, **rows._asdict())
    else:
        if centred:
            mean, var, rstd = _moments(view, groups.folded, eps)
        else:
            rstd = reciprocal_rms(view, 1 / max(1, groups.per_mean), eps, axis=groups.folded, keepdims=True)
        y = normalize(view, mean, rstd, w, b)
    y = y.reshape(x.shape)

    def backward(gy: Array) -> tuple[Any, Any, Any]:
        g = gy.reshape(groups.shape)
        common = tuple(k for k in groups.folded if k in groups.shared)
        # Where weights are shared inside a group, one pass over the data serves its gradient and theirs.
        cells = functools.cache(lambda: normalize_sums_over(g, view, mean, rstd, 1.0, common or groups.shared))

        def for_x() -> Array:
            if rows and (not common or is_gpu_array(g)):
                return norm_rows_backward(g, view, mean, rstd, w, float(centred), **rows._asdict()).reshape(x.shape)
            if common:
                total, dot = (_fold(s if weight is None else s * w, groups.folded, common) for s in cells())
            else:
                total, dot = normalize_sums_over(g, view, mean, rstd, w, groups.folded)
            gx = normalize_backward(g, view, mean, rstd, w, total if centred else 0.0, dot, 1 / groups.per_mean)
            return gx.reshape(x.shape)

        def for_param(which: int, param: Array) -> Array:
            return _fold(cells()[which], groups.shared, common or groups.shared).reshape(param.shape)

        return (
            for_x,
            None if weight is None else lambda: for_param(1, weight),
            None if bias is None else lambda: for_param(0, bias),
        )

    return Normalized(y, mean, var, rstd, backward)


def _fold(a: Array, axes: Axes, done: Axes) -> Array:
    """Sum an array over those of `axes` that are not `done` yet."""
    rest = tuple(k for k in axes if k not in done)
    return sums.total(a, rest) if rest else a
