"""softmax and log_softmax.

All of them come from two numbers per row: the largest element `top`, and `rest`, the sum of ``exp(x - top)``
over all *other* elements. No exponential is above 1, so nothing overflows; and ``1 + rest`` kept apart
as `rest` holds probabilities next to 1, and the loss of a confident classifier, to full relative accuracy.

Rows with infinities, as in PyTorch: where all elements are ``-inf``, or one is ``+inf``, softmax and
log_softmax are NaN. logsumexp is that infinity; its gradient is 0 for ``-inf``, NaN for ``+inf`` and 0 for what
stands beside that. A NaN makes its whole row NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.methods import ArrayMethods, Axis
from ..autograd.op import Result, op
from ..device import Array, accumulator, is_array, is_floating
from ..kernels import TwoPass, elementwise, reduction, rowwise
from ..kernels.axes import folded_axes, reduced_shape
from ..kernels.backends.numpy import tuning as settings
from ..kernels.spec import Fold
from ..kernels.tiled import Tiled
from .activation.registry import activation
from .dim import dim_or_axis

# rest = -1 marks a state into which nothing was folded. `top` stays NaN once it is.
STATE = """
struct SoftmaxState { A top; A rest; };
__device__ SoftmaxState softmax_join(SoftmaxState p, SoftmaxState q) {
    // Selections, no branches: compilers for processors make vectors of them.
    const bool first = q.rest < 0 || (!(p.rest < 0) && (p.top >= q.top || p.top != p.top));
    const A high = first ? p.top : q.top, low = first ? q.top : p.top;
    const A above = first ? p.rest : q.rest, below = first ? q.rest : p.rest;
    const A factor = exp(low == high || below < 0 ? A(0) : low - high);
    return SoftmaxState{high, above + (below + 1) * factor};
}
"""
# The difference makes `rest` NaN where `top` is infinite.
OUT_REST = "out_rest = a.rest < 0 ? log(A(-1)) : a.rest + (a.top - a.top)"
OUT_TOP = "out_top = a.rest < 0 ? log(A(0)) : a.top"
# First the largest element, then all others; elements as large as it are counted, to leave one of them out.
TWO_PASS = TwoPass(
    Fold("A(in_x)", "b > a || b != b ? b : a", "log(A(0))"),
    "a",
    Fold(
        "SoftmaxState{A(A(in_x) == pivot), exp(A(in_x) == pivot ? A(-1e30) : A(in_x) - pivot)}",
        "SoftmaxState{a.top + b.top, a.rest + b.rest}",
        "SoftmaxState{A(0), A(0)}",
        "SoftmaxState",
    ),
    "out_top = pivot; out_rest = a.rest + (a.top - 1) + (pivot - pivot)",
)


def check_floating(who: str, x: Any, name: str = "x") -> None:
    """Raise TypeError unless `x`, called `name`, is an array of floating dtype."""
    if not (is_array(x) or isinstance(x, ArrayMethods)) or not is_floating(x.dtype):
        got = getattr(x, "dtype", type(x).__name__)
        raise TypeError(f"{who}: {name} must be an array of floating dtype, got {got}")


def is_last(x: Array, axis: int) -> bool:
    """Tell whether `axis` is the last one, so that the kernels for rows fit."""
    return x.ndim > 0 and axis in (-1, x.ndim - 1)


def _as_matrix(x: Array, axis: Axis) -> Array:
    """Return `x` as a matrix: a row for each result, the folded axes along it."""
    axes = folded_axes(x.ndim, axis)
    kept = [i for i in range(x.ndim) if i not in axes]
    rows = math.prod(x.shape[i] for i in kept)
    return x.transpose(*kept, *axes).reshape(rows, math.prod(x.shape[i] for i in axes))


@reduction(
    "T in_x",
    "A out_top, A out_rest",
    map="SoftmaxState{A(in_x), A(0)}",
    reduce="softmax_join(a, b)",
    post=f"{OUT_TOP}, {OUT_REST}",
    identity="SoftmaxState{A(0), A(-1)}",
    reduce_type="SoftmaxState",
    preamble=STATE,
)
def softmax_stats(x, axis, keepdims):
    rows = _as_matrix(x, axis)
    count, length = rows.shape
    top = np.full(count, -np.inf, x.dtype)
    rest = np.zeros(count, x.dtype)
    step = max(1, settings.tuning.rows // max(1, length))
    for start in range(0, count if length else 0, step):
        block = rows[start : start + step]
        largest = (np.arange(len(block)), block.argmax(axis=1))
        top[start : start + step] = high = block[largest]
        e = np.subtract(block, high[:, None], order="C")  # along a row NumPy sums in pairs, across rows one by one
        np.exp(e, out=e)[largest] = 0
        rest[start : start + step] = e.sum(axis=1)
    rest += top - top  # NaN where top is infinite
    shape = reduced_shape(x.shape, axis, keepdims)
    return top.reshape(shape), rest.reshape(shape)


softmax_stats.native(TWO_PASS)


@elementwise("T x, A top, A rest", "T y", "y = exp(x - top) / (1 + rest)")
def softmax_forward(x, top, rest):
    y = np.exp(x - top)
    y /= 1 + rest
    return y


@reduction("T in_g, T in_y", "A out_dot", map="A(in_g) * A(in_y)", reduce="a + b", post="out_dot = a", identity="0")
def softmax_dot(g, y, axis, keepdims):
    return (g * y).sum(axis=axis, keepdims=keepdims)


@elementwise("T gy, T y, A dot", "T gx", "gx = y * (gy - dot)")
def softmax_backward(gy, y, dot):
    gx = gy - dot
    gx *= y
    return gx


# The largest element of a row and where it stands; a NaN is larger than all.
TOP_CUDA = """
struct RowTop { A top; long long where; };
__device__ inline RowTop row_higher(const RowTop& p, const RowTop& q) {
    return p.top >= q.top || p.top != p.top ? p : q;
}
"""


@rowwise(
    "T x",
    "T y",
    """
    fold(A top, log(A(0)), x, p >= q || p != p ? p : q);
    fold(A sum, 0, exp(x - top), p + q);
    each(y = exp(x - top) / sum);
    """,
)
def softmax_rows(x):
    return _softmax(x, -1)


@rowwise("T gy, T y", "T gx", "fold(A dot, 0, gy * y, p + q); each(gx = y * (gy - dot))")
def softmax_rows_backward(gy, y):
    return _softmax_gradient(gy, y, -1)


def _softmax(x: Array, axis: int) -> Array:
    with Tiled(x) as run:
        y = run(softmax_forward, x, *run(softmax_stats, x, axis=axis, keepdims=True))
    return y


def _softmax_gradient(gy: Array, y: Array, axis: int) -> Array:
    with Tiled(gy) as run:
        gx = run(softmax_backward, gy, y, run(softmax_dot, gy, y, axis=axis, keepdims=True))
    return gx


def _converted(who: str, x: Any, dtype: Any) -> Array:
    """Return `x` in `dtype`, None for its own, which has to be floating; the engine converts the gradient back."""
    x = x if dtype is None else x.astype(dtype, copy=False)
    check_floating(who, x, "input")
    return x


@activation(layer="Softmax")
@op(arrays=1)
def softmax(input, dim: int | None = None, *, dtype: Any = None, axis: int | None = None) -> Result:
    """Return ``exp(x) / sum(exp(x))`` along `dim`: positive numbers that sum to 1.

    Adding a constant to a row changes nothing. Scores for a loss belong into `cross_entropy` as they are, not here.

    Args:
        input: floating, any shape of at least one axis.
        dim: the axis along which the results sum to 1; by default the last.
        dtype: floating dtype to convert `input` to first, which is then that of the result.
        axis: NumPy's name of `dim`, which may be given instead.

    Raises:
        TypeError: `input` is not of floating dtype, or the axis was given under both names.

    Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs", equation 11.
    """
    x, axis = _converted("softmax", input, dtype), dim_or_axis("softmax", dim, axis, -1)
    if is_last(x, axis):
        y = softmax_rows(x)
        return y, lambda gy: (softmax_rows_backward(gy, y),)
    folded_axes(x.ndim, axis)  # there must be such an axis
    y = _softmax(x, axis)
    return y, lambda gy: (_softmax_gradient(gy, y, axis),)


@activation(layer="Softmin")
@op(arrays=1)
def softmin(input, dim: int | None = None, *, dtype: Any = None) -> Result:
    """Return ``softmax(-input)`` along `dim`: the smallest element gets the largest share.

    Args:
        input: floating, any shape of at least one axis.
        dim: the axis along which the results sum to 1; by default the last.
        dtype: see `softmax`.

    Raises:
        TypeError: `input` is not of floating dtype.
    """
    x, axis = -_converted("softmin", input, dtype), -1 if dim is None else dim
    if is_last(x, axis):
        y = softmax_rows(x)
        return y, lambda gy: (-softmax_rows_backward(gy, y),)
    folded_axes(x.ndim, axis)  # there must be such an axis
    y = _softmax(x, axis)
    return y, lambda gy: (-_softmax_gradient(gy, y, axis),)


@elementwise("T x, A top, A rest", "T y", "y = (x - top) - log1p(rest)")
def log_softmax_forward(x, top, rest):
    y = x - top
    y -= np.log1p(rest)
    return y


@elementwise("T gy, T y, A total", "T gx", "gx = gy - exp(y) * total")
def log_softmax_backward(gy, y, total):
    gx = np.exp(y)
    gx *= -total
    gx += gy
    return gx


@rowwise(
    "T x",
    "T y",
    """
    fold(RowTop best, RowTop{log(A(0)), -1}, RowTop{x, j}, row_higher(p, q));
    fold(A rest, 0, j == best.where ? A(0) : exp(x - best.top), p + q);
    const A tail = log1p(rest + (best.top - best.top));
    each(y = (x - best.top) - tail);
    """,
    preamble=TOP_CUDA,
)
def log_softmax_rows(x):
    return _log_softmax(x, -1)


def _log_softmax(x: Array, axis: int) -> Array:
    with Tiled(x) as run:
        y = run(log_softmax_forward, x, *run(softmax_stats, x, axis=axis, keepdims=True))
    return y


@rowwise("T gy, T y", "T gx", "fold(A total, 0, gy, p + q); each(gx = gy - exp(y) * total)")
def log_softmax_rows_backward(gy, y):
    with np.errstate(all="ignore"):
        total = gy.sum(axis=-1, keepdims=True, dtype=accumulator(gy.dtype))
    return log_softmax_backward(gy, y, total)


@activation(layer="LogSoftmax")
@op(arrays=1)
def log_softmax(input, dim: int | None = None, *, dtype: Any = None, axis: int | None = None) -> Result:
    """Return ``x - logsumexp(x)`` along `dim`: logarithms of probabilities.

    Args:
        input: floating, any shape of at least one axis.
        dim: the axis along which the exponentials of the results sum to 1; by default the last.
        dtype, axis: see `softmax`.

    Raises:
        TypeError: see `softmax`.
    """
    x, axis = _converted("log_softmax", input, dtype), dim_or_axis("log_softmax", dim, axis, -1)
    if is_last(x, axis):
        y = log_softmax_rows(x)
        return y, lambda gy: (log_softmax_rows_backward(gy, y),)
    folded_axes(x.ndim, axis)  # there must be such an axis
    y = _log_softmax(x, axis)

    def vjp(gy):
        total = gy.sum(axis=axis, keepdims=True, dtype=accumulator(gy.dtype))
        return (log_softmax_backward(gy, y, total),)

    return y, vjp
