"""Layers over time: one node for a layer in one direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...device import asnumpy
from ...ops.recurrent.layers import gru_layer, lstm_layer, rnn_layer
from ..graph import Given, Graph, NotExportable, Value
from ..writing import writes


def _weights(g: Graph, order: Sequence[int], w_ih: Value, w_hh: Value, b_ih: Any, b_hh: Any) -> list[Given]:
    """Return the weights as ONNX wants them: one more axis in front, gates in another order, biases joined."""
    arrays = [w_ih, w_hh] if b_ih is None else [w_ih, w_hh, b_ih, b_hh]
    if any(a.array is None for a in arrays):
        raise NotExportable("its weights are computed, where ONNX wants them fixed")
    parts = [np.concatenate([np.split(asnumpy(a.array), len(order))[k] for k in order])[None] for a in arrays]
    stem = w_ih.name
    named = [g.constant(p, f"{stem}_as_{len(order)}_gates_{k}") for k, p in enumerate(parts[:2])]
    return [*named, g.constant(np.concatenate(parts[2:], axis=1)) if len(parts) > 2 else None]


def _layer(
    g: Graph, kind: str, order: Sequence[int], x: Value, states: Sequence[Given], weights: Sequence[Any], **options: Any
) -> list[str]:
    """Return the names of outputs and last states, without the axis of directions that ONNX has."""
    if options.pop("mask", None) is not None:
        raise NotExportable("a mask on its state, as variational dropout makes it in training, has no form in ONNX")
    if options.pop("sizes", None) is not None:
        raise NotExportable("sequences of different lengths are sorted by Python; export the model without `lengths`")
    direction = "reverse" if options.pop("reverse") else "forward"
    w, r, b = _weights(g, order, *weights)
    hidden = weights[1].shape[1]
    first = [None if s is None else g("Unsqueeze", s, [0]) for s in states]
    made = g.node(kind, [x, w, r, b, None, *first], 1 + len(states), hidden_size=hidden, direction=direction, **options)
    return [g("Squeeze", made[0], [1]), *(g("Squeeze", state, [0]) for state in made[1:])]


@writes(rnn_layer)
def _(g, x, h0, w_ih, w_hh, b_ih=None, b_hh=None, mask=None, *, nonlinearity, sizes, reverse):
    weights = (w_ih, w_hh, b_ih, b_hh)
    by = {"tanh": "Tanh", "relu": "Relu"}[nonlinearity]
    return _layer(g, "RNN", (0,), x, [h0], weights, mask=mask, sizes=sizes, reverse=reverse, activations=[by])


@writes(lstm_layer)
def _(g, x, h0, c0, w_ih, w_hh, b_ih=None, b_hh=None, mask=None, w_hr=None, *, sizes, reverse):
    if w_hr is not None:
        raise NotExportable("the node LSTM of ONNX has no projection; proj_size must be 0")
    weights = (w_ih, w_hh, b_ih, b_hh)  # gates: input, forget, cell, output; in ONNX input, output, forget, cell
    return _layer(g, "LSTM", (0, 3, 1, 2), x, [h0, c0], weights, mask=mask, sizes=sizes, reverse=reverse)


@writes(gru_layer)
def _(g, x, h0, w_ih, w_hh, b_ih=None, b_hh=None, mask=None, *, sizes, reverse):
    weights = (w_ih, w_hh, b_ih, b_hh)  # gates: reset, update, new; in ONNX update, reset, new
    more: dict[str, Any] = {"mask": mask, "sizes": sizes, "reverse": reverse, "linear_before_reset": 1}
    return _layer(g, "GRU", (1, 0, 2), x, [h0], weights, **more)
