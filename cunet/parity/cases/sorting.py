"""What sorts, and what selects by places. Numbers with ties: both sides must put equal ones in the same order."""

from __future__ import annotations

import numpy as np

from ..row import Row
from .inputs import PLAIN, REDUCTIONS, between, moves, rows, told


def _tied(rng: np.random.Generator) -> tuple[np.ndarray]:
    return (rng.integers(-40, 40, PLAIN) / 8,)


def _places(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal(PLAIN), rng.integers(0, PLAIN[1], (PLAIN[0], 9))


ROWS: list[Row] = [
    *moves("sort", _tied, {"axis": 0}, {"axis": 1}, {"axis": None}),
    *told("topk", _tied, {"k": 5}, {"k": 5, "largest": False}),
    *told("argsort", _tied, {"axis": 0}, {"axis": None}),
    *told("argmax argmin", _tied, {}, {"axis": 1}, {"axis": 0, "keepdims": True}),
    *rows("median", between(-3, 3, PLAIN), *REDUCTIONS),
    *rows("take_along_axis", _places, {"axis": 1}),
]
