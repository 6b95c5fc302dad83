"""RNNCell, LSTMCell, GRUCell: one step of a recurrent layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import init as initialisers
from ..autograd.tensor import Tensor
from ..ops.array import expand_dims, squeeze
from ..ops.recurrent.layers import gru_layer, lstm_layer, rnn_layer
from ..random import Generator
from .inputs import as_input
from .module import Module
from .parameter import check_sizes, make_parameter


def recurrent_distribution(hidden_size: int) -> initialisers.Initializer:
    """Return PyTorch's distribution for all weights and biases: U(-k, k) with ``k = 1 / sqrt(hidden_size)``."""
    bound = 1 / math.sqrt(hidden_size)
    return initialisers.uniform(-bound, bound)


def states_of(layer: Any, hx: Any, weight: Tensor) -> tuple[Any, ...]:
    """Return the first states that a layer is given as a tuple of as many as it has, None where there are none."""
    if hx is None:
        return (None,) * layer.states
    if layer.states == 1:
        hx = (hx,)
    elif not isinstance(hx, (tuple, list)) or len(hx) != layer.states:
        raise TypeError(f"{type(layer).__name__}: the first state must be a pair (h, c), got {type(hx).__name__}")
    return tuple(None if s is None else as_input(layer, s, weight, "the first state") for s in hx)


class _Cell(Module):
    """Base of the cells: one step from the state before to the state after; see `LSTMCell` for the arguments."""

    gates = 1
    states = 1
    layer: Callable[..., tuple[Tensor, ...]]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        init: Any = None,
        generator: Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        check_sizes(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows, distribution = self.gates * hidden_size, recurrent_distribution(hidden_size)
        self.weight_ih = make_parameter((rows, input_size), init, distribution, generator, dtype)
        self.weight_hh = make_parameter((rows, hidden_size), init, distribution, generator, dtype)
        self.bias_ih = make_parameter((rows,), None, distribution, generator, dtype) if bias else None
        self.bias_hh = make_parameter((rows,), None, distribution, generator, dtype) if bias else None

    def _step(self, x: Any, hx: Any, **static: Any) -> tuple[Tensor, ...]:
        """Return the states after one step."""
        x = as_input(self, x, self.weight_ih)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__}: x must have shape (N, {self.input_size}) or one axis less, got {x.shape}"
            )
        single = x.ndim == 1
        states = states_of(self, hx, self.weight_hh)
        if single:
            states = tuple(None if s is None else expand_dims(s, axis=0) for s in states)
        x = expand_dims(x, axis=(0, 1) if single else 0)
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        _, *after = type(self).layer(x, *states, *weights, **static)
        return tuple(squeeze(s, axis=0) for s in after) if single else tuple(after)

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """One step of a simple recurrent layer: ``h' = tanh(weight_ih @ x + bias_ih + weight_hh @ h + bias_hh)``.

    Args:
        input_size, hidden_size, bias: lengths of input and state, and whether to have biases.
        nonlinearity: "tanh" or "relu".
        **options: init, generator, dtype; see `LSTMCell`.

    Source: Elman 1990, "Finding structure in time".

    Example:
        >>> cell = nn.RNNCell(2, 3, bias=False, nonlinearity="relu", init=1.0)
        >>> h = cell([[1.0, 2.0]])
        >>> h.data, cell([[1.0, 2.0]], h).data  # 1 + 2, then 1 + 2 + 3 * 3
        (array([[3., 3., 3.]], dtype=float32), array([[12., 12., 12.]], dtype=float32))
    """

    layer = staticmethod(rnn_layer)

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", **options: Any
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f'RNNCell: nonlinearity must be "tanh" or "relu", got {nonlinearity!r}')
        super().__init__(input_size, hidden_size, bias, **options)
        self.nonlinearity = nonlinearity

    def forward(self, x: Any, hx: Any = None) -> Tensor:
        """Return the state after `x` (N, input_size) from the state `hx` (N, hidden_size), 0 if None."""
        return self._step(x, hx, nonlinearity=self.nonlinearity)[0]


class LSTMCell(_Cell):
    """One step of an LSTM: ``c' = f * c + i * g`` and ``h' = o * tanh(c')``.

    The gates ``i, f, g, o`` are the four parts of ``weight_ih @ x + bias_ih + weight_hh @ h + bias_hh``, of which g
    goes through tanh and the others through the sigmoid; they lie in PyTorch's order.

    Args:
        input_size: length of the last axis of the input.
        hidden_size: length of the state.
        bias: whether to have the two biases.
        init: initialiser of the weights (see `cunet.init.get`); by default PyTorch's,
            U(-1/sqrt(hidden_size), 1/sqrt(hidden_size)), which biases always have.
        generator: where the values are drawn from.
        dtype: floating dtype of the parameters.

    Attributes:
        weight_ih, weight_hh: shapes (4 * hidden_size, input_size) and (4 * hidden_size, hidden_size).
        bias_ih, bias_hh: shape (4 * hidden_size,), or None.

    Source: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000.

    Example:
        >>> cell = nn.LSTMCell(4, 8)
        >>> h, c = cell(np.zeros((5, 4)))
        >>> h, c = cell(np.ones((5, 4)), (h, c))
        >>> h.shape, c.shape, cell.weight_ih.shape
        ((5, 8), (5, 8), (32, 4))
    """

    layer = staticmethod(lstm_layer)
    gates = 4
    states = 2

    def forward(self, x: Any, hx: Any = None) -> tuple[Tensor, Tensor]:
        """Return ``(h, c)`` after `x` (N, input_size) from ``hx = (h, c)``, 0 if None."""
        h, c = self._step(x, hx)
        return h, c


class GRUCell(_Cell):
    """One step of a GRU: ``h' = (1 - z) * n + z * h``.

    ``r, z`` are the sigmoids of the first two of three parts of ``weight_ih @ x + bias_ih + weight_hh @ h + bias_hh``,
    and ``n = tanh(weight_ih @ x + bias_ih + r * (weight_hh @ h + bias_hh))`` of the third: the reset gate acts after
    the product. They lie in PyTorch's order: reset, update, new.

    Args:
        input_size, hidden_size, bias, init, generator, dtype: see `LSTMCell`.

    Attributes:
        weight_ih, weight_hh, bias_ih, bias_hh: as those of `LSTMCell`, with 3 gates.

    Source: Cho et al. 2014, arXiv:1406.1078, section 2.3, except for the place of the reset gate.

    Example:
        >>> cell, h = nn.GRUCell(4, 8), None
        >>> for x in np.zeros((10, 5, 4)):
        ...     h = cell(x, h)
        >>> h.shape, cell.weight_ih.shape
        ((5, 8), (24, 4))
    """

    layer = staticmethod(gru_layer)
    gates = 3

    def forward(self, x: Any, hx: Any = None) -> Tensor:
        """Return the state after `x` (N, input_size) from the state `hx` (N, hidden_size), 0 if None."""
        return self._step(x, hx)[0]
