"""RNN, LSTM, GRU: several layers, one or two directions, batches of sequences of different lengths."""

from __future__ import annotations

from typing import Any

from ..autograd.tensor import Tensor
from ..ops.recurrent.layers import gru_layer, lstm_layer, rnn_layer
from .recurrent_base import RNNBase


class RNN(RNNBase):
    """Simple recurrent layers; see `RNNBase` for the arguments and `RNNBase.forward` for the call.

    Args:
        input_size, hidden_size, num_layers: see `RNNBase`.
        nonlinearity: "tanh" or "relu".
        *args, **options: the other arguments of `RNNBase`, from `bias` on.

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
    """Layers of long short-term memory; see `RNNBase` for the arguments and `RNNBase.forward` for the call.

    Gates lie in PyTorch's order: input, forget, cell, output. The state is a pair ``(h, c)``.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional: see `RNNBase`.
        proj_size: length that outputs, and the h of states, are projected to, less than hidden_size, by weights
            weight_hr_l0 of shape (proj_size, hidden_size) for each layer and direction; 0 for no projection.
        **options: the other arguments of `RNNBase`.

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
        if proj_size and not 0 < proj_size < hidden_size:
            raise ValueError(f"LSTM: proj_size must be 0, or less than hidden_size = {hidden_size}, got {proj_size}")
        self.proj_size = proj_size
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, **options)


class GRU(RNNBase):
    """Layers of gated recurrent units; see `RNNBase` for the arguments and `RNNBase.forward` for the call.

    Gates lie in PyTorch's order: reset, update, new; the reset gate acts after the product with the state.

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
