"""RNN, LSTM and GRU over whole sequences: one layer in one direction is one recorded op; see `recurrence`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...autograd.op import Result, Results, op
from ...autograd.tensor import array_of
from ...device import Array, array_module, like
from ..softmax import check_floating
from .loop import GRU, LSTM, RNN, Layer, ReluRNN, Sizes
from .projection import ProjectedLSTM


def _check(who: str, gates: int, x: Any, states: dict[str, Any], weights: Sequence[Any], mask: Any, sizes: Any) -> None:
    check_floating(who, x)
    w_ih, w_hh, b_ih, b_hh, *rest = weights
    w_hr = rest[0] if rest else None
    if x.ndim != 3 or not x.shape[0]:
        raise ValueError(f"{who}: x must have shape (T, N, input_size) with T at least 1, got {x.shape}")
    width = w_hh.shape[-1]
    inner = width if w_hr is None else w_hr.shape[-1]  # of the cell state
    expected = {
        "weight_ih": (w_ih, (gates * inner, x.shape[2])),
        "weight_hh": (w_hh, (gates * inner, width)),
        "bias_ih": (b_ih, (gates * inner,)),
        "bias_hh": (b_hh, (gates * inner,)),
        "mask": (mask, (x.shape[1], width)),
        "weight_hr": (w_hr, (width, inner)),
    } | {name: (state, (x.shape[1], inner if name == "c0" else width)) for name, state in states.items()}
    for name, (array, shape) in expected.items():
        if array is not None and array.shape != shape:
            raise ValueError(f"{who}: {name} must have shape {shape}, got {array.shape}")
    if (b_ih is None) != (b_hh is None):
        given = "bias_hh" if b_ih is None else "bias_ih"
        raise ValueError(f"{who}: bias_ih and bias_hh must both be given or both be None, got {given} alone")
    if sizes is not None and (len(sizes) != x.shape[0] or sorted(sizes, reverse=True) != list(sizes)):
        raise ValueError(f"{who}: sizes must be {x.shape[0]} numbers that do not grow, got {sizes}")


def _finished(layer: Layer) -> tuple[tuple[Array, ...], Callable[..., Any]]:
    return layer.run(), layer.vjp


@op
def rnn_layer(
    x,
    h0,
    weight_ih,
    weight_hh,
    bias_ih=None,
    bias_hh=None,
    mask=None,
    *,
    nonlinearity: str = "tanh",
    sizes: Sizes | None = None,
    reverse: bool = False,
) -> Results:
    """Run a simple recurrent layer: ``h = tanh(weight_ih @ x + bias_ih + weight_hh @ h + bias_hh)``.

    Args:
        x: floating, shape (T, N, input_size), T at least 1.
        h0: first state, shape (N, H), or None for 0.
        weight_ih, weight_hh: shapes (H, input_size) and (H, H).
        bias_ih, bias_hh: shape (H,), or None both.
        mask: shape (N, H), or None: what h is multiplied by before `weight_hh`, the same at every step. It gets
            no gradient.
        nonlinearity: "tanh" or "relu".
        sizes: how many of the first sequences still run at each step, T numbers that do not grow; None: all. See
            `sizes_of`.
        reverse: whether to go from the last step to the first.

    Returns:
        ``(y, h)``: y of shape (T, N, H), 0 where a sequence does not run; h the last state of each sequence.

    Raises:
        ValueError: shapes do not fit together.

    Source: Elman 1990, "Finding structure in time".
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f'rnn_layer: nonlinearity must be "tanh" or "relu", got {nonlinearity!r}')
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    _check("rnn_layer", 1, x, {"h0": h0}, weights, mask, sizes)
    kind = RNN if nonlinearity == "tanh" else ReluRNN
    return _finished(kind(x, weights, mask, (h0,), sizes, reverse))


@op
def lstm_layer(
    x,
    h0,
    c0,
    weight_ih,
    weight_hh,
    bias_ih=None,
    bias_hh=None,
    mask=None,
    weight_hr=None,
    *,
    sizes: Sizes | None = None,
    reverse: bool = False,
) -> Results:
    """Run an LSTM layer: ``c = f * c + i * g`` and ``h = o * tanh(c)``, or ``h = weight_hr @ (o * tanh(c))``.

    With ``i, f, g, o`` the four parts of ``weight_ih @ x + bias_ih + weight_hh @ h + bias_hh``, of which g goes
    through tanh and the others through the sigmoid.

    Args:
        x: floating, shape (T, N, input_size), T at least 1.
        h0, c0: first states, shape (N, H), or None for 0.
        weight_ih, weight_hh: shapes (4H, input_size) and (4H, H).
        bias_ih, bias_hh: shape (4H,), or None both.
        mask, sizes, reverse: see `rnn_layer`.
        weight_hr: shape (P, H), or None: the projection of h, whose length is P then, in all shapes but that of c.

    Returns:
        ``(y, h, c)``: see `rnn_layer`; c the last cell state of each sequence.

    Raises:
        ValueError: shapes do not fit together.

    Source: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000; the projection is that of Sak et
        al. 2014, arXiv:1402.1128, section 2.1.
    """
    weights: tuple[Any, ...] = (weight_ih, weight_hh, bias_ih, bias_hh)
    weights += () if weight_hr is None else (weight_hr,)
    _check("lstm_layer", 4, x, {"h0": h0, "c0": c0}, weights, mask, sizes)
    kind = LSTM if weight_hr is None else ProjectedLSTM
    return _finished(kind(x, weights, mask, (h0, c0), sizes, reverse))


@op
def gru_layer(
    x,
    h0,
    weight_ih,
    weight_hh,
    bias_ih=None,
    bias_hh=None,
    mask=None,
    *,
    sizes: Sizes | None = None,
    reverse: bool = False,
) -> Results:
    """Run a GRU layer: ``h = (1 - z) * n + z * h``.

    With ``r, z = sigmoid(weight_ih @ x + bias_ih + weight_hh @ h + bias_hh)`` for the first two of three parts,
    and ``n = tanh(weight_ih @ x + bias_ih + r * (weight_hh @ h + bias_hh))`` for the third: the reset gate acts
    after the product, as in PyTorch.

    Args:
        x: floating, shape (T, N, input_size), T at least 1.
        h0: first state, shape (N, H), or None for 0.
        weight_ih, weight_hh: shapes (3H, input_size) and (3H, H).
        bias_ih, bias_hh: shape (3H,), or None both.
        mask, sizes, reverse: see `rnn_layer`.

    Returns:
        ``(y, h)``: see `rnn_layer`.

    Raises:
        ValueError: shapes do not fit together.

    Source: Cho et al. 2014, arXiv:1406.1078, section 2.3, except for the place of the reset gate.
    """
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    _check("gru_layer", 3, x, {"h0": h0}, weights, mask, sizes)
    return _finished(GRU(x, weights, mask, (h0,), sizes, reverse))


def sizes_of(lengths: Any, steps: int) -> tuple[np.ndarray, Sizes]:
    """Return how to sort sequences by falling length, and how many of them run at each step."""
    counts = np.asarray(lengths)
    return np.argsort(-counts, kind="stable"), tuple(int((counts > t).sum()) for t in range(steps))


def running(x: Any, sizes: Sizes | None) -> Array | None:
    """Return which sequences of `x` (T, N, ...) run at each step, bool (T, N, 1) beside x; None if all do."""
    if sizes is None or min(sizes) == x.shape[1]:
        return None
    return like(np.arange(x.shape[1])[None, :, None] < np.asarray(sizes)[:, None, None], array_of(x))


@op
def reorder(x, *, order: np.ndarray, axis: int) -> Result:
    """Put the entries along `axis` into another order: a permutation, on the CPU."""
    xp = array_module(x)
    return xp.take(x, xp.asarray(order), axis=axis), lambda gy: (xp.take(gy, xp.asarray(np.argsort(order)), axis=axis),)
