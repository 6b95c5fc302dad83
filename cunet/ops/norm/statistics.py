"""The first step of a norm: mean, variance and ``1 / sqrt(variance + eps)`` of the values that belong together.

Statistics are of type ``A``: kept in float32 for half types. Reductions are always called with
``keepdims=True`` and with their axes in a sorted tuple.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ...device import Array
from ...kernels import TwoPass, primitive, reduction
from ...kernels.axes import reduced_shape
from ...kernels.backends.numpy import tuning as settings
from ...kernels.spec import Fold

Axes = tuple[int, ...]

PAIR_CUDA = """
struct pair_state {
  A first, second;
  __device__ pair_state() : first(0), second(0) {}
  __device__ pair_state(A first_, A second_) : first(first_), second(second_) {}
};
__device__ inline pair_state pair_join(const pair_state& p, const pair_state& q) {
  return pair_state(p.first + q.first, p.second + q.second);
}
"""

# Count, mean and sum of squared deviations of some values, and of two sets of values joined
# (Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance", equation 1.5). What rounding
# takes from the mean is kept in `low`: without it a mean of 4096 stops moving after a few hundred values.
_MOMENTS_CUDA = """
struct moment_state {
  A count, mean, low, spread;
  __device__ moment_state() : count(0), mean(0), low(0), spread(0) {}
  __device__ moment_state(A mean_, A spread_) : count(1), mean(mean_), low(0), spread(spread_) {}
};
__device__ inline moment_state moments_join(const moment_state& p, const moment_state& q) {
  if (p.count == A(0)) return q;
  if (q.count == A(0)) return p;
  moment_state s;
  s.count = p.count + q.count;
  const A d = (q.mean - p.mean) + (q.low - p.low), part = q.count / s.count;
  const A step = p.low + d * part;
  s.mean = p.mean + step;
  s.low = step - (s.mean - p.mean);
  s.spread = p.spread + q.spread + d * d * p.count * part;
  return s;
}
"""
_MOMENTS_POST = (
    "(out_mean = a.mean, out_var = a.spread / a.count, out_rstd = A(1) / sqrt(a.spread / a.count + extra_eps))"
)


def _two_passes(value: str, spread: str) -> TwoPass:
    """Return what the NumPy bodies do: deviations from a first mean give the variance, and what that mean is off."""
    return TwoPass(
        Fold(value, "a + b", "A(0)"),
        "a / (n ? n : 1)",
        Fold(f"pair_state({value} - pivot, {spread})", "pair_join(a, b)", "pair_state()", "pair_state"),
        "A rest = a.first / (n ? n : 1), var = a.second / n - (isinf(rest * rest) ? A(0) : rest * rest); "
        "out_mean = pivot + rest; out_var = var < 0 ? A(0) : var; out_rstd = 1 / sqrt(out_var + extra_eps)",
        PAIR_CUDA,
    )


def blocks(shape: tuple[int, ...], axes: Axes) -> Iterator[slice]:
    """Cut the first axis so that a block stays in the processor's cache; whole, be it empty, if it is summed over."""
    length = max(1, shape[0])
    step = length if 0 in axes else max(1, settings.tuning.planes // max(1, math.prod(shape[1:])))
    return (slice(k, k + step) for k in range(0, length, step))


def _total(x: np.ndarray, axes: Axes) -> np.ndarray:
    """Return ``x.sum(axes, keepdims=True)``: along rows by the BLAS, four times as fast."""
    if axes == (x.ndim - 1,):
        return (x @ np.ones(x.shape[-1], x.dtype))[..., None]
    return np.add.reduce(x, axis=axes, keepdims=True)


def _dot(x: np.ndarray, y: np.ndarray, axes: Axes) -> np.ndarray:
    """Return ``(x * y).sum(axes, keepdims=True)`` without the product in between."""
    kept = reduced_shape(x.shape, axes, True)
    if axes == (x.ndim - 1,):
        return np.vecdot(x, y).reshape(kept)
    letters = "abcdefgh"[: x.ndim]
    out = "".join(c for k, c in enumerate(letters) if k not in axes)
    return np.einsum(f"{letters},{letters}->{out}", x, y).reshape(kept)


@reduction(
    "T in_x, A extra_eps",
    "A out_mean, A out_var, A out_rstd",
    map="moment_state((A)in_x, A(0))",
    reduce="moments_join(a, b)",
    post=_MOMENTS_POST,
    identity="moment_state()",
    reduce_type="moment_state",
    preamble=_MOMENTS_CUDA,
)
def moments(x, eps, *, axis, keepdims):
    count = math.prod(x.shape[k] for k in axis)
    mean, var = np.empty((2, *reduced_shape(x.shape, axis, True)), x.dtype)
    for part in blocks(x.shape, axis):
        first = _total(x[part], axis) / max(count, 1)  # of nothing: 0, as in the CUDA text; its variance is NaN
        d = x[part] - first
        rest = _total(d, axis) / max(count, 1)  # what rounding left of the mean
        mean[part] = first + rest
        rest *= rest
        var[part] = _dot(d, d, axis) / count - np.where(np.isinf(rest), 0, rest)  # inf - inf would be NaN
    np.maximum(var, 0, out=var)
    return mean, var, 1 / np.sqrt(var + eps)


moments.native(_two_passes("(A)in_x", "((A)in_x - pivot) * ((A)in_x - pivot)"))


@reduction(
    "T in_mean, T in_var, A extra_eps",
    "A out_mean, A out_var, A out_rstd",
    map="moment_state((A)in_mean, (A)in_var)",
    reduce="moments_join(a, b)",
    post=_MOMENTS_POST,
    identity="moment_state()",
    reduce_type="moment_state",
    preamble=_MOMENTS_CUDA,
)
def join_moments(mean, var, eps, *, axis, keepdims):
    count = math.prod(mean.shape[k] for k in axis)
    first = mean.sum(axis, keepdims=True) / max(count, 1)  # of nothing: as `moments`
    d = mean - first
    rest = d.sum(axis, keepdims=True) / max(count, 1)
    d -= rest
    var = (var + d * d).sum(axis, keepdims=True) / count
    return first + rest, var, 1 / np.sqrt(var + eps)


join_moments.native(_two_passes("(A)in_mean", "(A)in_var + ((A)in_mean - pivot) * ((A)in_mean - pivot)"))


@reduction(
    "T in_x, A extra_scale, A extra_eps",
    "A out_rstd",
    map="(A)in_x * (A)in_x",
    reduce="a + b",
    post="out_rstd = A(1) / sqrt(a * extra_scale + extra_eps)",
    identity="A(0)",
)
def reciprocal_rms(x, scale, eps, *, axis, keepdims):
    return 1 / np.sqrt(_dot(x, x, axis) * scale + eps)


class Stages(NamedTuple):
    """How axes are folded in two steps, so that many blocks work at once and sums stay short.

    Attributes:
        axis, parts: split `axis` into `parts`; 1: do not.
        first, second: fold the axes `first`, then `second`; they count in the view after the split.
    """

    axis: int
    parts: int
    first: Axes
    second: Axes

    def split(self, a: Any) -> Any:
        """Split the axis of an array into (parts, length / parts), one of length 1 into (1, 1)."""
        if self.parts == 1 or not hasattr(a, "shape"):
            return a
        length = a.shape[self.axis]
        cut = (1, 1) if length == 1 else (self.parts, length // self.parts)
        return a.reshape(*a.shape[: self.axis], *cut, *a.shape[self.axis + 1 :])


@functools.lru_cache(4096)
def stages_on_cpu(shape: tuple[int, ...], axes: Axes) -> Stages:
    """Return how a CPU folds `axes`."""
    last = len(shape) - 1
    if last in axes:
        run = [k for k in axes if all(j in axes for j in range(k, last + 1))]
        if run[0] == 0 and len(run) > 1:
            run = run[1:]
        return Stages(0, 1, tuple(run), tuple(k for k in axes if k not in run))
    (k,) = axes
    wanted = min(settings.tuning.stages, math.prod(shape[k:]) // settings.tuning.stage)
    parts = math.gcd(shape[k], 1 << wanted.bit_length() >> 1) if wanted else 1
    return Stages(k, parts, (k + 1,), (k,)) if parts > 1 else Stages(0, 1, axes, ())


def stages_on_gpu(shape: tuple[int, ...], axes: Axes) -> Stages:
    """Return how a GPU folds `axes`: the first one in one step, because the kernel itself keeps all of it busy."""
    return Stages(0, 1, axes, ()) if axes == (0,) != (len(shape) - 1,) else stages_on_cpu(shape, axes)


@primitive
def statistics(x: Array, axes: Axes, eps: float) -> tuple[Array, Array, Array]:
    """Return mean, variance (divided by the count) and ``1 / sqrt(variance + eps)`` over `axes`, kept."""
    return _statistics(x, axes, eps, stages_on_cpu(x.shape, axes))


@statistics.cuda
def _(x: Array, axes: Axes, eps: float) -> tuple[Array, Array, Array]:
    return _statistics(x, axes, eps, stages_on_gpu(x.shape, axes))


def _statistics(x: Array, axes: Axes, eps: float, stages: Stages) -> tuple[Array, Array, Array]:
    found = moments(stages.split(x), eps, axis=stages.first, keepdims=True)
    if stages.second:
        found = join_moments(found[0], found[1], eps, axis=stages.second, keepdims=True)
    elif stages.parts == 1:
        return found
    kept = reduced_shape(x.shape, axes, True)
    mean, var, rstd = [a.reshape(kept) for a in found]
    return mean, var, rstd
