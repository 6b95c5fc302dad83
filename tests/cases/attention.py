"""Rows of `cunet.ops.attention`. The oracle goes query by query, with exact sums."""

import math

import numpy as np

from cunet import F
from cunet.ops.attention import attention

from . import Case
from .dropout import kept


def weights_of(scores):
    """Return the softmax of numbers of which -inf ones do not take part; 0 if none does."""
    if all(s == -math.inf for s in scores):
        return [0.0] * len(scores)
    # each from its ratios to the others
    return [0.0 if s == -math.inf else 1 / math.fsum(math.exp(other - s) for other in scores) for s in scores]


def reference(query, key, value, mask=None, is_causal=False, scale=None, dropout_p=0.0):
    lead = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    rows, keys, width = query.shape[-2], key.shape[-2], query.shape[-1]
    q, k, v = (np.broadcast_to(a, lead + a.shape[-2:]) for a in (query, key, value))
    mask = None if mask is None else np.broadcast_to(mask, (*lead, rows, keys))
    keep = kept((*lead, rows, keys), dropout_p)
    out = np.zeros((*lead, rows, value.shape[-1]))
    used = np.zeros((*lead, rows, keys))
    for at in np.ndindex(*lead, rows):
        row = []
        for j in range(keys):
            s = math.fsum(a * b for a, b in zip(q[at], k[at[:-1]][j], strict=True))
            s *= width**-0.5 if scale is None else scale
            if mask is not None:
                s = (s if mask[at][j] else -math.inf) if mask.dtype == bool else s + mask[at][j]
            row.append(-math.inf if is_causal and j > at[-1] else s)
        used[at] = np.array(weights_of(row)) * keep[at] / (1 - dropout_p)
        out[at] = [math.fsum(w * x for w, x in zip(used[at], column, strict=True)) for column in v[at[:-1]].T]
    return out, used


def normal(*shapes):
    return lambda rng: tuple(rng.standard_normal(s) for s in shapes)


def masked(rng):
    """The second query may attend to nothing, the third to one key only."""
    mask = np.array([[1, 1, 0, 1, 1], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]], bool)
    return (*normal((2, 3, 4), (2, 5, 4), (2, 5, 3))(rng), mask)


PLAIN = ((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3))
CASES = [
    Case(attention, reference=reference, inputs=normal(*PLAIN), grad_ulp=16, label="plain"),
    Case(attention, {"scale": 1.0}, reference=reference, inputs=normal((3, 4), (3, 4), (3, 4)), grad_ulp=16),
    Case(attention, {"is_causal": True}, reference=reference, inputs=normal(*PLAIN), grad_ulp=16),
    Case(attention, reference=reference, inputs=masked, grad_ulp=16, label="bool mask"),
    Case(attention, {"is_causal": True}, reference=reference, inputs=masked, grad_ulp=16, label="bool mask"),
    Case(attention, reference=reference, inputs=normal(*PLAIN, (2, 1, 3, 5)), grad_ulp=16, label="float mask"),
    Case(attention, {"dropout_p": 0.5}, reference=reference, inputs=normal(*PLAIN), grad_ulp=16),
    Case(
        F.scaled_dot_product_attention,
        reference=lambda *arrays: reference(*arrays)[0],
        inputs=normal((2, 3, 4), (5, 4), (1, 5, 3)),
        grad_ulp=16,
        label="leading axes broadcast",
    ),
]
