"""Softmax and losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..row import Row
from .inputs import LONG, PLAIN, beside, between, labels, probabilities, rows

WAYS: Sequence[dict[str, Any]] = [{"reduction": r} for r in ("mean", "sum", "none")]


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
]
