"""The two numbers of a row that softmax, log_softmax, logsumexp and cross-entropies come from.

They are the largest element `top`, and `rest`, the sum of ``exp(x - top)`` over all *other* elements. No exponential is
above 1, so nothing overflows; and ``1 + rest`` kept apart as `rest` holds probabilities next to 1, and the loss of a
confident classifier, to full relative accuracy.

Rows with infinities, as in PyTorch: where all elements are ``-inf``, or one is ``+inf``, softmax and
log_softmax are NaN. logsumexp is that infinity; its gradient is 0 for ``-inf``, NaN for ``+inf`` and 0 for what
stands beside that. A NaN makes its whole row NaN.
"""

from __future__ import annotations

import math

import numpy as np

from ..autograd.methods import Axis
from ..device import Array
from ..kernels import TwoPass, reduction
from ..kernels.axes import folded_axes, reduced_shape
from ..kernels.backends.numpy import tuning as settings
from ..kernels.spec import Fold

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
