"""Layers over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...autograd.tensor import Tensor
from ...device import array_module
from ...ops.activation.squashing import sigmoid
from ...ops.array import concatenate, stack, swapaxes
from ...ops.linalg import linear
from ...ops.math import tanh
from ...ops.recurrent.layers import gru_layer, lstm_layer, rnn_layer
from ..reading import listed, need, reads

Run = Callable[..., Sequence[Any]]


def _reordered(weight: Any, order: Sequence[int]) -> Any:
    """Return the rows of gates in another order."""
    rows = weight.shape[0] // len(order)
    return concatenate([weight[k * rows : (k + 1) * rows] for k in order], axis=0)


def _layer(
    run: Run, order: Sequence[int], hidden: int, direction: str, layout: int, x: Any, w: Any, r: Any, b: Any,
    lengths: Any, first: Sequence[Any],
) -> list[Any]:  # fmt: skip
    """Return the outputs (T, directions, N, H) and the last states, of one direction or two."""
    if layout:
        x, first = swapaxes(x, 0, 1), [None if s is None else swapaxes(s, 0, 1) for s in first]
    need(lengths is None or set(listed(lengths)) <= {x.shape[0]}, "sequences must have one length, that of the input")
    ways = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[direction]
    made = []
    for k, reverse in enumerate(ways):
        weights = [_reordered(part[k], order) for part in (w, r)]
        rows = len(order) * hidden
        biases = [None, None] if b is None else [_reordered(b[k][:rows], order), _reordered(b[k][rows:], order)]
        made.append(run(x, *[None if s is None else s[k] for s in first], *weights, *biases, reverse=reverse))
    outputs, *states = (stack(parts, axis) for parts, axis in zip(zip(*made, strict=True), (1, 0, 0), strict=False))
    if layout:
        outputs = outputs.transpose(2, 0, 1, 3)
        states = [swapaxes(s, 0, 1) for s in states]
    return [outputs, *states]


def _check(kind: str, activations: Any, known: Sequence[str], clip: Any, input_forget: int = 0) -> None:
    given = [a.decode() if isinstance(a, bytes) else a for a in activations or known]
    need(given == list(known) * (len(given) // len(known)), f"{kind}: activations must be {list(known)}, got {given}")
    need(clip is None and not input_forget, f"{kind}: clip and input_forget are not read")


@reads("RNN", settings=(4,))
def _(
    x, w, r, b=None, sequence_lens=None, initial_h=None, activations=None, clip=None, direction="forward",
    hidden_size=0, layout=0,
):  # fmt: skip
    names = [a.decode() if isinstance(a, bytes) else a for a in activations or ["Tanh"]]
    _check("RNN", names, [n for n in names[:1] if n in ("Tanh", "Relu")] or ["Tanh"], clip)

    def run(*arrays: Any, reverse: bool) -> Sequence[Any]:
        return rnn_layer(*arrays, nonlinearity=names[0].lower(), reverse=reverse)

    size = hidden_size or r.shape[-1]
    return _layer(run, (0,), size, direction, layout, x, w, r, b, sequence_lens, [initial_h])


@reads("LSTM", settings=(4,))
def _(
    x, w, r, b=None, sequence_lens=None, initial_h=None, initial_c=None, p=None, activations=None, clip=None,
    direction="forward", hidden_size=0, input_forget=0, layout=0,
):  # fmt: skip
    _check("LSTM", activations, ["Sigmoid", "Tanh", "Tanh"], clip, input_forget)
    need(p is None, "LSTM: peepholes are not read")
    size = hidden_size or r.shape[-1]
    first = [initial_h, initial_c]
    order = (0, 2, 3, 1)  # input, output, forget, cell become input, forget, cell, output
    return _layer(lstm_layer, order, size, direction, layout, x, w, r, b, sequence_lens, first)


@reads("GRU", settings=(4,))
def _(
    x, w, r, b=None, sequence_lens=None, initial_h=None, activations=None, clip=None, direction="forward",
    hidden_size=0, layout=0, linear_before_reset=0,
):  # fmt: skip
    _check("GRU", activations, ["Sigmoid", "Tanh"], clip)
    size = hidden_size or r.shape[-1]
    run = gru_layer if linear_before_reset else _reset_first
    order = (1, 0, 2)  # update, reset, new become reset, update, new
    return _layer(run, order, size, direction, layout, x, w, r, b, sequence_lens, [initial_h])


def _reset_first(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *, reverse: bool) -> tuple[Tensor, Tensor]:
    """Run a GRU whose reset gate acts on the state before the product: Cho et al. 2014, arXiv:1406.1078."""
    hidden = w_hh.shape[-1]
    h = h if h is not None else Tensor(array_module(x.data).zeros((x.shape[1], hidden), x.dtype))
    gx = linear(x, w_ih, b_ih)
    two, one = w_hh[: 2 * hidden], w_hh[2 * hidden :]
    b_two, b_one = (None, None) if b_hh is None else (b_hh[: 2 * hidden], b_hh[2 * hidden :])
    steps = range(x.shape[0])
    outputs: list[Any] = [None] * len(steps)
    for t in reversed(steps) if reverse else steps:
        gates = sigmoid(gx[t][:, : 2 * hidden] + linear(h, two, b_two))
        reset, update = gates[:, :hidden], gates[:, hidden:]
        new = tanh(gx[t][:, 2 * hidden :] + linear(reset * h, one, b_one))
        h = outputs[t] = new + update * (h - new)
    return stack(outputs), h
