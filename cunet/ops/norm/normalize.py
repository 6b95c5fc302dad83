"""What all normalisations share: which values belong together, forward and backward.

An input is viewed so that the values which share a mean, and those which share a weight, are whole axes
(`Groups`). From there on all norms are the same.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ...device import Array, accumulator, is_gpu_array
from ...kernels import sum_to
from ...kernels.backends.cuda.rowwise import suit
from ...kernels.spec import reduced_shape
from ...kernels.tiled import Together
from .epilogue import NONE, PLAIN, Fused
from .kernels import Axes, join_moments, moments, normalize_sums, reciprocal_rms


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


@functools.lru_cache(4096)
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
    if groups.folded != tuple(range(first, len(shape))) or not length or not suit(lead, length):
        return None
    if own != list(range(own[0], own[-1] + 1)) or own[0] > first or own[-1] < first - 1:
        return None
    return Rows(len(shape) - first, (math.prod(shape[own[0] : first]), math.prod(shape[max(own[-1] + 1, first) :])))


@functools.lru_cache(4096)
def _stages(shape: tuple[int, ...], axes: Axes, on_gpu: bool) -> tuple[int, int, Axes, Axes]:
    """Say how to fold `axes` in two steps, so that many blocks work at once and sums stay short.

    Returns ``(axis, parts, first, second)``: split `axis` into `parts` (1: do not), fold the axes `first`,
    then the axes `second`; they count in the view after the split, which `_split` makes.
    """
    last = len(shape) - 1
    if last in axes:
        run = [k for k in axes if all(j in axes for j in range(k, last + 1))]
        if run[0] == 0 and len(run) > 1:
            run = run[1:]
        return 0, 1, tuple(run), tuple(k for k in axes if k not in run)
    (k,) = axes
    if k == 0 and on_gpu:  # the kernel itself does it, for any number of rows
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
    axis, parts, first, second = _stages(x.shape, axes, is_gpu_array(x))
    found = moments(_split(x, axis, parts), eps, axis=first, keepdims=True)
    if second:
        found = join_moments(found[0], found[1], eps, axis=second, keepdims=True)
    kept = reduced_shape(x.shape, axes, True)
    mean, var, rstd = (a.reshape(kept) for a in found)
    return mean, var, rstd


def normalize_sums_over(
    gy: Array, x: Array, mean: Any, rstd: Array, weight: Any, axes: Axes, kernel: Any = normalize_sums, more: Any = ()
) -> tuple[Array, Array]:
    """Return the sums of ``gy * weight`` and of ``gy * weight * (x - mean) * rstd`` over `axes`, kept.

    `kernel` and `more` arguments of it: those of `cunet.ops.norm.norms.epilogue`, for gradients behind an activation.
    """
    axis, parts, first, second = _stages(x.shape, axes, is_gpu_array(x))
    args = [_split(a, axis, parts) for a in (gy, x, mean, rstd, weight, *more)]
    found = kernel(*args, axis=first, keepdims=True)
    kept = reduced_shape(x.shape, axes, True)
    total, dot = ((sum_to.total(a, second) if second else a).reshape(kept) for a in found)
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
    x: Array,
    weight: Array | None,
    bias: Array | None,
    groups: Groups,
    eps: float,
    centred: bool = True,
    activated: Fused = NONE,
) -> Normalized:
    """Normalise `x` over `groups`, scale, shift and activate; `centred` False: divide by the RMS only."""
    if activated.apart(x):
        out = normalize_groups(x, weight, bias, groups, eps, centred)
        y, vjp = activated.alone(out.y)
        return out._replace(y=y, backward=lambda gy: out.backward(vjp(gy)[0]))
    view = x.reshape(groups.shape)
    w, b = as_factor(weight, groups.params, x, 1.0), as_factor(bias, groups.params, x, 0.0)
    mean: Any = 0.0
    var, rows = None, _rows_of(groups)
    kernels, f = activated.kernels, activated.parameters
    if rows and centred:
        y, mean, var, rstd = kernels.rows(view, w, b, eps, *f, **rows._asdict())
    elif rows:
        y, rstd = kernels.rms_rows(view, w, eps, *f, **rows._asdict())
    else:
        if centred:
            mean, var, rstd = _moments(view, groups.folded, eps)
        else:
            rstd = reciprocal_rms(view, 1 / max(1, groups.per_mean), eps, axis=groups.folded, keepdims=True)
        y = kernels.normalize(view, mean, rstd, w, b, *f)

    def backward(gy: Array) -> tuple[Any, Any, Any]:
        back = _Backward(gy.reshape(groups.shape), view, mean, rstd, w, b, groups, centred, rows, activated)
        back.trained = weight is not None or bias is not None
        return (
            lambda: back.for_x().reshape(x.shape),
            None if weight is None else lambda: back.for_param(1).reshape(weight.shape),
            None if bias is None else lambda: back.for_param(0).reshape(bias.shape),
        )

    return Normalized(y.reshape(x.shape), mean, var, rstd, backward)


class _Backward:
    """The gradients of a norm, each made when it is asked for; sums that serve several are kept."""

    trained = True  # whether weight or bias will want the sums

    def __init__(
        self,
        g: Array,
        x: Array,
        mean: Any,
        rstd: Array,
        weight: Any,
        bias: Any,
        groups: Groups,
        centred: bool,
        rows: Rows | None,
        activated: Fused,
    ) -> None:
        # Where weights are shared inside a group, one pass over the data serves its gradient and theirs.
        self.common = tuple(k for k in groups.folded if k in groups.shared)
        self.rows = rows if rows and (not self.common or is_gpu_array(g)) else None
        self.kernels, self.more = activated.kernels, (bias, *activated.parameters)
        if activated.gradient is None or not (is_gpu_array(g) or (activated.cheap and self.common)):
            # Behind an activation that is one pass more, but its derivative is found once.
            g = g if activated.gradient is None else activated.gradient(g, x, mean, rstd, weight, *self.more)
            self.kernels, self.more = PLAIN, ()
        self.data, self.weight, self.groups, self.centred = (g, x, mean, rstd), weight, groups, centred
        self.found: Any = None

    def sums(self, factor: Any, axes: Axes) -> tuple[Array, Array]:
        """Return the sums of ``g * factor`` and of ``g * factor * (x - mean) * rstd`` over `axes`, kept."""
        more = (self.weight, *self.more) if self.more else ()
        return normalize_sums_over(*self.data, factor, axes, self.kernels.sums, more)

    def cells(self) -> tuple[Array, Array]:
        """Return these sums, `factor` 1, over the axes that all gradients sum over."""
        if self.found is None:
            self.found = self.sums(1.0, self.common or self.groups.shared)
        return self.found

    def for_param(self, which: int) -> Array:
        """Return the gradient of the bias (0) or the weight (1)."""
        return _fold(self.cells()[which], self.groups.shared, self.common or self.groups.shared)

    def for_x(self) -> Array:
        """Return the gradient of x in the view."""
        if self.rows:
            return self._by_rows(self.rows)
        if self.common:
            total, dot = (
                _fold(s if type(self.weight) is float else s * self.weight, self.groups.folded, self.common)
                for s in self.cells()
            )
        else:
            total, dot = self.sums(self.weight, self.groups.folded)
        scale, total = 1 / self.groups.per_mean, total if self.centred else 0.0
        return self.kernels.backward(*self.data, self.weight, total, dot, scale, *self.more)

    def _by_rows(self, rows: Rows) -> Array:
        """Return the gradient of x where rows have their own statistics; on a CPU sum for the parameters on the way."""
        on_gpu = is_gpu_array(self.data[0])
        axis, parts, first, second = _stages(self.data[0].shape, self.groups.shared, on_gpu)
        if axis or parts == 1 or not self.trained or self.found is not None or on_gpu:
            centred = float(self.centred)
            return self.kernels.rows_backward(*self.data, self.weight, centred, *self.more, **rows._asdict())
        data, weight = [_split(a, 0, parts) for a in self.data], _split(self.weight, 0, parts)
        folded, scale = tuple(k + 1 for k in self.groups.folded), 1 / self.groups.per_mean
        with Together(data[0]) as run:
            total, dot = run(normalize_sums, *data, weight, axis=folded, keepdims=True)
            gx = run(PLAIN.backward, *data, weight, total if self.centred else 0.0, dot, scale)
            found = run(normalize_sums, *data, 1.0, axis=first, keepdims=True)
        self.found = [a.sum(axis=second).reshape(self.groups.params) for a in found]
        return gx


def _fold(a: Array, axes: Axes, done: Axes) -> Array:
    """Sum an array over those of `axes` that are not `done` yet."""
    rest = tuple(k for k in axes if k not in done)
    return sum_to.total(a, rest) if rest else a
