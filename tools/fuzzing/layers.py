"""Layers of `cunet.nn`: their options drawn, their parameters inputs of the call like any other."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from cunet import Tensor, nn

from .options import LAYER_OPTIONS, OPTIONS, WINDOW, pick, vary

#: What a layer needs, and the shapes of its inputs; or the inputs themselves.
Needs = tuple[dict[str, Any], list[Any]]
Drawn = tuple[list[Any], dict[str, Any], Callable[..., Any]]


def _n(rng: np.random.Generator, low: int = 0) -> int:
    return int(pick(rng, tuple(n for n in (0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 9, 17) if n >= low)))


def _image(rng: np.random.Generator, n: int, channels: int, room: int = 3) -> tuple[int, ...]:
    lead = (_n(rng),) if rng.random() < 0.95 else ()
    low = room if rng.random() < 0.8 else 0
    return (*lead, channels, *(_n(rng, low) for _ in range(n)))


def _window(rng: np.random.Generator) -> Any:
    return pick(rng, (1, 2, 2, 3, 3) if rng.random() < 0.8 else WINDOW)


def _dilated(rng: np.random.Generator) -> tuple[dict[str, Any], int]:
    """Return a window, often one with gaps, and the length that it covers."""
    if rng.random() < 0.5:
        return {"kernel_size": _window(rng)}, 3
    size, dilation = int(pick(rng, (1, 2, 2, 3))), int(pick(rng, (2, 3)))
    return {"kernel_size": size, "dilation": dilation}, (size - 1) * dilation + 1


def _conv(rng: np.random.Generator, n: int) -> Needs:
    groups = int(pick(rng, (1, 1, 2)))
    channels, out = groups * _n(rng, 1), groups * _n(rng, 1)
    window, room = _dilated(rng)
    options = {"in_channels": channels, "out_channels": out, "groups": groups, **window}
    return options, [_image(rng, n, channels, room)]


def _pool(rng: np.random.Generator, n: int) -> Needs:
    return {"kernel_size": _window(rng)}, [_image(rng, n, _n(rng))]


def _gapped_pool(rng: np.random.Generator, n: int) -> Needs:
    window, room = _dilated(rng)
    return window, [_image(rng, n, _n(rng), room)]


def _adaptive(rng: np.random.Generator, n: int) -> Needs:
    return {"output_size": pick(rng, OPTIONS["output_size"])}, [_image(rng, n, _n(rng))]


def _padded(rng: np.random.Generator, n: int) -> Needs:
    return {"padding": pick(rng, (0, 1, 2, (1, 0) * n, (0, 2) * n))}, [_image(rng, n, _n(rng))]


def _channels(rng: np.random.Generator, n: int) -> Needs:
    channels = _n(rng)
    return {"num_features": channels}, [_image(rng, n, channels)]


def _groups(rng: np.random.Generator, n: int) -> Needs:
    groups, inside = _n(rng, 1), _n(rng)
    return {"num_groups": groups, "num_channels": groups * inside}, [_image(rng, n, groups * inside)]


def _last(rng: np.random.Generator, n: int) -> Needs:
    shape = tuple(_n(rng) for _ in range(n + 1))
    return {"normalized_shape": shape[-int(rng.integers(1, n + 1)) :]}, [shape]


def _recurrent(rng: np.random.Generator, n: int) -> Needs:
    width = _n(rng, 1)
    return {"input_size": width, "hidden_size": _n(rng, 1)}, [(_n(rng), _n(rng), width)[-n:]]


def _attention(rng: np.random.Generator, n: int) -> Needs:
    heads = int(pick(rng, (1, 2, 3)))
    width = heads * _n(rng, 1)
    batch, there = _n(rng), (_n(rng), _n(rng))
    shapes = [(t, batch, width) for t in (there[0], there[1], there[1])]
    return {"embed_dim": width, "num_heads": heads}, shapes


def _transformer(rng: np.random.Generator, n: int) -> Needs:
    heads = int(pick(rng, (1, 2)))
    width = heads * _n(rng, 1)
    options = {"d_model": width, "nhead": heads, "dim_feedforward": _n(rng, 1), "dropout": pick(rng, (0.0, 0.3))}
    return options, [(_n(rng), _n(rng), width)]


def _linear(rng: np.random.Generator, n: int) -> Needs:
    width = _n(rng)
    return {"in_features": width, "out_features": _n(rng)}, [(*(_n(rng) for _ in range(n)), width)]


def _bilinear(rng: np.random.Generator, n: int) -> Needs:
    left, right, rows = _n(rng), _n(rng), _n(rng)
    return {"in1_features": left, "in2_features": right, "out_features": _n(rng)}, [(rows, left), (rows, right)]


def _looked_up(rng: np.random.Generator, n: int) -> Needs:
    count = _n(rng, 1)
    return {"num_embeddings": count, "embedding_dim": _n(rng)}, [rng.integers(0, count, (_n(rng), _n(rng)))]


def _imaged(rng: np.random.Generator, n: int) -> Needs:
    return {}, [_image(rng, n, _n(rng))]


def _sequence(rng: np.random.Generator, n: int) -> Needs:
    return {}, [(_n(rng), _n(rng), _n(rng))]


def _encoded(rng: np.random.Generator, n: int) -> Needs:
    width = _n(rng, 1)
    return {"d_model": width}, [(_n(rng), _n(rng), width)]


def _halved(rng: np.random.Generator, n: int) -> Needs:
    return {}, [(_n(rng), 2 * _n(rng), _n(rng), 2 * _n(rng))]


def _alone(rng: np.random.Generator, n: int) -> Needs:
    return {}, [tuple(_n(rng) for _ in range(int(rng.integers(0, 5))))]


def _pairs(rng: np.random.Generator, n: int) -> Needs:
    shape = (_n(rng), _n(rng))
    return {}, [shape, shape]


def _labelled(rng: np.random.Generator, n: int) -> Needs:
    rows, classes = _n(rng), _n(rng, 1)
    return {}, [(rows, classes), rng.integers(0, classes, rows)]


Maker = Callable[[np.random.Generator, int], Needs]
#: Layers for one, two and three spatial axes, by what their names begin with.
_RANKS: list[tuple[Maker, list[str]]] = [
    (_conv, ["Conv", "ConvTranspose"]),
    (_gapped_pool, ["MaxPool"]),
    (_pool, ["AvgPool"]),
    (_adaptive, ["AdaptiveMaxPool", "AdaptiveAvgPool"]),
    (_padded, ["ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"]),
    (_channels, ["BatchNorm", "InstanceNorm"]),
    (_imaged, ["Dropout"]),
]
#: All others, with a number of axes.
_OTHERS: list[tuple[Maker, int, list[str]]] = [
    (_groups, 2, ["GroupNorm"]),
    (_last, 2, ["LayerNorm", "RMSNorm"]),
    (_recurrent, 3, ["RNN", "LSTM", "GRU", "LayerNormRNN", "LayerNormLSTM", "LayerNormGRU"]),
    (_recurrent, 2, ["RNNCell", "LSTMCell", "GRUCell", "LayerNormRNNCell", "LayerNormLSTMCell", "LayerNormGRUCell"]),
    (_attention, 3, ["MultiheadAttention"]),
    (_transformer, 3, ["TransformerEncoderLayer"]),
    (_linear, 2, ["Linear", "DropConnect"]),
    (_bilinear, 1, ["Bilinear"]),
    (_looked_up, 2, ["Embedding"]),
    (_alone, 0, ["PReLU", "Softmax", "LogSoftmax", "Flatten", "Dropout", "AlphaDropout", "FeatureAlphaDropout"]),
    (_imaged, 2, ["Upsample"]),
    (_sequence, 3, ["VariationalDropout"]),
    (_encoded, 3, ["PositionalEncoding"]),
    (_halved, 4, ["GLU"]),
    (_pairs, 2, ["MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss", "KLDivLoss", "BCEWithLogitsLoss"]),
    (_labelled, 2, ["CrossEntropyLoss", "NLLLoss"]),
]


def _build(name: str, options: dict[str, Any]) -> nn.Module:
    options = dict(options)
    training = options.pop("training", True)
    return getattr(nn, name)(**options).train(training)


def _call(name: str, *tensors: Any, **options: Any) -> Any:
    """Build a layer, put tensors in the places of its parameters, and call it; its results as a flat tuple."""
    layer = _build(name, options)
    names = [parameter for parameter, _ in layer.named_parameters()]
    inputs = tensors[: len(tensors) - len(names)]
    layer.to(next(t.device for t in tensors if isinstance(t, Tensor)))
    modules = dict(layer.named_modules())
    for parameter, tensor in zip(names, tensors[len(inputs) :], strict=True):
        owner, _, attribute = parameter.rpartition(".")
        if isinstance(tensor, Tensor):
            tensor.__class__ = nn.Parameter  # so that layers find it, and the gradient is the tensor's
        setattr(modules[owner], attribute, tensor)
    return tuple(_flat(layer(*inputs)))


def _flat(results: Any) -> list[Tensor]:
    if isinstance(results, (tuple, list)):
        return [t for part in results for t in _flat(part)]
    return [] if results is None else [results if isinstance(results, Tensor) else Tensor(results)]


def _layer(name: str, make: Maker, n: int, rng: np.random.Generator) -> Drawn:
    options, inputs = make(rng, n)
    options = vary(rng, getattr(nn, name), options, LAYER_OPTIONS)
    if rng.random() < 0.3:
        options["training"] = False
    try:
        parameters = [p.shape for p in _build(name, options).parameters()]
    except (ValueError, TypeError):
        parameters = []  # which the call says again
    if options.get("channels_last") and isinstance(inputs[0], tuple) and len(inputs[0]) > n:
        lead, channels, *rest = inputs[0]
        inputs[0] = (lead, *rest, channels)
    arrays = [rng.uniform(-2, 2, s) if isinstance(s, tuple) else s for s in (*inputs, *parameters)]
    return arrays, options, functools.partial(_call, name)


_TABLE = [(f"{name}{n}d", make, n) for make, names in _RANKS for name in names for n in (1, 2, 3)]
_TABLE += [(name, make, n) for make, n, names in _OTHERS for name in names]
LAYERS = {f"nn.{name}": functools.partial(_layer, name, make, n) for name, make, n in _TABLE}
