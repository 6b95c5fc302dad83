"""Rows of `cunet.ops.recurrent.layers`. The oracles go through sequences, units and inputs one number at a time."""

import math

import numpy as np

from cunet.ops.recurrent import layers as ops
from cunet.ops.recurrent.dropout import drop_connect, variational_dropout

from . import Case
from .dropout import dropout as dropped
from .dropout import kept


def logistic(v):
    return 1 / (1 + math.exp(-v)) if v > -700 else 0.0


def affine(weight, vector, bias, k):
    return math.fsum([w * v for w, v in zip(weight[k], vector, strict=True)] + ([] if bias is None else [bias[k]]))


def rnn_step(x, h, c, hm, w_ih, w_hh, b_ih, b_hh, k, width, nonlinearity):
    total = affine(w_ih, x, b_ih, k) + affine(w_hh, hm, b_hh, k)
    return (math.tanh(total) if nonlinearity == "tanh" else max(total, 0.0)), None


def lstm_step(x, h, c, hm, w_ih, w_hh, b_ih, b_hh, k, width):
    i, f, g, o = (affine(w_ih, x, b_ih, k + j * width) + affine(w_hh, hm, b_hh, k + j * width) for j in range(4))
    cell = logistic(f) * c[k] + logistic(i) * math.tanh(g)
    return logistic(o) * math.tanh(cell), cell


def gru_step(x, h, c, hm, w_ih, w_hh, b_ih, b_hh, k, width):
    (xr, xz, xn), (hr, hz, hn) = (
        [affine(w, v, b, k + j * width) for j in range(3)] for w, v, b in ((w_ih, x, b_ih), (w_hh, hm, b_hh))
    )
    r, z = logistic(xr + hr), logistic(xz + hz)
    return (1 - z) * math.tanh(xn + r * hn) + z * h[k], None


def sequences(step, x, h0, c0, weights, mask, sizes, reverse, **static):
    """Run each sequence alone, from its first step to its last or the other way round."""
    steps, batch, _ = x.shape
    width = weights[1].shape[1]
    y, last_h, last_c = np.zeros((steps, batch, width)), np.zeros((batch, width)), np.zeros((batch, width))
    for b in range(batch):
        length = steps if sizes is None else sum(n > b for n in sizes)
        h = [0.0] * width if h0 is None else list(h0[b])
        c = [0.0] * width if c0 is None else list(c0[b])
        for t in sorted(range(length), reverse=reverse):
            hm = h if mask is None else [u * m for u, m in zip(h, mask[b], strict=True)]
            pairs = [step(x[t, b], h, c, hm, *weights, k, width, **static) for k in range(width)]
            h, c = [p[0] for p in pairs], [p[1] for p in pairs]
            y[t, b] = h
        last_h[b] = h
        if c[0] is not None:
            last_c[b] = c
    return y, last_h, last_c


def rnn(x, h0, w_ih, w_hh, b_ih=None, b_hh=None, mask=None, sizes=None, reverse=False, nonlinearity="tanh"):
    weights = (w_ih, w_hh, b_ih, b_hh)
    return sequences(rnn_step, x, h0, None, weights, mask, sizes, reverse, nonlinearity=nonlinearity)[:2]


def lstm(x, h0, c0, w_ih, w_hh, b_ih=None, b_hh=None, mask=None, sizes=None, reverse=False):
    return sequences(lstm_step, x, h0, c0, (w_ih, w_hh, b_ih, b_hh), mask, sizes, reverse)


def projected_lstm(x, h0, c0, w_ih, w_hh, b_ih, b_hh, mask, w_hr, sizes=None, reverse=False):
    """Return the results of `lstm` where h is projected: one sequence and step after the other."""
    (steps, batch, _), (width, inner) = x.shape, w_hr.shape
    y, last_h, last_c = np.zeros((steps, batch, width)), np.zeros((batch, width)), np.zeros((batch, inner))
    for b in range(batch):
        length = steps if sizes is None else sum(n > b for n in sizes)
        h = [0.0] * width if h0 is None else list(h0[b])
        c = [0.0] * inner if c0 is None else list(c0[b])
        for t in sorted(range(length), reverse=reverse):
            hm = h if mask is None else [u * m for u, m in zip(h, mask[b], strict=True)]
            pairs = [lstm_step(x[t, b], h, c, hm, w_ih, w_hh, b_ih, b_hh, k, inner) for k in range(inner)]
            gated, c = [p[0] for p in pairs], [p[1] for p in pairs]
            y[t, b] = h = [affine(w_hr, gated, None, k) for k in range(width)]
        last_h[b], last_c[b] = h, c
    return y, last_h, last_c


def projected(steps=4, batch=3, inputs=2, width=2, inner=4, bias=True, first=True, mask=False):
    """Return what makes the inputs of a row of the LSTM with a projection."""

    def make(rng):
        found = [rng.standard_normal((steps, batch, inputs))]
        found += [rng.standard_normal((batch, n)) if first else None for n in (width, inner)]
        found += [rng.uniform(-0.8, 0.8, (4 * inner, n)) for n in (inputs, width)]
        found += [rng.uniform(-0.8, 0.8, 4 * inner) if bias else None for _ in range(2)]
        found += [2.0 * rng.integers(0, 2, (batch, width)) if mask else None]
        return (*found, rng.uniform(-0.8, 0.8, (width, inner)))

    return make


def gru(x, h0, w_ih, w_hh, b_ih=None, b_hh=None, mask=None, sizes=None, reverse=False):
    return sequences(gru_step, x, h0, None, (w_ih, w_hh, b_ih, b_hh), mask, sizes, reverse)[:2]


def arrays(gates, states, steps=4, batch=3, inputs=2, width=3, bias=True, first=True, mask=False):
    """Return what makes the inputs of a row; a mask is of 0 and 2, as of dropout with p = 1/2."""

    def make(rng):
        rows = gates * width
        found = [rng.standard_normal((steps, batch, inputs))]
        found += [rng.standard_normal((batch, width)) if first else None for _ in range(states)]
        found += [rng.uniform(-0.8, 0.8, (rows, inputs)), rng.uniform(-0.8, 0.8, (rows, width))]
        found += [rng.uniform(-0.8, 0.8, rows) if bias else None for _ in range(2)]
        return (*found, 2.0 * rng.integers(0, 2, (batch, width))) if mask else tuple(found)

    return make


KINDS = [(ops.rnn_layer, rnn, 1, 1), (ops.lstm_layer, lstm, 4, 2), (ops.gru_layer, gru, 3, 1)]


def row(kind, label, kwargs=None, ulp=8, **options):
    """A half type rounds the state at every step, and what it rounds goes on through the next ones."""
    op, reference, gates, states = kind
    differentiable = tuple(range(1 + states + 4)) if options.get("mask") else None
    return Case(
        op,
        kwargs or {},
        reference=reference,
        inputs=arrays(gates, states, **options),
        differentiable=differentiable,
        ulp=ulp,
        grad_ulp=4 * ulp,
        label=label,
    )


CASES = [
    *[row(kind, "states and biases") for kind in KINDS],
    *[row(kind, "one step", steps=1, first=False) for kind in KINDS],
    *[row(kind, "reverse", {"reverse": True}, bias=False, batch=1) for kind in KINDS],
    *[row(kind, "lengths", {"sizes": (3, 2, 2, 1, 0)}, steps=5) for kind in KINDS],
    *[row(kind, "lengths", {"sizes": (3, 2, 1, 1), "reverse": True}, mask=True) for kind in KINDS],
    row(KINDS[0], "relu", {"nonlinearity": "relu"}),
    *[
        Case(
            ops.lstm_layer,
            kwargs,
            reference=projected_lstm,
            inputs=projected(**options),
            differentiable=given,
            ulp=16,
            grad_ulp=64,
            label=f"projected, {label}",
        )
        for label, kwargs, options, given in [
            ("states and biases", {}, {}, (0, 1, 2, 3, 4, 5, 6, 8)),
            ("reverse", {"reverse": True}, {"bias": False, "batch": 1, "first": False}, (0, 3, 4, 8)),
            ("lengths", {"sizes": (3, 2, 2, 1, 0)}, {"steps": 5, "inner": 3}, (0, 1, 2, 3, 4, 5, 6, 8)),
            ("lengths", {"sizes": (3, 2, 1, 1), "reverse": True}, {"mask": True}, (0, 1, 2, 3, 4, 5, 6, 8)),
        ]
    ],
    Case(
        ops.reorder,
        {"order": np.array([2, 0, 3, 1]), "axis": 1},
        reference=lambda x, order, axis: np.stack([x[:, k] for k in order], axis=1),
        inputs=lambda rng: (rng.standard_normal((2, 4, 3)),),
    ),
    Case(drop_connect, {"p": 0.25}, reference=dropped, inputs=lambda rng: (rng.standard_normal((4, 6)),)),
    Case(
        variational_dropout,
        {"p": 0.5},
        reference=lambda x, p: x * kept(x.shape[1:], p) / (1 - p),  # the same for every step
        inputs=lambda rng: (rng.standard_normal((4, 3, 5)),),
    ),
]
