"""Rows of the losses with margins, and of those of pairs and triplets. The oracles go pair by pair."""

import math

import numpy as np

from cunet import F

from . import Case
from .distance import mp, norm, pairwise_distance
from .loss import REDUCTIONS, WEIGHTS, labelled, reduced


def each(f):
    """Make an array oracle of a function of numbers."""

    def reference(*arrays, reduction="mean", **kwargs):
        losses = [float(f(*values, **kwargs)) for values in zip(*(a.ravel().tolist() for a in arrays), strict=True)]
        return reduced(np.reshape(losses, arrays[0].shape), reduction)

    return reference


def ranking(a, b, t, margin=0.0):
    return max(0.0, -t * (a - b) + margin)


def hinge(x, t, margin=1.0):
    return x if t > 0 else max(0.0, margin - x)


def soft(x, t):
    return mp.log(1 + mp.exp(-mp.mpf(t) * mp.mpf(x)))


def multi_margin(x, target, p=1, margin=1.0, weight=None, reduction="mean"):
    rows, labels = np.atleast_2d(x), np.atleast_1d(target)
    losses = []
    for row, t in zip(rows.tolist(), labels.tolist(), strict=True):
        parts = [max(0.0, margin - row[t] + v) ** p for j, v in enumerate(row) if j != t]
        losses.append((1 if weight is None else weight[t]) * math.fsum(parts) / len(row))
    return reduced(np.reshape(losses, np.shape(target)), reduction)


def cosine_embedding(x1, x2, target, margin=0.0, reduction="mean"):
    losses = []
    for a, b, t in zip(np.atleast_2d(x1), np.atleast_2d(x2), np.atleast_1d(target), strict=True):
        products = mp.fsum(mp.mpf(float(u)) * mp.mpf(float(v)) for u, v in zip(a, b, strict=True))
        c = products / mp.sqrt((norm(a, 2) ** 2 + mp.mpf(1e-12)) * (norm(b, 2) ** 2 + mp.mpf(1e-12)))
        losses.append(float(1 - c if t > 0 else max(0, c - margin)))
    return reduced(np.reshape(losses, np.shape(target)), reduction)


def triplet(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = np.minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduced(np.maximum(near - far + margin, 0), reduction)


def manhattan(x, y):
    return abs(x - y).sum(axis=-1)


def triplet_by_manhattan(anchor, positive, negative, **kwargs):
    return F.triplet_margin_with_distance_loss(anchor, positive, negative, distance_function=manhattan, **kwargs)


def steps(*shapes):
    """Draw eighths: differences, and their distances from margins, are 0 or large, and exact in half types too."""
    return lambda rng: tuple((rng.integers(-16, 16, s) * 2 + 1) / 8 for s in shapes)


def signs(*shape):
    return lambda rng: rng.choice([-1.0, 1.0], shape)


def beside(first, make):
    return lambda rng: (*first(rng), make(rng))


def vectors(*shapes):
    return lambda rng: tuple(rng.uniform(0.5, 2, s) * rng.choice([-1, 1], s) for s in shapes)


CASES = [
    *[
        Case(
            F.margin_ranking_loss,
            {"margin": 0.125, "reduction": r},
            reference=each(ranking),
            inputs=beside(steps((4, 6), (4, 6)), signs(4, 6)),
        )
        for r in REDUCTIONS
    ],
    *[
        Case(
            F.hinge_embedding_loss,
            {"margin": m, "reduction": r},
            reference=each(hinge),
            inputs=beside(steps((4, 6)), signs(4, 6)),
            differentiable=(0,),
        )
        for m, r in zip((0.5, 1.0, 2.0), REDUCTIONS, strict=True)
    ],
    *[
        Case(F.soft_margin_loss, {"reduction": r}, reference=each(soft), inputs=beside(steps((4, 6)), signs(4, 6)))
        for r in REDUCTIONS
    ],
    *[
        Case(
            F.multi_margin_loss, {"p": p, "margin": 0.75, "reduction": r}, reference=multi_margin, inputs=labelled(6, 4)
        )
        for p in (1, 2)
        for r in REDUCTIONS
    ],
    Case(F.multi_margin_loss, {"weight": WEIGHTS}, reference=multi_margin, inputs=labelled(9, 4, dtype=np.uint8)),
    Case(F.multi_margin_loss, {"p": 2}, reference=multi_margin, inputs=labelled(5), label="one sample"),
    *[
        Case(
            F.cosine_embedding_loss,
            {"margin": -0.25, "reduction": r},
            reference=cosine_embedding,
            inputs=beside(vectors((9, 5), (9, 5)), signs(9)),
            differentiable=(0, 1),
            grad_ulp=16,
        )
        for r in REDUCTIONS
    ],
    Case(
        F.cosine_embedding_loss,
        reference=cosine_embedding,
        inputs=beside(vectors((5,), (5,)), lambda rng: np.array(1.0)),
        differentiable=(0, 1),
        grad_ulp=16,
        label="one pair",
    ),
    *[
        Case(
            F.triplet_margin_loss,
            {"margin": 1.5, "p": p, "swap": swap, "reduction": r},
            reference=triplet,
            inputs=vectors((7, 5), (7, 5), (7, 5)),
            ulp=16,  # distances are rounded to the dtype before they are subtracted
            grad_ulp=16,
        )
        for p, swap, r in [(2.0, False, "mean"), (2.0, True, "none"), (1.0, True, "sum"), (3.0, False, "none")]
    ],
    Case(F.triplet_margin_loss, reference=triplet, inputs=vectors((5,), (5,), (5,)), label="one", ulp=16, grad_ulp=16),
    Case(
        triplet_by_manhattan,
        {"swap": True},
        reference=lambda *things, swap: triplet(*things, p=1.0, eps=0.0, swap=swap),
        inputs=vectors((7, 5), (7, 5), (7, 5)),
        ulp=16,
        grad_ulp=16,
    ),
]
