"""Softmax, distances and losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..row import Row
from .inputs import LONG, PLAIN, beside, between, labels, probabilities, rows, signs

WAYS: Sequence[dict[str, Any]] = [{"reduction": r} for r in ("mean", "sum", "none")]
SWAPS: Sequence[dict[str, Any]] = [{"p": p, "swap": swap} for p in (1.0, 2.0) for swap in (False, True)]
PAIRS = between(-2, 2, PLAIN, PLAIN)
TRIPLETS = between(-2, 2, PLAIN, PLAIN, PLAIN)


ROWS: list[Row] = [
    *rows("softmax", LONG, {"axis": 1}, {"axis": 0}),
    *rows("softmax", between(-3, 3, (2, 17000)), {"axis": 1}, label="few long rows"),
    *rows("log_softmax", LONG, {"axis": 1}, {"axis": 0}),
    *rows("cross_entropy", beside(between(-9, 9, (33, 70)), labels(70, 33)), *WAYS, {"label_smoothing": 0.1}),
    *rows("cross_entropy", beside(between(-9, 9, (5, 7, 4, 3)), labels(7, 5, 4, 3)), {"axis": 1}),
    *rows(
        "cross_entropy",
        beside(between(-9, 9, (33, 70)), probabilities(33, 70)),
        {"label_smoothing": 0.2},
        label="probabilities",
    ),
    *rows("nll_loss", beside(between(-9, 0, (33, 70)), labels(70, 33)), *WAYS),
    *rows("mse_loss", between(-2, 2, PLAIN, PLAIN), *WAYS),
    *rows("l1_loss", between(-2, 2, PLAIN, PLAIN), *WAYS),
    *rows("huber_loss", between(-2, 2, PLAIN, PLAIN), *WAYS),
    *rows("smooth_l1_loss", between(-2, 2, PLAIN, PLAIN), *WAYS),
    *rows("binary_cross_entropy_with_logits", beside(between(-6, 6, PLAIN), lambda rng: rng.random(PLAIN)), *WAYS),
    *rows("binary_cross_entropy", between(0.05, 0.95, PLAIN, PLAIN), *WAYS),
    *rows("kl_div", beside(between(-5, -0.1, PLAIN), lambda rng: rng.uniform(0.05, 0.9, PLAIN)), *WAYS),
    *rows("softmin", LONG, {"dim": 1}, {"dim": 0}),
    *rows("normalize", between(-3, 3, PLAIN), *[{"p": p, "dim": dim} for p in (1.0, 2.0, 3.0) for dim in (0, 1)]),
    *rows("cosine_similarity", PAIRS, {"dim": 0}, {"dim": 1}),
    *rows("pairwise_distance", PAIRS, *[{"p": p} for p in (1.0, 2.0, 3.0)]),
    *rows("margin_ranking_loss", beside(PAIRS, signs(*PLAIN)), *WAYS),
    *rows("hinge_embedding_loss", beside(between(-2, 2, PLAIN), signs(*PLAIN)), *WAYS),
    *rows("soft_margin_loss", beside(between(-6, 6, PLAIN), signs(*PLAIN)), *WAYS),
    *rows("multi_margin_loss", beside(between(-2, 2, (33, 70)), labels(70, 33)), *WAYS, {"p": 2}),
    *rows("cosine_embedding_loss", beside(PAIRS, signs(33)), *WAYS),
    *rows("triplet_margin_loss", TRIPLETS, *SWAPS),
    *rows("triplet_margin_with_distance_loss", TRIPLETS),
    *rows("gaussian_nll_loss", beside(PAIRS, lambda rng: rng.uniform(0.1, 2, PLAIN)), *WAYS, {"full": True}),
    *rows(
        "poisson_nll_loss",
        beside(between(0.5, 3, PLAIN), labels(7, *PLAIN)),
        *[{"log_input": log, "full": full} for log in (True, False) for full in (True, False)],
    ),
]
