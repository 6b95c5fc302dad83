"""Layer-normalised RNN, LSTM and GRU: cells, and layers made of them.

The statistics are those of one sample at one step, so that nothing depends on the batch, on how long the
sequence is, or on whether the model trains.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import array_module
from ..ops.activation.rectifier import relu
from ..ops.activation.squashing import sigmoid
from ..ops.array import concatenate, split, stack
from ..ops.linalg import linear
from ..ops.math import add, multiply, subtract, tanh
from ..ops.recurrent.dropout import drop_connect
from ..ops.recurrent.layers import running
from ..ops.recurrent.loop import Sizes
from ..ops.selection import where
from ..random import Generator
from .inputs import as_input
from .module import Module
from .norm import LayerNorm
from .parameter import check_sizes, make_parameter
from .recurrent_base import RNNBase
from .recurrent_cells import recurrent_distribution, states_of

States = tuple[Any, ...]


class _LayerNormCell(Module):
    """Base of the layer-normalised cells; see `LayerNormLSTMCell` for the arguments."""

    gates = 1
    states = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        eps: float = 1e-5,
        *,
        init: Any = None,
        generator: Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        check_sizes(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        rows, distribution = self.gates * hidden_size, recurrent_distribution(hidden_size)
        self.weight_ih = make_parameter((rows, input_size), init, distribution, generator, dtype)
        self.weight_hh = make_parameter((rows, hidden_size), init, distribution, generator, dtype)
        self._make_norms(eps, dtype)

    def _make_norms(self, eps: float, dtype: Any) -> None:
        rows = self.gates * self.hidden_size
        self.norm_ih, self.norm_hh = LayerNorm(rows, eps, dtype=dtype), LayerNorm(rows, eps, dtype=dtype)

    def project(self, x: Any) -> Tensor:
        """Return the normalised projection of `x` (..., input_size), for any number of steps at once."""
        return self.norm_ih(linear(x, self.weight_ih))

    def step(self, gx: Tensor, states: States, h: Any, weight_hh: Any) -> States:
        """Return the states after a step.

        Args:
            gx: the step's part of what `project` returns.
            states: before the step.
            h: the state as it goes into the product: `states[0]`, or that with a mask on it.
            weight_hh: the cell's, or that with a mask on it.
        """
        raise NotImplementedError

    def forward(self, x: Any, hx: Any = None) -> Any:
        """Return the state(s) after `x` (N, input_size) from `hx`, shape (N, hidden_size) each, 0 if None."""
        x = as_input(self, x, self.weight_ih)
        if x.ndim != 2 or x.shape[1] != self.input_size:
            raise ValueError(f"{type(self).__name__}: x must have shape (N, {self.input_size}), got {x.shape}")
        gx = self.project(x)
        states = zeros_for(states_of(self, hx, self.weight_hh), gx, (x.shape[0], self.hidden_size))
        after = self.step(gx, states, states[0], self.weight_hh)
        return after[0] if self.states == 1 else after

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{self.input_size}, {self.hidden_size}"


def zeros_for(states: States, like: Tensor, shape: tuple[int, int]) -> States:
    """Return the states with zeros on the device and in the dtype of `like` for those that are None."""
    xp = array_module(like.data)
    return tuple(Tensor(xp.zeros(shape, like.dtype)) if s is None else s for s in states)


class LayerNormRNNCell(_LayerNormCell):
    """One step of a layer-normalised simple recurrent layer: ``h' = tanh(LN(weight_ih @ x) + LN(weight_hh @ h))``.

    Args:
        input_size, hidden_size: lengths of input and state.
        nonlinearity: "tanh" or "relu".
        **options: eps, init, generator, dtype; see `LayerNormLSTMCell`.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450, equation 4; input and state have norms of their own.

    Example:
        >>> cell = nn.LayerNormRNNCell(4, 8)
        >>> [name for name, _ in cell.named_parameters()]
        ['weight_ih', 'weight_hh', 'norm_ih.weight', 'norm_ih.bias', 'norm_hh.weight', 'norm_hh.bias']
        >>> cell(np.zeros((5, 4))).shape
        (5, 8)
    """

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", **options: Any) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f'LayerNormRNNCell: nonlinearity must be "tanh" or "relu", got {nonlinearity!r}')
        super().__init__(input_size, hidden_size, **options)
        self.nonlinearity = nonlinearity

    def step(self, gx: Tensor, states: States, h: Any, weight_hh: Any) -> States:
        """Return the state after a step; see `project`."""
        total = add(gx, self.norm_hh(linear(h, weight_hh)))
        return (tanh(total) if self.nonlinearity == "tanh" else relu(total),)


class LayerNormLSTMCell(_LayerNormCell):
    """One step of a layer-normalised LSTM: ``c' = f * c + i * g`` and ``h' = o * tanh(LN(c'))``.

    The gates are the parts of ``LN(weight_ih @ x) + LN(weight_hh @ h)``, normalised over all four together; the
    norms' biases take the place of the gates'.

    Args:
        input_size: length of the last axis of the input.
        hidden_size: length of the state.
        eps: added to the variances.
        init: initialiser of the weights; by default U(-1/sqrt(hidden_size), 1/sqrt(hidden_size)).
        generator: where the weights are drawn from.
        dtype: floating dtype of the parameters.

    Attributes:
        weight_ih, weight_hh: as those of `LSTMCell`.
        norm_ih, norm_hh, norm_c: `LayerNorm` over the gates of each part, and over the cell state.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450, equations 20 to 22.

    Example:
        >>> h, c = nn.LayerNormLSTMCell(4, 8)(np.zeros((5, 4)))
        >>> h.shape, c.shape
        ((5, 8), (5, 8))
    """

    gates = 4
    states = 2

    def _make_norms(self, eps: float, dtype: Any) -> None:
        super()._make_norms(eps, dtype)
        self.norm_c = LayerNorm(self.hidden_size, eps, dtype=dtype)

    def step(self, gx: Tensor, states: States, h: Any, weight_hh: Any) -> States:
        """Return ``(h, c)`` after a step; see `project`."""
        i, f, g, o = split(add(gx, self.norm_hh(linear(h, weight_hh))), sections=4, axis=1)
        c = add(multiply(sigmoid(f), states[1]), multiply(sigmoid(i), tanh(g)))
        return multiply(sigmoid(o), tanh(self.norm_c(c))), c


class LayerNormGRUCell(_LayerNormCell):
    """One step of a layer-normalised GRU: ``h' = (1 - z) * n + z * h``.

    ``r, z`` are the sigmoids of the parts of ``LN(weight_ih @ x) + LN(weight_hh @ h)`` that belong to them, and
    ``n = tanh(LN(weight_ih @ x) + r * LN(weight_hh @ h))`` of theirs.

    Args:
        input_size, hidden_size, eps, init, generator, dtype: see `LayerNormLSTMCell`.

    Attributes:
        weight_ih, weight_hh: as those of `GRUCell`.
        norm_ih, norm_hh: `LayerNorm` over both gates together; norm_in, norm_hn: over the candidate.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450, equations 23 to 25, with the names of PyTorch's GRU.

    Example:
        >>> cell = nn.LayerNormGRUCell(4, 8)
        >>> h = cell(np.zeros((5, 4)))
        >>> cell(np.ones((5, 4)), h).shape, cell.norm_ih
        ((5, 8), LayerNorm((16,), eps=1e-05))
    """

    gates = 3

    def _make_norms(self, eps: float, dtype: Any) -> None:
        both, one = 2 * self.hidden_size, self.hidden_size
        self.norm_ih, self.norm_hh = LayerNorm(both, eps, dtype=dtype), LayerNorm(both, eps, dtype=dtype)
        self.norm_in, self.norm_hn = LayerNorm(one, eps, dtype=dtype), LayerNorm(one, eps, dtype=dtype)

    def project(self, x: Any) -> Tensor:
        """Return the normalised projection of `x` (..., input_size), for any number of steps at once."""
        both, new = split(linear(x, self.weight_ih), sections=[2 * self.hidden_size], axis=-1)
        return concatenate([self.norm_ih(both), self.norm_in(new)], axis=-1)

    def step(self, gx: Tensor, states: States, h: Any, weight_hh: Any) -> States:
        """Return the state after a step; see `project`."""
        cut = [2 * self.hidden_size]
        both, new = split(linear(h, weight_hh), sections=cut, axis=1)
        x_both, x_new = split(gx, sections=cut, axis=1)
        r, z = split(sigmoid(add(x_both, self.norm_hh(both))), sections=2, axis=1)
        n = tanh(add(x_new, multiply(r, self.norm_hn(new))))
        return (add(n, multiply(z, subtract(states[0], n))),)


class _LayerNormBase(RNNBase):
    """Base of the layer-normalised layers: what `RNNBase` does, with one cell per layer and direction."""

    cell: Callable[..., _LayerNormCell]

    def _make(self, layer: int, direction: int, width: int, init: Any, generator: Any, dtype: Any) -> None:
        if not layer and not direction:
            self.cells: list[_LayerNormCell] = []
        options = {"init": init, "generator": generator, "dtype": dtype}
        self.cells.append(type(self).cell(width, self.hidden_size, **options))

    def _run(
        self, layer: int, direction: int, x: Tensor, states: States, mask: Any, sizes: Sizes | None
    ) -> tuple[Tensor, ...]:
        cell = self.cells[layer * (2 if self.bidirectional else 1) + direction]
        steps, batch = x.shape[:2]
        gx = cell.project(x)
        states = zeros_for(states, gx, (batch, self.hidden_size))
        weight = drop_connect(cell.weight_hh, self.weight_drop, self.training, self.mask_generator)
        runs = running(x.data, sizes)
        parts = split(gx, sections=steps, axis=0)
        outputs: list[Any] = [None] * steps
        for t in range(steps - 1, -1, -1) if direction else range(steps):
            h = states[0] if mask is None else multiply(states[0], mask)
            after = cell.step(parts[t][0], states, h, weight)
            if runs is None:
                states, outputs[t] = after, after[0]
            else:
                states = tuple(where(runs[t], new, old) for new, old in zip(after, states, strict=True))
                outputs[t] = where(runs[t], after[0], 0.0)
        return stack(outputs), *states


class LayerNormRNN(_LayerNormBase):
    """Layer-normalised simple recurrent layers, tanh; arguments as `LSTM` but proj_size; the norms have the biases.

    Attributes:
        cells: one `LayerNormRNNCell` for each layer and direction, the directions of a layer side by side.

    Example:
        >>> y, h = nn.LayerNormRNN(4, 8)(np.zeros((10, 5, 4)))
        >>> y.shape, h.shape
        ((10, 5, 8), (1, 5, 8))
    """

    cell = LayerNormRNNCell


class LayerNormLSTM(_LayerNormBase):
    """Layer-normalised LSTM; arguments as `LSTM` but proj_size; the norms have the biases.

    Attributes:
        cells: one `LayerNormLSTMCell` for each layer and direction, the directions of a layer side by side.

    Example:
        >>> layer = nn.LayerNormLSTM(4, 8, num_layers=2)
        >>> y, (h, c) = layer(np.zeros((10, 5, 4)))
        >>> y.shape, h.shape, [type(cell).__name__ for cell in layer.cells]
        ((10, 5, 8), (2, 5, 8), ['LayerNormLSTMCell', 'LayerNormLSTMCell'])
    """

    gates = 4
    states = 2
    cell = LayerNormLSTMCell


class LayerNormGRU(_LayerNormBase):
    """Layer-normalised GRU; arguments as `LSTM` but proj_size; the norms have the biases.

    Attributes:
        cells: one `LayerNormGRUCell` for each layer and direction, the directions of a layer side by side.

    Example:
        >>> layer = nn.LayerNormGRU(4, 8, bidirectional=True, batch_first=True)
        >>> y, h = layer(np.zeros((5, 10, 4)), lengths=[10, 7, 5, 2, 1])
        >>> y.shape, h.shape
        ((5, 10, 16), (2, 5, 8))
    """

    gates = 3
    cell = LayerNormGRUCell
