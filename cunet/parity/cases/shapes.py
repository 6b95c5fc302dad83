"""What moves elements, selects them and puts arrays together."""

from __future__ import annotations

import numpy as np

from ..row import Row
from .inputs import PLAIN, between, joined, moves, rows

ROWS: list[Row] = [
    *moves("reshape", between(-3, 3, PLAIN), {"shape": (70, 33)}),
    *moves("transpose", between(-3, 3, (5, 6, 7)), {"axes": (2, 0, 1)}),
    *moves("swapaxes", between(-3, 3, (5, 6, 7)), {"axis1": 0, "axis2": 2}),
    *moves("squeeze", between(-3, 3, (5, 1, 7)), {"axis": 1}),
    *moves("expand_dims", between(-3, 3, (5, 7)), {"axis": 1}),
    *rows("broadcast_to", between(-3, 3, (5, 1)), {"shape": (3, 5, 7)}),
    *moves("concatenate", between(-3, 3, (5, 7), (3, 7)), {"axis": 0}, call=joined("concatenate")),
    *moves("stack", between(-3, 3, (5, 7), (5, 7)), {"axis": 1}, call=joined("stack")),
    *moves("split", between(-3, 3, (6, 7)), {"sections": 3}),
    *moves("pad", between(-3, 3, (6, 7)), {"pad_width": ((1, 2), (0, 3)), "value": 0.5}),
    *moves("flip", between(-3, 3, (6, 7)), {"axis": 1}),
    *rows("tile", between(-3, 3, (6, 7)), {"reps": (2, 3)}),
    *rows("repeat", between(-3, 3, (6, 7)), {"repeats": 3, "axis": 1}),
    *moves("diagonal", between(-3, 3, (6, 7)), {}, {"offset": -2}),
    *moves("diag", between(-3, 3, (7,)), {"k": 1}),
    *[row for name in ("tril", "triu") for row in moves(name, between(-3, 3, (3, 6, 7)), {"k": 1})],
    *moves("roll", between(-3, 3, (6, 7)), {"shift": 9}, {"shift": (2, -3), "axis": (0, 1)}),
    *moves("moveaxis", between(-3, 3, (5, 6, 7)), {"source": 0, "destination": 2}),
    *moves("hstack", between(-3, 3, (5, 7), (5, 3)), call=joined("hstack")),
    *moves("vstack", between(-3, 3, (5, 7), (7,)), call=joined("vstack")),
    *rows("diff", between(-3, 3, PLAIN), {"n": 2}, {"axis": 0, "prepend": 1.0}),
    *moves("astype", between(-3, 3, PLAIN), {"dtype": np.float32}),
    *moves("getitem", between(-3, 3, (6, 7)), {"index": (slice(1, None, 2), 3)}),
    *rows("getitem", between(-3, 3, (6, 7)), {"index": [2, 0, 2, 2, 5]}),
    *rows("embedding", lambda rng: (rng.integers(0, 9, (40, 3)), rng.standard_normal((9, 33)))),
    *moves("one_hot", lambda rng: (rng.integers(0, 9, 40),), {"num_classes": 9}),
    *moves("pixel_shuffle", between(-3, 3, (2, 12, 5, 7)), {"upscale_factor": 2}),
    *moves("pixel_unshuffle", between(-3, 3, (2, 3, 6, 8)), {"downscale_factor": 2}),
]
