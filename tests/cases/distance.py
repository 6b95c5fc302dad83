"""Rows of `cunet.ops.distance`. The oracles go vector by vector, in 30-digit arithmetic."""

import math

import mpmath
import numpy as np

from cunet import F

from . import Case

mp = mpmath.mp.clone()
mp.dps = 30


def norm(vector, p):
    sizes = [abs(mp.mpf(float(v))) for v in vector]
    if p == 0:
        return mp.mpf(sum(s != 0 for s in sizes))
    return max(sizes) if p == math.inf else mp.fsum(s**p for s in sizes) ** (1 / mp.mpf(p))


def normalize(x, p=2.0, dim=1, eps=1e-12):
    axes = (dim,) if isinstance(dim, int) else dim
    first = np.moveaxis(x, axes, range(len(axes)))
    rows = first.reshape(math.prod(first.shape[: len(axes)]), -1).T
    rows = np.array([[float(mp.mpf(v) / max(norm(row, p), eps)) for v in row] for row in rows.tolist()])
    return np.moveaxis(rows.T.reshape(first.shape), range(len(axes)), axes)


def cosine(a, b, eps=1e-8):
    products = mp.fsum(mp.mpf(float(u)) * mp.mpf(float(v)) for u, v in zip(a, b, strict=True))
    return products / (max(norm(a, 2), eps) * max(norm(b, 2), eps))


def along(f, x1, x2, dim, **kwargs):
    x1, x2 = (np.moveaxis(x, dim, -1) for x in np.broadcast_arrays(x1, x2))
    y = np.empty(x1.shape[:-1])
    for at in np.ndindex(*y.shape):
        y[at] = f(x1[at], x2[at], **kwargs)
    return y


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    return along(cosine, x1, x2, dim, eps=eps)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    def between(a, b):
        return norm([mp.mpf(float(u)) - mp.mpf(float(v)) + mp.mpf(eps) for u, v in zip(a, b, strict=True)], p)

    y = along(between, x1, x2, -1)
    return y[..., None] if keepdim else y


def apart(*shapes):
    """Make arrays whose elements, and their differences, are far from 0 and from each other: no norm has a kink."""

    def make(rng):
        return tuple(
            (rng.permutation(math.prod(s)) + 1.0).reshape(s) * rng.choice([-1, 1], s) / (8 * 16**k)
            for k, s in enumerate(shapes)
        )

    return make


ORDERS = (0, 0.5, 1, 2, 3, math.inf)

CASES = [
    *[Case(F.normalize, {"p": p}, reference=normalize, inputs=apart((3, 5)), grad_ulp=16) for p in ORDERS],
    Case(F.normalize, {"dim": (0, -1)}, reference=normalize, inputs=apart((2, 3, 4)), grad_ulp=16),
    Case(F.normalize, {"dim": 0, "eps": 100.0}, reference=normalize, inputs=apart((3, 2)), label="shorter than eps"),
    Case(F.cosine_similarity, reference=cosine_similarity, inputs=apart((3, 5), (3, 5)), grad_ulp=16),
    Case(F.cosine_similarity, {"dim": -2}, reference=cosine_similarity, inputs=apart((2, 5, 3), (5, 1)), grad_ulp=16),
    Case(F.cosine_similarity, {"eps": 2.0}, reference=cosine_similarity, inputs=apart((3, 2), (3, 2))),
    *[
        Case(F.pairwise_distance, {"p": p}, reference=pairwise_distance, inputs=apart((3, 5), (3, 5)), grad_ulp=16)
        for p in ORDERS
    ],
    Case(
        F.pairwise_distance,
        {"eps": 0.125, "keepdim": True},
        reference=pairwise_distance,
        inputs=apart((2, 3, 4), (3, 4)),
        grad_ulp=16,
    ),
]
