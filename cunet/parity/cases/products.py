"""Sums, products and other reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..row import Row, function_of
from .inputs import LONG, PLAIN, REDUCTIONS, between, rows, told


def _einsum(*tensors: Any, subscripts: str) -> Any:
    return function_of("einsum")(subscripts, *tensors)


ROWS: list[Row] = [
    *rows("sum", between(-3, 3, PLAIN), *REDUCTIONS),
    *rows("sum", between(-3, 3, (1009, 7)), {"axis": 0}, label="many rows"),
    *rows("mean", between(-3, 3, PLAIN), *REDUCTIONS),
    *rows("var", between(-3, 3, PLAIN), *REDUCTIONS, {"axis": 0, "ddof": 1}),
    *rows("std", between(-3, 3, PLAIN), *REDUCTIONS),
    *rows("max", between(-3, 3, PLAIN), *REDUCTIONS),
    *rows("min", between(-3, 3, PLAIN), *REDUCTIONS),
    *rows("prod", between(0.7, 1.4, (9, 11)), *REDUCTIONS),
    *rows("sum", between(-3, 3, PLAIN), {"axis": 0, "dtype": np.float64}),
    *rows("cumsum", between(-3, 3, PLAIN), {"axis": 0}, {"axis": 1}),
    *rows("cumprod", between(0.7, 1.4, (9, 11)), {"axis": 0}, {}),
    *rows("trace", between(-3, 3, (6, 7)), {}, {"offset": 2}),
    *told("all any", lambda rng: (rng.integers(0, 2, PLAIN) * 1.5,), *REDUCTIONS),
    *rows("logsumexp", LONG, *REDUCTIONS),
    *rows("matmul", between(-2, 2, (33, 40), (40, 17))),
    *rows("matmul", between(-2, 2, (3, 9, 20), (20, 7)), label="batched"),
    *rows("dot", between(-2, 2, (3, 9, 20), (5, 20, 7))),
    *rows("inner", between(-2, 2, (3, 9, 20), (7, 20))),
    *rows("outer", between(-2, 2, (33,), (40,))),
    *rows("tensordot", between(-2, 2, (5, 9, 20), (9, 5, 7)), {"axes": ((0, 1), (1, 0))}),
    *rows("linear", between(-2, 2, (33, 40), (17, 40), (17,))),
    *rows("linear", between(-2, 2, (1009, 5), (7, 5), (7,)), label="many rows"),
    *rows("einsum", between(-2, 2, (3, 9, 20), (3, 20, 7)), {"subscripts": "bij,bjk->bik"}, call=_einsum),
]
