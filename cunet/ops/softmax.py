"""softmax, softmin and log_softmax, from the two numbers of a row that `softmax_stats` gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.methods import ArrayMethods
from ..autograd.op import Result, op
from ..device import Array, accumulator, is_array, is_floating
from ..kernels import elementwise, reduction, rowwise
from ..kernels.axes import folded_axes
from ..kernels.tiled import Tiled
from .activation.registry import activation
from .dim import dim_or_axis
from .softmax_stats import softmax_stats


def check_floating(who: str, x: Any, name: str = "x") -> None:
    """Raise TypeError unless `x`, called `name`, is an array of floating dtype."""
    if not (is_array(x) or isinstance(x, ArrayMethods)) or not is_floating(x.dtype):
        got = getattr(x, "dtype", type(x).__name__)
        raise TypeError(f"{who}: {name} must be an array of floating dtype, got {got}")


def is_last(x: Array, axis: int) -> bool:
    """Tell whether `axis` is the last one, so that the kernels for rows fit."""
    return x.ndim > 0 and axis in (-1, x.ndim - 1)


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

    Example:
        >>> scores = cunet.tensor([[1.0, 2.0, 3.0], [1000.0, 1000.0, -1000.0]])
        >>> F.softmax(scores).round(4)
        Tensor([[0.09  , 0.2447, 0.6652],
                [0.5   , 0.5   , 0.    ]])
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

    Example:
        >>> F.softmin(cunet.tensor([1.0, 2.0, 3.0])).round(4)
        Tensor([0.6652, 0.2447, 0.09  ])
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

    Example:
        >>> F.log_softmax(cunet.tensor([0.0, 200.0, 200.0])).round(4)  # where log(softmax(x)) would begin with -inf
        Tensor([-200.6932,   -0.6931,   -0.6931])
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
