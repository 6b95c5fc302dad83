"""The kernels of all normalisations, forward and backward: NumPy body and CUDA body side by side.

Statistics are of type ``A``: kept in float32 for half types. Reductions are always called with
``keepdims=True`` and with their axes in a sorted tuple.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...kernels import elementwise, reduction
from ...kernels.rowwise import rowwise
from ...kernels.spec import Fold, Twice, reduced_shape
from ...kernels.tiled import Together

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


def _two_passes(value: str, spread: str) -> Twice:
    """Return what the NumPy bodies do: deviations from a first mean give the variance, and what that mean is off."""
    return Twice(
        Fold(value, "a + b", "A(0)"),
        "a / (n ? n : 1)",
        Fold(f"pair_state({value} - found, {spread})", "pair_join(a, b)", "pair_state()", "pair_state"),
        "A rest = a.first / (n ? n : 1), var = a.second / n - (isinf(rest * rest) ? A(0) : rest * rest); "
        "out_mean = found + rest; out_var = var < 0 ? A(0) : var; out_rstd = 1 / sqrt(out_var + extra_eps)",
        PAIR_CUDA,
    )


def _blocks(shape: tuple[int, ...], axes: Axes) -> Iterator[slice]:
    """Cut the first axis so that a block stays in the processor's cache; whole if it is summed over."""
    step = shape[0] if 0 in axes else max(1, 65536 // max(1, math.prod(shape[1:])))
    return (slice(k, k + step) for k in range(0, shape[0], max(1, step)))


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
    cpu=_two_passes("(A)in_x", "((A)in_x - found) * ((A)in_x - found)"),
)
def moments(x, eps, *, axis, keepdims):
    count = math.prod(x.shape[k] for k in axis)
    mean, var = np.empty((2, *reduced_shape(x.shape, axis, True)), x.dtype)
    for part in _blocks(x.shape, axis):
        first = _total(x[part], axis) / max(count, 1)  # of nothing: 0, as in the CUDA text; its variance is NaN
        d = x[part] - first
        rest = _total(d, axis) / max(count, 1)  # what rounding left of the mean
        mean[part] = first + rest
        rest *= rest
        var[part] = _dot(d, d, axis) / count - np.where(np.isinf(rest), 0, rest)  # inf - inf would be NaN
    np.maximum(var, 0, out=var)
    return mean, var, 1 / np.sqrt(var + eps)


@reduction(
    "T in_mean, T in_var, A extra_eps",
    "A out_mean, A out_var, A out_rstd",
    map="moment_state((A)in_mean, (A)in_var)",
    reduce="moments_join(a, b)",
    post=_MOMENTS_POST,
    identity="moment_state()",
    reduce_type="moment_state",
    preamble=_MOMENTS_CUDA,
    cpu=_two_passes("(A)in_mean", "(A)in_var + ((A)in_mean - found) * ((A)in_mean - found)"),
)
def join_moments(mean, var, eps, *, axis, keepdims):
    first = mean.mean(axis, keepdims=True)
    d = mean - first
    rest = d.mean(axis, keepdims=True)
    d -= rest
    var = (var + d * d).mean(axis, keepdims=True)
    return first + rest, var, 1 / np.sqrt(var + eps)


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


def _cut(a: Any, part: slice) -> Any:
    """Return the block of an argument that may be a number, or of length 1 along the first axis."""
    return a if np.ndim(a) == 0 or a.shape[0] == 1 else a[part]


@elementwise(
    "T x, A mean, A rstd, A weight, A bias", "T y", "y = (x - mean) * rstd * weight + bias", along="weight bias"
)
def normalize(x, mean, rstd, weight, bias):
    y = np.empty(x.shape, x.dtype)
    merged = np.shape(weight) in ((), rstd.shape)
    for part in _blocks(x.shape, ()):
        out = np.subtract(x[part], _cut(mean, part), out=y[part])
        out *= _cut(rstd, part) * _cut(weight, part) if merged else _cut(rstd, part)
        if not merged:
            out *= _cut(weight, part)
        if np.ndim(bias):
            out += _cut(bias, part)
    return y


@reduction(
    "T in_gy, T in_x, A in_mean, A in_rstd, A in_weight",
    "A out_sum, A out_dot",
    map="pair_state((A)in_gy * in_weight, (A)in_gy * in_weight * (((A)in_x - in_mean) * in_rstd))",
    reduce="pair_join(a, b)",
    post="(out_sum = a.first, out_dot = a.second)",
    identity="pair_state()",
    reduce_type="pair_state",
    preamble=PAIR_CUDA,
    along="in_weight",
)
def normalize_sums(gy, x, mean, rstd, weight, *, axis, keepdims):
    total, dot = np.empty((2, *reduced_shape(gy.shape, axis, True)), gy.dtype)
    for part in _blocks(gy.shape, axis):
        xhat = x[part] - _cut(mean, part)
        xhat *= _cut(rstd, part)
        g = gy[part] if np.ndim(weight) == 0 and weight == 1 else gy[part] * _cut(weight, part)
        total[part] = _total(g, axis)
        dot[part] = _dot(g, xhat, axis)
    return total, dot


@elementwise(
    "T gy, T x, A mean, A rstd, A weight, A sum, A dot, A scale",
    "T gx",
    "gx = rstd * (gy * weight - (sum + (x - mean) * rstd * dot) * scale)",
    along="weight",
)
def normalize_backward(gy, x, mean, rstd, weight, sum, dot, scale):
    gx = np.empty(x.shape, x.dtype)
    for part in _blocks(x.shape, ()):
        r = _cut(rstd, part)
        d = x[part] - _cut(mean, part)
        d *= r * _cut(dot, part) * scale
        d += _cut(sum, part) * scale
        out = np.multiply(gy[part], _cut(weight, part), out=gx[part])
        out -= d
        out *= r
    return gx


# The same two passes as in `moments`, over what the threads hold.
@rowwise(
    "T x, col A weight, col A bias, A eps",
    "T y, row A mean, row A var, row A rstd",
    """
    fold(A total, 0, x, p + q);
    const A first = total / count;
    fold(pair_state off, pair_state(), pair_state(x - first, (x - first) * (x - first)), pair_join(p, q));
    const A rest = off.first / count, square = off.second / count - rest * rest;
    mean = first + rest;
    var = square < 0 ? A(0) : square;
    rstd = 1 / sqrt(var + eps);
    each(y = (x - mean) * rstd * weight + bias);
    """,
    preamble=PAIR_CUDA,
)
def norm_rows(x, weight, bias, eps, *more, axes=1, apply=normalize):
    folded = tuple(range(x.ndim - axes, x.ndim))
    with Together(x) as run:
        mean, var, rstd = run(moments, x, eps, axis=folded, keepdims=True)
        y = run(apply, x, mean, rstd, weight, bias, *more)
    return y, mean, var, rstd


@rowwise(
    "T x, col A weight, A eps",
    "T y, row A rstd",
    """
    fold(A square, 0, x * x, p + q);
    rstd = 1 / sqrt(square / count + eps);
    each(y = x * rstd * weight);
    """,
)
def rms_rows(x, weight, eps, *more, axes=1, apply=normalize):
    folded = tuple(range(x.ndim - axes, x.ndim))
    count = math.prod(x.shape[k] for k in folded)
    with Together(x) as run:
        rstd = run(reciprocal_rms, x, 1 / max(1, count), eps, axis=folded, keepdims=True)
        y = run(apply, x, 0.0, rstd, weight, 0.0, *more)
    return y, rstd


@rowwise(
    "T gy, T x, row A mean, row A rstd, col A weight, A centred",
    "T gx",
    """
    fold(pair_state s, pair_state(), pair_state(gy * weight, gy * weight * ((x - mean) * rstd)), pair_join(p, q));
    const A level = centred > 0 ? s.first / count : A(0), slope = s.second / count;
    each(gx = rstd * (gy * weight - (level + (x - mean) * rstd * slope)));
    """,
    preamble=PAIR_CUDA,
)
def norm_rows_backward(gy, x, mean, rstd, weight, centred, axes=1):
    folded = tuple(range(x.ndim - axes, x.ndim))
    scale = 1 / math.prod(x.shape[k] for k in folded)
    with Together(gy) as run:
        total, dot = run(normalize_sums, gy, x, mean, rstd, weight, axis=folded, keepdims=True)
        gx = run(normalize_backward, gy, x, mean, rstd, weight, total if centred else 0.0, dot, scale)
    return gx
