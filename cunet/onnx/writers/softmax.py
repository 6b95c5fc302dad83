"""Softmax in its forms, and attention."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...ops import attention, softmax
from ..graph import Given, Graph
from ..writing import lowest, writes


def _along(kind: str, sign: str = "") -> Callable[..., str]:
    def write(g, x, *, dim, axis=None, dtype):
        x = g.cast(x, g.dtype)
        return g(kind, g(sign, x) if sign else x, axis=dim if axis is None else axis)

    return write


writes(softmax.softmax)(_along("Softmax"))
writes(softmax.softmin)(_along("Softmax", "Neg"))
writes(softmax.log_softmax)(_along("LogSoftmax"))


@writes(attention._attention)
def _(g, query, key, value, mask=None, *, is_causal, scale):
    order = [*range(key.ndim - 2), key.ndim - 1, key.ndim - 2]
    scores = g("MatMul", g("Mul", query, float(scale)), g("Transpose", key, perm=order))
    allowed: Given = mask if mask is not None and mask.dtype.kind == "b" else None
    if mask is not None and allowed is None:
        scores = g("Add", scores, g.cast(mask, g.dtype))
    if is_causal:
        past = np.tri(query.length(-2), key.length(-2), dtype=np.bool_)
        allowed = past if allowed is None else g("And", allowed, past)
    weights = g("Softmax", _hidden(g, scores, allowed, lowest(g.dtype)), axis=-1)
    weights = _hidden(g, weights, allowed, np.asarray(0, g.dtype))  # of a query that may attend to nothing
    return [g("MatMul", weights, value), weights]


def _hidden(g: Graph, x: str, allowed: Given, other: np.ndarray) -> str:
    return x if allowed is None else g("Where", allowed, x, other)
