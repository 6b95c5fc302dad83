"""The second step of a norm, and its way back: the kernels that apply statistics.

Their texts have a place for an epilogue, the activation behind the norm; see `cunet.kernels.epilogue`. Nothing is kept
for that but the norm's input: what the activation saw is computed again from it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...kernels import elementwise, reduction, rowwise
from ...kernels.axes import reduced_shape
from ...kernels.tiled import Tiled
from .statistics import PAIR_CUDA, _dot, _total, blocks, moments, reciprocal_rms

#: What the activation saw.
Z = "(x - mean) * rstd * weight + bias"


def _cut(a: Any, part: slice) -> Any:
    """Return the block of an argument that may be a number, or of length 1 along the first axis."""
    return a if getattr(a, "ndim", 0) == 0 or a.shape[0] == 1 else a[part]


@elementwise("T x, row A mean, row A rstd, col A weight, col A bias", "T y", f"y = epilogue({Z})")
def normalize(x, mean, rstd, weight, bias):
    y = np.empty(x.shape, x.dtype)
    merged = getattr(weight, "shape", ()) in ((), rstd.shape)
    for part in blocks(x.shape, ()):
        out = np.subtract(x[part], _cut(mean, part), out=y[part])
        out *= _cut(rstd, part) * _cut(weight, part) if merged else _cut(rstd, part)
        if not merged:
            out *= _cut(weight, part)
        if getattr(bias, "ndim", 0):
            out += _cut(bias, part)
    return y


@reduction(
    "T in_gy, T in_x, row A in_mean, row A in_rstd, col A in_factor",
    "A out_sum, A out_dot",
    map="scaled_pair(epilogue_backward((A)in_gy, ((A)in_x - in_mean) * in_rstd * in_weight + in_bias) * in_factor, "
    "((A)in_x - in_mean) * in_rstd)",
    reduce="pair_join(a, b)",
    post="(out_sum = a.first, out_dot = a.second)",
    identity="pair_state()",
    reduce_type="pair_state",
    preamble=PAIR_CUDA + "__device__ inline pair_state scaled_pair(A g, A x) { return pair_state(g, g * x); }\n",
)
def normalize_sums(gy, x, mean, rstd, factor, *, axis, keepdims):
    total, dot = np.empty((2, *reduced_shape(gy.shape, axis, True)), gy.dtype)
    for part in blocks(gy.shape, axis):
        xhat = x[part] - _cut(mean, part)
        xhat *= _cut(rstd, part)
        g = gy[part] if type(factor) is float and factor == 1 else gy[part] * _cut(factor, part)
        total[part] = _total(g, axis)
        dot[part] = _dot(g, xhat, axis)
    return total, dot


@elementwise(
    "T gy, T x, row A mean, row A rstd, col A weight, A sum, A dot, A scale",
    "T gx",
    f"gx = rstd * (epilogue_backward(gy, {Z}) * weight - (sum + (x - mean) * rstd * dot) * scale)",
)
def normalize_backward(gy, x, mean, rstd, weight, sum, dot, scale):
    gx = np.empty(x.shape, x.dtype)
    for part in blocks(x.shape, ()):
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
    f"""
    fold(A total, 0, x, p + q);
    const A first = total / count;
    fold(pair_state off, pair_state(), pair_state(x - first, (x - first) * (x - first)), pair_join(p, q));
    const A rest = off.first / count, square = off.second / count - rest * rest;
    mean = first + rest;
    var = square < 0 ? A(0) : square;
    rstd = 1 / sqrt(var + eps);
    each(y = epilogue({Z}));
    """,
    preamble=PAIR_CUDA,
)
def norm_rows(x, weight, bias, eps, *numbers, axes=1, apply=normalize):
    folded = tuple(range(x.ndim - axes, x.ndim))
    with Tiled(x) as run:
        mean, var, rstd = run(moments, x, eps, axis=folded, keepdims=True)
        y = run(apply, x, mean, rstd, weight, bias, *numbers)
    return y, mean, var, rstd


@rowwise(
    "T x, col A weight, A eps",
    "T y, row A rstd",
    """
    fold(A square, 0, x * x, p + q);
    rstd = 1 / sqrt(square / count + eps);
    each(y = epilogue(x * rstd * weight));
    """,
)
def rms_rows(x, weight, eps, *numbers, axes=1, apply=normalize):
    folded = tuple(range(x.ndim - axes, x.ndim))
    count = math.prod(x.shape[k] for k in folded)
    with Tiled(x) as run:
        rstd = run(reciprocal_rms, x, 1 / max(1, count), eps, axis=folded, keepdims=True)
        y = run(apply, x, 0.0, rstd, weight, 0.0, *numbers)
    return y, rstd


_GY = f"epilogue_backward(gy, {Z})"


@rowwise(
    "T gy, T x, row A mean, row A rstd, col A weight, A centred",
    "T gx",
    f"""
    fold(pair_state s, pair_state(), pair_state({_GY} * weight, {_GY} * weight * ((x - mean) * rstd)), pair_join(p, q));
    const A level = centred > 0 ? s.first / count : A(0), slope = s.second / count;
    each(gx = rstd * ({_GY} * weight - (level + (x - mean) * rstd * slope)));
    """,
    preamble=PAIR_CUDA,
)
def norm_rows_backward(gy, x, mean, rstd, weight, centred, axes=1):
    folded = tuple(range(x.ndim - axes, x.ndim))
    scale = 1 / max(1, math.prod(x.shape[k] for k in folded))
    with Tiled(gy) as run:
        total, dot = run(normalize_sums, gy, x, mean, rstd, weight, axis=folded, keepdims=True)
        gx = run(normalize_backward, gy, x, mean, rstd, weight, total if centred else 0.0, dot, scale)
    return gx
