"""Functions of single elements, and activations, from their registry."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops.activation.registry import ACTIVATIONS
from ..row import Row
from .inputs import PLAIN, between, each, moves, rows, special, told


def _activations() -> list[Row]:
    """Rows of all elementwise activations, one for each pair of kernels."""
    return [
        Row(entry.name, between(-8, 8, PLAIN), options, "sum" if entry.cancels else "each")
        for entry in ACTIVATIONS.values()
        for options in entry.settings()
    ]


def _chosen(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.random(PLAIN) < 0.5, rng.standard_normal(PLAIN), rng.standard_normal(PLAIN[1])


ROWS: list[Row] = [
    *each("abs sin cos erf arctan arcsinh negative square", -6, 6),
    *each("floor ceil trunc round sign", -6, 6, kind="move"),
    *moves("round", between(-3, 3, PLAIN), {"decimals": 1}),
    *moves("nan_to_num", special, {}, {"nan": 0.5, "posinf": 7.0, "neginf": -7.0}),
    *told("isnan isinf isfinite", special),
    *each("erfc", -3, 9),
    *each("exp expm1 exp2 sinh cosh", -8, 8),
    *each("tan arcsin arccos arctanh", -0.95, 0.95),
    *each("log log1p log2 log10 sqrt rsqrt reciprocal", 0.05, 9),
    *each("arccosh", 1.05, 9),
    *each("add subtract multiply maximum minimum", -3, 3, PLAIN, PLAIN[1:], kind="sum"),
    *each("divide power logaddexp", 0.5, 3, PLAIN, PLAIN),
    *each("hypot arctan2 remainder mod floor_divide divmod", -3, 3, PLAIN, PLAIN),
    *rows("lerp", between(-3, 3, PLAIN, PLAIN[1:], (33, 1))),
    *rows("where", _chosen),
    *moves("clip", between(-3, 3, PLAIN), {"min": -1.0, "max": 2.0}),
    *_activations(),
    *each("identity", -6, 8),
    *rows("glu", between(-4, 4, PLAIN), {"axis": 1}),
    *rows("prelu", between(-3, 3, (8, 5, 7, 3), (5,))),
    *rows("prelu", between(-3, 3, (1009, 5), (5,)), label="many rows"),
]
