"""RNN, LSTM, GRU: several layers, one or two directions, batches of sequences of different lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..ops.recurrent.layers import gru_layer, lstm_layer, rnn_layer
from .recurrent_base import RNNBase


class RNN(RNNBase):
    """Simple recurrent layers: ``h' = tanh(weight_ih @ x + bias_ih + weight_hh @ h + bias_hh)`` at each step.

    ``y, h = layer(x, hx, lengths)``: see `LSTM`; here the state is h alone.

    Args:
        input_size, hidden_size, num_layers: see `LSTM`.
        nonlinearity: "tanh" or "relu".
        *args, **options: the other arguments of `LSTM`, from `bias` on, without proj_size.

    Example:
        >>> layer = nn.RNN(4, 8, batch_first=True)
        >>> y, h = layer(np.zeros((2, 5, 4)))
        >>> y.shape, h.shape  # (N, T, H), and (layers, N, H) all the same
        ((2, 5, 8), (1, 2, 8))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        *args: Any,
        **options: Any,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f'RNN: nonlinearity must be "tanh" or "relu", got {nonlinearity!r}')
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, num_layers, *args, **options)

    def _op(self, *args: Any, **static: Any) -> tuple[Tensor, ...]:
        return rnn_layer(*args, nonlinearity=self.nonlinearity, **static)


class LSTM(RNNBase):
    """Layers of long short-term memory: ``c' = f * c + i * g`` and ``h' = o * tanh(c')`` at each step.

    Gates lie in PyTorch's order: input, forget, cell, output; see `LSTMCell`.

    ``y, (h, c) = layer(x, hx=None, lengths=None)``: x has shape (T, N, input_size), or (T, input_size) for one
    sequence; hx is a pair of first states of shape (layers * directions, N, hidden_size), 0 if None. The lengths are N
    numbers of steps from 1 to T, on the CPU, all T if None: what is in x beyond them is not looked at, be it NaN, and
    the backward direction begins at each sequence's own end. y has shape (T, N, directions * hidden_size), and is 0
    beyond the lengths; (h, c) are the states after each sequence's last step.

    Args:
        input_size: length of the last axis of the input.
        hidden_size: length of the state of each layer and direction.
        num_layers: number of layers; each reads the outputs of the one before.
        bias: whether to have the two biases.
        batch_first: whether inputs and outputs are (N, T, ...), not (T, N, ...). States are not affected.
        dropout: probability to drop outputs of each layer but the last, a fresh mask at each step; the recurrent
            state is never dropped by it (Zaremba et al. 2014, arXiv:1409.2329).
        bidirectional: whether to run each layer in both directions and join their outputs, forward first.
        proj_size: length that outputs, and the h of states, are projected to, less than hidden_size, by weights
            weight_hr_l0 of shape (proj_size, hidden_size) for each layer and direction; 0 for no projection.
        variational_dropout: probability to drop units with one mask per sequence, the same at every step; or
            three: for the input of each layer, for its state on the way into ``weight_hh``, and for the last
            layer's output (Gal and Ghahramani 2016, arXiv:1512.05287).
        weight_drop: probability to drop single elements of each ``weight_hh``, one mask per call (Merity et al.
            2017, arXiv:1708.02182). The stored weights stay as they are.
        init: initialiser of the weights (see `cunet.init.get`); by default PyTorch's,
            U(-1/sqrt(hidden_size), 1/sqrt(hidden_size)), which biases always have.
        generator: where the weights are drawn from.
        mask_generator: where dropout masks are drawn from; by default the stream "dropout" of `cunet.manual_seed`.
        dtype: floating dtype of the parameters.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0: as those of the cell, for each layer ``_l0``, ``_l1``;
            ``_l0_reverse`` for the other direction.

    Source: Sak et al. 2014, arXiv:1402.1128, section 2.1 (projection).

    Example:
        >>> layer = nn.LSTM(4, 8, num_layers=2, bidirectional=True)
        >>> y, (h, c) = layer(np.zeros((5, 3, 4)))
        >>> y.shape, h.shape, c.shape
        ((5, 3, 16), (4, 3, 8), (4, 3, 8))
    """

    gates = 4
    states = 2
    _op = staticmethod(lstm_layer)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        **options: Any,
    ) -> None:
        if not isinstance(proj_size, (int, np.integer)) or (proj_size and not 0 < proj_size < hidden_size):
            raise ValueError(f"LSTM: proj_size must be 0, or less than hidden_size = {hidden_size}, got {proj_size!r}")
        self.proj_size = proj_size
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, **options)


class GRU(RNNBase):
    """Layers of gated recurrent units: ``h' = (1 - z) * n + z * h`` at each step; see `GRUCell`.

    ``y, h = layer(x, hx, lengths)``: see `LSTM`, also for the arguments; here the state is h alone, and proj_size is
    not offered.

    Example:
        >>> layer = nn.GRU(4, 8)
        >>> y, h = layer(np.ones((5, 2, 4)), lengths=[5, 3])
        >>> (y != 0).all(axis=2)  # (T, N)
        array([[ True,  True],
               [ True,  True],
               [ True,  True],
               [ True, False],
               [ True, False]])
    """

    gates = 3
    _op = staticmethod(gru_layer)
