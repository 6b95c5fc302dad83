"""The logarithm of a sum of exponentials, from the two numbers that `softmax` folds a row to."""

from __future__ import annotations

import numpy as np

from ..autograd.methods import Axis
from ..autograd.op import Result, op
from ..kernels import elementwise, reduction
from ..kernels.axes import reduced_shape
from .softmax import check_floating
from .softmax_stats import OUT_REST, OUT_TOP, STATE, TWO_PASS, softmax_stats


@reduction(
    "T in_x",
    "T out_y, A out_top, A out_rest",
    map="SoftmaxState{A(in_x), A(0)}",
    reduce="softmax_join(a, b)",
    post=f"{OUT_TOP}, {OUT_REST}, out_y = isinf(out_top) ? out_top : out_top + log1p(out_rest)",
    identity="SoftmaxState{A(0), A(-1)}",
    reduce_type="SoftmaxState",
    preamble=STATE,
)
def logsumexp_forward(x, axis, keepdims):
    top, rest = softmax_stats.body(x, axis, keepdims)
    return np.where(np.isinf(top), top, top + np.log1p(rest)), top, rest


logsumexp_forward.native(
    TWO_PASS._replace(post=f"{TWO_PASS.post}; out_y = isinf(out_top) ? out_top : out_top + log1p(out_rest)")
)


@elementwise(
    "T gy, T x, A top, A rest",
    "T gx",
    "gx = top == log(A(0)) || x - top == log(A(0)) ? A(0) : gy / (1 + rest) * exp(x - top)",
    smooth="gx = gy / (1 + rest) * exp(x - top)",
)
def logsumexp_backward(gy, x, top, rest):
    d = x - np.where(np.isneginf(top), np.inf, top)  # -inf everywhere where all of the row is
    return np.where(np.isneginf(d), 0, gy / (1 + rest) * np.exp(d))


@op(arrays=1)
def logsumexp(x, axis: Axis = None, keepdims: bool = False) -> Result:
    """Return ``log(sum(exp(x)))`` over `axis`, without overflow.

    Args:
        x: floating, any shape.
        axis: int, tuple of ints, or None for all. Over no elements the result is ``-inf``.
        keepdims: keep the folded axes with length 1.

    Raises:
        TypeError: `x` is not of floating dtype.

    Example:
        >>> cunet.logsumexp([[1000.0, 1000.0], [999.0, 999.0]], axis=1).round(2)
        Tensor([1000.69,  999.69])
    """
    check_floating("logsumexp", x)
    y, top, rest = logsumexp_forward(x, axis=axis, keepdims=True)
    y = y.reshape(reduced_shape(x.shape, axis, keepdims))
    return y, lambda gy: (logsumexp_backward(gy.reshape(top.shape), x, top, rest),)
