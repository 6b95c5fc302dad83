"""Convolution, pooling, attention and recurrent layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..row import Row, function_of
from .inputs import between, moves, rows


def projected(*arrays: Any, **static: Any) -> Any:
    """Call the LSTM with a projection, the last of the arrays, and without a mask."""
    *others, w_hr = arrays
    return function_of("lstm_layer")(*others, None, w_hr, **static)


ROWS: list[Row] = [
    *rows("conv1d", between(-2, 2, (4, 6, 35), (8, 6, 5), (8,)), {"stride": 2, "padding": 1}),
    *rows("conv2d", between(-2, 2, (3, 4, 13, 11), (6, 4, 3, 3), (6,)), {"padding": 1}, {"stride": 2, "dilation": 2}),
    *rows("conv2d", between(-2, 2, (3, 4, 13, 11), (8, 1, 3, 3)), {"groups": 4}),
    *rows("conv2d", between(-2, 2, (3, 13, 11, 4), (6, 4, 3, 3), (6,)), {"channels_last": True}),
    *rows("conv3d", between(-2, 2, (2, 3, 5, 6, 7), (4, 3, 2, 3, 3), (4,)), {"padding": 1}),
    *rows("conv_transpose1d", between(-2, 2, (4, 6, 17), (6, 8, 5), (8,)), {"stride": 2, "output_padding": 1}),
    *rows("conv_transpose2d", between(-2, 2, (3, 4, 7, 6), (4, 6, 3, 3), (6,)), {"stride": 2, "padding": 1}),
    *rows("conv_transpose3d", between(-2, 2, (2, 3, 4, 3, 5), (3, 4, 2, 3, 3), (4,)), {"stride": 2}),
    *[
        row
        for n, shape in ((1, (4, 6, 35)), (2, (4, 6, 13, 11)), (3, (2, 3, 7, 6, 5)))
        for row in [
            *moves(f"max_pool{n}d", between(-3, 3, shape), {"kernel_size": 2}),
            *rows(f"max_pool{n}d", between(-3, 3, shape), {"kernel_size": 3, "stride": 2, "padding": 1}),
            *rows(f"avg_pool{n}d", between(-3, 3, shape), {"kernel_size": 3, "stride": 2, "padding": 1}),
            *rows(f"adaptive_max_pool{n}d", between(-3, 3, shape), {"output_size": 3}),
            *rows(f"adaptive_avg_pool{n}d", between(-3, 3, shape), {"output_size": 3}),
        ]
    ],
    *moves("F.pad", between(-3, 3, (3, 4, 6, 7)), {"pad": (1, 2, 0, 3), "value": 0.5}),
    *rows("F.pad", between(-3, 3, (3, 4, 6, 7)), *[{"pad": (1, 2, 2, 3), "mode": m} for m in ("reflect", "replicate")]),
    *rows(
        "interpolate",
        between(-3, 3, (3, 4, 6, 7)),
        *[{"size": (11, 9), "mode": m} for m in ("nearest", "bilinear", "bicubic", "area")],
    ),
    *rows(
        "scaled_dot_product_attention",
        between(-2, 2, *[(2, 3, 17, 8)] * 3),
        {},
        {"is_causal": True},
        {"dropout_p": 0.5},
    ),
    *rows("rnn_layer", between(-1, 1, (7, 5, 6), (5, 9), (9, 6), (9, 9), (9,), (9,)), {}, {"nonlinearity": "relu"}),
    *rows(
        "lstm_layer", between(-1, 1, (7, 5, 6), (5, 9), (5, 9), (36, 6), (36, 9), (36,), (36,)), {}, {"reverse": True}
    ),
    *rows(
        "lstm_layer",
        between(-1, 1, (7, 5, 6), (5, 4), (5, 9), (36, 6), (36, 4), (36,), (36,), (4, 9)),
        {"sizes": (5, 5, 4, 4, 3, 1, 1)},
        call=projected,
        label="projected",
    ),
    *rows(
        "gru_layer", between(-1, 1, (7, 5, 6), (5, 9), (27, 6), (27, 9), (27,), (27,)), {"sizes": (5, 5, 4, 4, 3, 1, 1)}
    ),
    *moves("reorder", between(-3, 3, (7, 5, 6)), {"order": np.array([3, 1, 0, 4, 2]), "axis": 1}),
]
