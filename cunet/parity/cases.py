"""What `cunet.parity` runs: at least one call of every public op, with inputs of a size at which kernels show their
seams (several tiles of dropout, rows longer than a block, lengths that no power of two divides).

A new op adds a row here; a test names the op that has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import cunet

from ..ops.activation.registry import ACTIVATIONS
from .row import Inputs, Row, function_of


def between(low: float, high: float, *shapes: tuple[int, ...]) -> Inputs:
    """Draw arrays of `shapes`, uniform in [low, high)."""
    return lambda rng: tuple(rng.uniform(low, high, shape) for shape in shapes)


def _with(first: Inputs, make: Callable[[np.random.Generator], Any]) -> Inputs:
    """Add one argument."""
    return lambda rng: (*first(rng), make(rng))


def _labels(classes: int, *shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.integers(0, classes, shape)


def _probabilities(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    def make(rng: np.random.Generator) -> np.ndarray:
        q = rng.uniform(0.1, 1, shape)
        return q / q.sum(axis=1, keepdims=True)

    return make


PLAIN = (33, 70)  # 2310 elements: four tiles of 512 and a part of one


def _each(names: str, low: float, high: float, *shapes: tuple[int, ...], kind: str = "each") -> list[Row]:
    """Rows of functions of single elements, all with the same kind of input."""
    return [Row(name, between(low, high, *(shapes or (PLAIN,))), {}, kind) for name in names.split()]


def _activations() -> list[Row]:
    """Rows of all elementwise activations, one for each pair of kernels."""
    return [
        Row(entry.name, between(-8, 8, PLAIN), options, "sum" if entry.cancels else "each")
        for entry in ACTIVATIONS.values()
        for options in entry.settings()
    ]


def _rows(name: str, inputs: Inputs, *statics: dict[str, Any], **more: Any) -> list[Row]:
    """Rows of an op that sums, one for each setting."""
    return [Row(name, inputs, static, "sum", **more) for static in statics or ({},)]


def _moves(name: str, inputs: Inputs, *statics: dict[str, Any], **more: Any) -> list[Row]:
    """Rows of an op that only moves elements."""
    return [Row(name, inputs, static, "move", **more) for static in statics or ({},)]


def _joined(name: str) -> Callable[..., Any]:
    return lambda *tensors, **static: function_of(name)(tensors, **static)


def _einsum(*tensors: Any, subscripts: str) -> Any:
    return cunet.einsum(subscripts, *tensors)


def _affine(name: str, first: str) -> Callable[..., Any]:
    """Call a norm whose weight and bias follow the argument `first`."""

    def call(x: Any, weight: Any = None, bias: Any = None, **static: Any) -> Any:
        extra = {} if bias is None else {"bias": bias}
        return function_of(name)(x, static.pop(first), weight=weight, **extra, **static)

    return call


_REDUCTIONS: Sequence[dict[str, Any]] = ({}, {"axis": 0}, {"axis": 1, "keepdims": True})
_WAYS: Sequence[dict[str, Any]] = [{"reduction": r} for r in ("mean", "sum", "none")]
_LONG = between(-3, 3, (9, 700))
_IMAGES = between(-2, 2, (4, 6, 9, 11))
_NORMED = between(-2, 2, (4, 6, 9, 11), (6,), (6,))


def _chosen(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.random(PLAIN) < 0.5, rng.standard_normal(PLAIN), rng.standard_normal(PLAIN[1])


def _statistics(rng: np.random.Generator) -> tuple[Any, ...]:
    return tuple(rng.uniform(0.5, 2, s) for s in ((4, 6, 9, 11), (6,), (6,), (6,), (6,)))


ROWS: list[Row] = [
    # functions of single elements
    *_each("abs sin cos erf arctan arcsinh negative square", -6, 6),
    *_each("exp expm1 exp2 sinh cosh", -8, 8),
    *_each("tan arcsin arccos arctanh", -0.95, 0.95),
    *_each("log log1p log2 log10 sqrt reciprocal", 0.05, 9),
    *_each("arccosh", 1.05, 9),
    *_each("add subtract multiply maximum minimum", -3, 3, PLAIN, PLAIN[1:], kind="sum"),
    *_each("divide power", 0.5, 3, PLAIN, PLAIN),
    *_rows("where", _chosen),
    *_moves("clip", between(-3, 3, PLAIN), {"low": -1.0, "high": 2.0}),
    # activations: the elementwise ones from their registry
    *_activations(),
    *_each("identity", -6, 8),
    *_rows("glu", between(-4, 4, PLAIN), {"axis": 1}),
    *_rows("prelu", between(-3, 3, (8, 5, 7, 3), (5,))),
    *_rows("prelu", between(-3, 3, (1009, 5), (5,)), label="many rows"),
    # sums and products
    *_rows("sum", between(-3, 3, PLAIN), *_REDUCTIONS),
    *_rows("sum", between(-3, 3, (1009, 7)), {"axis": 0}, label="many rows"),
    *_rows("mean", between(-3, 3, PLAIN), *_REDUCTIONS),
    *_rows("var", between(-3, 3, PLAIN), *_REDUCTIONS, {"axis": 0, "ddof": 1}),
    *_rows("std", between(-3, 3, PLAIN), *_REDUCTIONS),
    *_rows("max", between(-3, 3, PLAIN), *_REDUCTIONS),
    *_rows("min", between(-3, 3, PLAIN), *_REDUCTIONS),
    *_rows("prod", between(0.7, 1.4, (9, 11)), *_REDUCTIONS),
    *_rows("cumsum", between(-3, 3, PLAIN), {"axis": 0}, {"axis": 1}),
    *_rows("logsumexp", _LONG, *_REDUCTIONS),
    *_rows("matmul", between(-2, 2, (33, 40), (40, 17))),
    *_rows("matmul", between(-2, 2, (3, 9, 20), (20, 7)), label="batched"),
    *_rows("dot", between(-2, 2, (3, 9, 20), (5, 20, 7))),
    *_rows("inner", between(-2, 2, (3, 9, 20), (7, 20))),
    *_rows("outer", between(-2, 2, (33,), (40,))),
    *_rows("tensordot", between(-2, 2, (5, 9, 20), (9, 5, 7)), {"axes": ((0, 1), (1, 0))}),
    *_rows("linear", between(-2, 2, (33, 40), (17, 40), (17,))),
    *_rows("linear", between(-2, 2, (1009, 5), (7, 5), (7,)), label="many rows"),
    *_rows("einsum", between(-2, 2, (3, 9, 20), (3, 20, 7)), {"subscripts": "bij,bjk->bik"}, call=_einsum),
    # shapes
    *_moves("reshape", between(-3, 3, PLAIN), {"shape": (70, 33)}),
    *_moves("transpose", between(-3, 3, (5, 6, 7)), {"axes": (2, 0, 1)}),
    *_moves("swapaxes", between(-3, 3, (5, 6, 7)), {"axis1": 0, "axis2": 2}),
    *_moves("squeeze", between(-3, 3, (5, 1, 7)), {"axis": 1}),
    *_moves("expand_dims", between(-3, 3, (5, 7)), {"axis": 1}),
    *_rows("broadcast_to", between(-3, 3, (5, 1)), {"shape": (3, 5, 7)}),
    *_moves("concatenate", between(-3, 3, (5, 7), (3, 7)), {"axis": 0}, call=_joined("concatenate")),
    *_moves("stack", between(-3, 3, (5, 7), (5, 7)), {"axis": 1}, call=_joined("stack")),
    *_moves("split", between(-3, 3, (6, 7)), {"sections": 3}),
    *_moves("pad", between(-3, 3, (6, 7)), {"pad_width": ((1, 2), (0, 3)), "value": 0.5}),
    *_moves("flip", between(-3, 3, (6, 7)), {"axis": 1}),
    *_rows("tile", between(-3, 3, (6, 7)), {"reps": (2, 3)}),
    *_rows("repeat", between(-3, 3, (6, 7)), {"repeats": 3, "axis": 1}),
    *_moves("diagonal", between(-3, 3, (6, 7))),
    *_moves("astype", between(-3, 3, PLAIN), {"dtype": np.float32}),
    *_moves("getitem", between(-3, 3, (6, 7)), {"index": (slice(1, None, 2), 3)}),
    *_rows("getitem", between(-3, 3, (6, 7)), {"index": [2, 0, 2, 2, 5]}),
    *_rows("embedding", lambda rng: (rng.integers(0, 9, (40, 3)), rng.standard_normal((9, 33)))),
    *_moves("one_hot", lambda rng: (rng.integers(0, 9, 40),), {"num_classes": 9}),
    # softmax and losses
    *_rows("softmax", _LONG, {"axis": 1}, {"axis": 0}),
    *_rows("softmax", between(-3, 3, (2, 17000)), {"axis": 1}, label="few long rows"),
    *_rows("log_softmax", _LONG, {"axis": 1}, {"axis": 0}),
    *_rows("cross_entropy", _with(between(-9, 9, (33, 70)), _labels(70, 33)), *_WAYS, {"label_smoothing": 0.1}),
    *_rows("cross_entropy", _with(between(-9, 9, (5, 7, 4, 3)), _labels(7, 5, 4, 3)), {"axis": 1}),
    *_rows(
        "cross_entropy",
        _with(between(-9, 9, (33, 70)), _probabilities(33, 70)),
        {"label_smoothing": 0.2},
        label="probabilities",
    ),
    *_rows("nll_loss", _with(between(-9, 0, (33, 70)), _labels(70, 33)), *_WAYS),
    *_rows("mse_loss", between(-2, 2, PLAIN, PLAIN), *_WAYS),
    *_rows("l1_loss", between(-2, 2, PLAIN, PLAIN), *_WAYS),
    *_rows("huber_loss", between(-2, 2, PLAIN, PLAIN), *_WAYS),
    *_rows("smooth_l1_loss", between(-2, 2, PLAIN, PLAIN), *_WAYS),
    *_rows("binary_cross_entropy_with_logits", _with(between(-6, 6, PLAIN), lambda rng: rng.random(PLAIN)), *_WAYS),
    *_rows("kl_div", _with(between(-5, -0.1, PLAIN), lambda rng: rng.uniform(0.05, 0.9, PLAIN)), *_WAYS),
    # norms
    *_rows("batch_norm", between(-2, 2, (64, 33), (33,), (33,))),
    *_rows("batch_norm", between(-2, 2, (521, 7), (7,), (7,)), label="many rows"),
    *_rows("batch_norm", _NORMED, {"axis": 1}, {"axis": 1, "activation": "relu"}, {"axis": 1, "activation": "gelu"}),
    *_rows("batch_norm", between(-2, 2, (4, 9, 11, 6), (6,), (6,)), {"axis": -1}),
    *_rows("batch_norm_inference", _statistics, {}, {"activation": "elu"}),
    *_rows(
        "layer_norm",
        between(-2, 2, (9, 700), (700,), (700,)),
        {"normalized_shape": 700},
        {"normalized_shape": 700, "activation": "silu"},
        call=_affine("layer_norm", "normalized_shape"),
    ),
    *_rows(
        "group_norm",
        _NORMED,
        {"num_groups": 3},
        {"num_groups": 3, "activation": "sigmoid"},
        call=_affine("group_norm", "num_groups"),
    ),
    *_rows("instance_norm", _NORMED),
    *_rows(
        "rms_norm",
        between(-2, 2, (9, 700), (700,)),
        {"normalized_shape": 700},
        {"normalized_shape": 700, "activation": "leaky_relu"},
        call=_affine("rms_norm", "normalized_shape"),
    ),
    # dropout: the mask is drawn from the seed, which is the same on both sides
    *_moves("dropout", between(-3, 3, PLAIN), {"p": 0.5}, {"p": 0.1}),
    Row("alpha_dropout", between(-3, 3, PLAIN), {"p": 0.25}, "each"),
    Row("feature_alpha_dropout", _IMAGES, {"p": 0.25}, "each"),
    *_moves("dropout_channel", _IMAGES, {"p": 0.5}),
    *_moves("dropout1d", between(-3, 3, (6, 20, 7)), {"p": 0.5}),
    *_moves("dropout2d", _IMAGES, {"p": 0.5}),
    *_moves("dropout3d", between(-3, 3, (4, 6, 3, 2, 5)), {"p": 0.5}),
    *_moves("drop_connect", between(-3, 3, PLAIN), {"p": 0.5}),
    *_moves("variational_dropout", between(-3, 3, (7, 5, 33)), {"p": 0.5}),
    # convolution and its relatives
    *_rows("conv1d", between(-2, 2, (4, 6, 35), (8, 6, 5), (8,)), {"stride": 2, "padding": 1}),
    *_rows("conv2d", between(-2, 2, (3, 4, 13, 11), (6, 4, 3, 3), (6,)), {"padding": 1}, {"stride": 2, "dilation": 2}),
    *_rows("conv2d", between(-2, 2, (3, 4, 13, 11), (8, 1, 3, 3)), {"groups": 4}),
    *_rows("conv2d", between(-2, 2, (3, 13, 11, 4), (6, 4, 3, 3), (6,)), {"channels_last": True}),
    *_rows("conv3d", between(-2, 2, (2, 3, 5, 6, 7), (4, 3, 2, 3, 3), (4,)), {"padding": 1}),
    *_rows("conv_transpose1d", between(-2, 2, (4, 6, 17), (6, 8, 5), (8,)), {"stride": 2, "output_padding": 1}),
    *_rows("conv_transpose2d", between(-2, 2, (3, 4, 7, 6), (4, 6, 3, 3), (6,)), {"stride": 2, "padding": 1}),
    *_rows("conv_transpose3d", between(-2, 2, (2, 3, 4, 3, 5), (3, 4, 2, 3, 3), (4,)), {"stride": 2}),
    *[
        row
        for n, shape in ((1, (4, 6, 35)), (2, (4, 6, 13, 11)), (3, (2, 3, 7, 6, 5)))
        for row in [
            *_moves(f"max_pool{n}d", between(-3, 3, shape), {"kernel_size": 2}),
            *_rows(f"max_pool{n}d", between(-3, 3, shape), {"kernel_size": 3, "stride": 2, "padding": 1}),
            *_rows(f"avg_pool{n}d", between(-3, 3, shape), {"kernel_size": 3, "stride": 2, "padding": 1}),
            *_rows(f"adaptive_max_pool{n}d", between(-3, 3, shape), {"output_size": 3}),
            *_rows(f"adaptive_avg_pool{n}d", between(-3, 3, shape), {"output_size": 3}),
        ]
    ],
    *_moves("F.pad", between(-3, 3, (3, 4, 6, 7)), {"pad": (1, 2, 0, 3), "value": 0.5}),
    *_rows(
        "F.pad", between(-3, 3, (3, 4, 6, 7)), *[{"pad": (1, 2, 2, 3), "mode": m} for m in ("reflect", "replicate")]
    ),
    *_rows(
        "interpolate", between(-3, 3, (3, 4, 6, 7)), *[{"size": (11, 9), "mode": m} for m in ("nearest", "bilinear")]
    ),
    # attention and recurrent layers
    *_rows(
        "scaled_dot_product_attention",
        between(-2, 2, *[(2, 3, 17, 8)] * 3),
        {},
        {"is_causal": True},
        {"dropout_p": 0.5},
    ),
    *_rows("rnn_layer", between(-1, 1, (7, 5, 6), (5, 9), (9, 6), (9, 9), (9,), (9,)), {}, {"nonlinearity": "relu"}),
    *_rows(
        "lstm_layer", between(-1, 1, (7, 5, 6), (5, 9), (5, 9), (36, 6), (36, 9), (36,), (36,)), {}, {"reverse": True}
    ),
    *_rows(
        "gru_layer", between(-1, 1, (7, 5, 6), (5, 9), (27, 6), (27, 9), (27,), (27,)), {"sizes": (5, 5, 4, 4, 3, 1, 1)}
    ),
    *_moves("reorder", between(-3, 3, (7, 5, 6)), {"order": np.array([3, 1, 0, 4, 2]), "axis": 1}),
]
