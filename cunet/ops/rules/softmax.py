"""Softmax and attention: by the two numbers of a row, of which one has a gradient."""

from __future__ import annotations

from typing import Any

from ...autograd.op import Result, op
from ...autograd.rules import composite
from ...autograd.tensor import Tensor
from ...autograd.tracing import plain
from ...device import Array, array_module
from ...kernels.axes import reduced_shape
from .. import math, reduce, selection
from ..array import reshape, swapaxes
from ..attention import _attention, _cleared, _past
from ..dropout import _dropout, inverted
from ..linalg import matmul
from ..logsumexp import logsumexp_forward
from ..slopes import times
from ..softmax_stats import softmax_stats


@op(arrays=1)
def _rest(x, axis: Any) -> Result:
    """Return the sum of ``exp(x - top)`` over all but the largest element, whose gradient counts that one too."""
    top, rest = softmax_stats(x, axis=axis, keepdims=True)
    xp = array_module(x)
    finite = xp.where(xp.isfinite(top), top, 0)
    return rest, lambda gy: (times(gy, xp.exp(x - finite)),)


@softmax_stats.tensors
def _(x: Tensor, axis: Any, keepdims: bool = False) -> tuple[Array, Tensor]:
    shape = reduced_shape(x.shape, axis, keepdims)
    return softmax_stats(x.data, axis=axis, keepdims=keepdims)[0], reshape(_rest(x, axis), shape)


@logsumexp_forward.tensors
def _(x: Tensor, axis: Any, keepdims: bool = False) -> tuple[Tensor, Array, Tensor]:
    top, rest = softmax_stats(x, axis=axis, keepdims=keepdims)
    xp = array_module(top)
    # The largest element moves the sum as all others do: by `rest`, which counts it in its gradient.
    return selection.where(xp.isinf(top), top, math.add(top, math.log1p(rest))), top, rest


@composite(_attention)
def _(query, key, value, attn_mask=None, *, is_causal, scale, draw, threshold):
    mask = plain(attn_mask)
    allowed = mask if mask is not None and mask.dtype.kind == "b" else None
    bias = attn_mask if allowed is None else None
    hidden = None if bias is None else mask
    key, value = (_shown(a, allowed, hidden) for a in (key, value))
    if is_causal:
        past = _past(query, key)
        allowed = past if allowed is None else allowed & past
    scores = matmul(math.multiply(query, scale), swapaxes(key, -1, -2))
    scores = scores if bias is None else math.add(scores, bias)
    weights = _weights(scores, allowed)
    used = weights if draw is None else _dropout(weights, draw=draw, threshold=threshold, factors=inverted(threshold))
    return matmul(used, value), used


def _shown(a: Any, allowed: Array | None, hidden: Array | None) -> Any:
    """Return keys or values with 0 for what no query sees."""
    data = plain(a)
    clear = _cleared(data, allowed, hidden)
    return a if clear is data else selection.where(clear == data, a, 0)


def _weights(scores: Tensor, allowed: Array | None) -> Tensor:
    """Return the softmax of rows, 0 where nothing is allowed."""
    xp = array_module(scores.data)
    if allowed is not None:
        scores = selection.where(allowed, scores, -float("inf"))
    top = scores.data.max(axis=-1, keepdims=True)
    e = math.exp(math.subtract(scores, xp.where(xp.isneginf(top), 0, top)))
    total = reduce.sum(e, axis=-1, keepdims=True)
    return math.divide(e, math.add(total, (total.data == 0).astype(total.dtype)))
