"""Norms, and dropout, whose mask is drawn from the seed, which is the same on both sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..row import Row, function_of
from .inputs import PLAIN, between, moves, rows

IMAGES = between(-2, 2, (4, 6, 9, 11))
NORMED = between(-2, 2, (4, 6, 9, 11), (6,), (6,))


def affine(name: str, first: str | None = None) -> Callable[..., Any]:
    """Call a norm whose weight and bias do not follow its input; but `first`, where that is needed."""

    def call(x: Any, weight: Any = None, bias: Any = None, **static: Any) -> Any:
        extra = {} if bias is None else {"bias": bias}
        lead = [] if first is None else [static.pop(first)]
        return function_of(name)(x, *lead, weight=weight, **extra, **static)

    return call


def _statistics(rng: np.random.Generator) -> tuple[Any, ...]:
    return tuple(rng.uniform(0.5, 2, s) for s in ((4, 6, 9, 11), (6,), (6,), (6,), (6,)))


ROWS: list[Row] = [
    *rows("batch_norm_training", between(-2, 2, (64, 33), (33,), (33,))),
    *rows("batch_norm_training", between(-2, 2, (521, 7), (7,), (7,)), label="many rows"),
    *rows(
        "batch_norm_training", NORMED, {"axis": 1}, {"axis": 1, "activation": "relu"}, {"axis": 1, "activation": "gelu"}
    ),
    *rows("batch_norm_training", between(-2, 2, (4, 9, 11, 6), (6,), (6,)), {"axis": -1}),
    *rows("batch_norm_inference", _statistics, {}, {"activation": "elu"}),
    *rows("batch_norm", _statistics, {}, {"training": True, "axis": 1}),
    *rows(
        "layer_norm",
        between(-2, 2, (9, 700), (700,), (700,)),
        {"normalized_shape": 700},
        {"normalized_shape": 700, "activation": "silu"},
        call=affine("layer_norm", "normalized_shape"),
    ),
    *rows(
        "group_norm",
        NORMED,
        {"num_groups": 3},
        {"num_groups": 3, "activation": "sigmoid"},
        call=affine("group_norm", "num_groups"),
    ),
    *rows("instance_norm", NORMED, call=affine("instance_norm")),
    *rows(
        "rms_norm",
        between(-2, 2, (9, 700), (700,)),
        {"normalized_shape": 700},
        {"normalized_shape": 700, "activation": "leaky_relu"},
        call=affine("rms_norm", "normalized_shape"),
    ),
    *moves("dropout", between(-3, 3, PLAIN), {"p": 0.5}, {"p": 0.1}),
    # a * x + b, or x * (1 + s * n), of which a GPU may round the sum once: near its zero no place of a term is left.
    Row("alpha_dropout", between(-3, 3, PLAIN), {"p": 0.25, "training": True}, "sum"),
    Row("feature_alpha_dropout", IMAGES, {"p": 0.25, "training": True}, "sum"),
    Row("gaussian_dropout", between(-3, 3, PLAIN), {"p": 0.3}, "sum"),
    *moves("dropout_channel", IMAGES, {"p": 0.5}),
    *moves("dropout1d", between(-3, 3, (6, 20, 7)), {"p": 0.5}),
    *moves("dropout2d", IMAGES, {"p": 0.5}),
    *moves("dropout3d", between(-3, 3, (4, 6, 3, 2, 5)), {"p": 0.5}),
    *moves("stochastic_depth", IMAGES, {"p": 0.5}, {"p": 0.5, "mode": "batch"}),
    *moves("drop_connect", between(-3, 3, PLAIN), {"p": 0.5}),
    *moves("variational_dropout", between(-3, 3, (7, 5, 33)), {"p": 0.5}),
]
