"""Recurrent layers, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...autograd.rules import composite
from ...autograd.tensor import array_of
from ...autograd.tracing import plain
from ...device import array_module
from .. import math, selection
from ..activation.rectifier import relu
from ..activation.squashing import sigmoid
from ..array import stack
from ..indexing import getitem
from ..linalg import linear
from ..recurrent.layers import gru_layer, lstm_layer, rnn_layer

#: ``step(x, states) -> states`` of one time step.
TimeStep = Callable[[Any, list[Any]], list[Any]]


def _loop(x: Any, states: list[Any], sizes: Any, reverse: bool, step: TimeStep) -> tuple[Any, ...]:
    """Return the first state after each step, 0 where a sequence does not run, and the last states."""
    steps, batch = x.shape[:2]
    sizes = sizes or (batch,) * steps
    xp = array_module(array_of(x))
    outputs: list[Any] = [None] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        after = step(getitem(x, t), states)
        if sizes[t] < batch:
            runs = xp.arange(batch)[:, None] < sizes[t]
            after = [selection.where(runs, new, old) for new, old in zip(after, states, strict=True)]
            outputs[t] = selection.where(runs, after[0], 0)
        else:
            outputs[t] = after[0]
        states = after
    return stack(outputs), *states


def _start(x: Any, first: Any, width: int) -> Any:
    return array_module(x).zeros((x.shape[1], width), x.dtype) if first is None else first


def _masked(h: Any, mask: Any) -> Any:
    return h if mask is None else math.multiply(h, plain(mask))


def _parts(a: Any, count: int) -> list[Any]:
    width = a.shape[-1] // count
    return [getitem(a, (..., slice(k * width, (k + 1) * width))) for k in range(count)]


@composite(rnn_layer)
def _(
    x,
    h0,
    weight_ih,
    weight_hh,
    bias_ih=None,
    bias_hh=None,
    mask=None,
    *,
    nonlinearity="tanh",
    sizes=None,
    reverse=False,
):
    act = math.tanh if nonlinearity == "tanh" else relu

    def step(x: Any, states: list[Any]) -> list[Any]:
        h = _masked(states[0], mask)
        return [act(math.add(linear(x, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)))]

    return _loop(x, [_start(x, h0, weight_hh.shape[-1])], sizes, reverse, step)


@composite(lstm_layer)
def _(
    x, h0, c0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, mask=None, weight_hr=None, *, sizes=None, reverse=False
):
    def step(x: Any, states: list[Any]) -> list[Any]:
        h, c = states
        gates = math.add(linear(x, weight_ih, bias_ih), linear(_masked(h, mask), weight_hh, bias_hh))
        i, f, g, o = _parts(gates, 4)
        c = math.add(math.multiply(sigmoid(f), c), math.multiply(sigmoid(i), math.tanh(g)))
        h = math.multiply(sigmoid(o), math.tanh(c))
        return [h if weight_hr is None else linear(h, weight_hr), c]

    states = [_start(x, h0, weight_hh.shape[-1]), _start(x, c0, weight_hh.shape[0] // 4)]
    return _loop(x, states, sizes, reverse, step)


@composite(gru_layer)
def _(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, mask=None, *, sizes=None, reverse=False):
    def step(x: Any, states: list[Any]) -> list[Any]:
        (h,) = states
        xr, xz, xn = _parts(linear(x, weight_ih, bias_ih), 3)
        hr, hz, hn = _parts(linear(_masked(h, mask), weight_hh, bias_hh), 3)
        z = sigmoid(math.add(xz, hz))
        n = math.tanh(math.add(xn, math.multiply(sigmoid(math.add(xr, hr)), hn)))
        return [math.add(n, math.multiply(z, math.subtract(h, n)))]

    return _loop(x, [_start(x, h0, weight_hh.shape[-1])], sizes, reverse, step)
