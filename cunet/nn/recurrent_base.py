"""RNNBase: several layers, one or two directions, batches of sequences of different lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, array_of, as_array
from ..device import asnumpy
from ..ops.array import concatenate, expand_dims, squeeze, stack, swapaxes
from ..ops.dropout import dropout
from ..ops.dropout_mask import threshold_of
from ..ops.operands import lifted
from ..ops.recurrent.dropout import drop_connect, state_mask, variational_dropout
from ..ops.recurrent.layers import reorder, running, sizes_of
from ..ops.recurrent.loop import Sizes
from ..ops.selection import where
from ..random import Generator
from .inputs import as_input
from .module import Module
from .parameter import check_sizes, make_parameter
from .recurrent_cells import recurrent_distribution, states_of
from .recurrent_dropout import rates_of


class RNNBase(Module):
    """Base of the recurrent layers: stacking, directions, lengths and dropout; a subclass runs one layer one way.

    See `LSTM` for the arguments.
    """

    gates = 1
    states = 1
    proj_size = 0

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        variational_dropout: float | tuple[float, float, float] = 0.0,
        weight_drop: float = 0.0,
        init: Any = None,
        generator: Generator | None = None,
        mask_generator: Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        who = type(self).__name__
        check_sizes(who, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        for name, p in (("dropout", dropout), ("weight_drop", weight_drop)):
            threshold_of(who, p, name)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        self.variational_dropout = rates_of(who, variational_dropout)
        self.weight_drop, self.mask_generator = weight_drop, mask_generator
        directions = 2 if bidirectional else 1
        for layer in range(num_layers):
            width = self.output_size * directions if layer else input_size
            for direction in range(directions):
                self._make(layer, direction, width, init, generator, dtype)

    @property
    def output_size(self) -> int:
        """Length of the output of each direction."""
        return self.proj_size or self.hidden_size

    def _make(self, layer: int, direction: int, width: int, init: Any, generator: Any, dtype: Any) -> None:
        """Make the parameters of one layer in one direction."""
        rows, distribution = self.gates * self.hidden_size, recurrent_distribution(self.hidden_size)
        end = _suffix(layer, direction)
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, self.output_size)}
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if self.bias else {}
        shapes |= {"weight_hr": (self.proj_size, self.hidden_size)} if self.proj_size else {}
        for name, shape in shapes.items():
            start = init if name.startswith("weight") else None
            setattr(self, name + end, make_parameter(shape, start, distribution, generator, dtype))

    def _run(
        self, layer: int, direction: int, x: Tensor, states: tuple[Any, ...], mask: Any, sizes: Sizes | None
    ) -> tuple[Tensor, ...]:
        """Return the outputs (T, N, H) and last states of one layer in one direction."""
        end = _suffix(layer, direction)
        w_ih, w_hh, b_ih, b_hh = (
            getattr(self, name + end, None) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        w_hh = drop_connect(w_hh, self.weight_drop, self.training, generator=self.mask_generator)
        more = (getattr(self, "weight_hr" + end),) if self.proj_size else ()
        return self._op(x, *states, w_ih, w_hh, b_ih, b_hh, mask, *more, sizes=sizes, reverse=bool(direction))

    _op: Callable[..., tuple[Tensor, ...]]

    def forward(self, x: Any, hx: Any = None, lengths: Sequence[int] | None = None) -> tuple[Tensor, Any]:
        """Run all layers.

        Args:
            x: shape (T, N, input_size), or (N, T, input_size) with batch_first, or (T, input_size) for one sequence.
            hx: first states, shape (layers * directions, N, hidden_size), for an LSTM a pair of them; None for 0.
            lengths: number of steps of each sequence, N numbers from 1 to T on the CPU; None: all T. What is in x
                beyond them is not looked at, be it NaN. The backward direction begins at each sequence's own end.

        Returns:
            ``(output, hx)``: output (T, N, directions * hidden_size), 0 beyond the lengths; hx the states after
            each sequence's last step, shaped as the first states.
        """
        x, states, single = self._prepared(x, hx)
        order, sizes = self._sorted(lengths, x)
        if order is not None:
            x = reorder(x, order=order, axis=1)
            states = tuple(None if s is None else reorder(s, order=order, axis=1) for s in states)
        runs = running(x, sizes)
        if runs is not None:
            x = where(runs, x, 0.0)  # all steps go into one product, where 0 times NaN is NaN
        x, last = self._layers(x, states, sizes)
        if order is not None:
            x = reorder(x, order=np.argsort(order), axis=1)
            last = [reorder(s, order=np.argsort(order), axis=1) for s in last]
        if single:
            x, last = squeeze(x, axis=1), [squeeze(s, axis=1) for s in last]
        elif self.batch_first:
            x = swapaxes(x, axis1=0, axis2=1)
        return x, last[0] if self.states == 1 else tuple(last)

    def _prepared(self, x: Any, hx: Any) -> tuple[Tensor, tuple[Any, ...], bool]:
        """Return x as (T, N, input_size), the first states, and whether x was a single sequence; all checked."""
        who = type(self).__name__
        weight = next(iter(self.parameters()))
        x = lifted(as_input(self, x, weight))
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            layout = "N, T" if self.batch_first else "T, N"
            raise ValueError(f"{who}: x must have shape ({layout}, {self.input_size}), got {x.shape}")
        states = states_of(self, hx, weight)
        single = x.ndim == 2
        if single:
            x = expand_dims(x, axis=1)
            states = tuple(None if s is None else expand_dims(s, axis=1) for s in states)
        elif self.batch_first:
            x = swapaxes(x, axis1=0, axis2=1)
        if not x.shape[0]:
            raise ValueError(f"{who}: a sequence must have at least one step, got x of shape {x.shape}")
        count = self.num_layers * (2 if self.bidirectional else 1)
        for s, width in zip(states, (self.output_size, self.hidden_size), strict=False):
            shape = (count, x.shape[1], width)
            if s is not None and s.shape != shape:
                raise ValueError(
                    f"{who}: a first state must have shape (layers * directions, N, H) = {shape}, got {s.shape}"
                )
        return x, states, single

    def _sorted(self, lengths: Any, x: Tensor) -> tuple[np.ndarray | None, Sizes | None]:
        """Return how to sort the batch (None: it is sorted), and how many sequences run at each step (None: all)."""
        if lengths is None:
            return None, None
        steps, batch = x.shape[:2]
        counts = asnumpy(lengths.data if isinstance(lengths, Tensor) else as_array(lengths))
        if counts.shape != (batch,) or counts.dtype.kind not in "iu" and batch:
            raise ValueError(f"{type(self).__name__}: lengths must be {batch} integers, got {lengths!r}")
        if batch and not 1 <= counts.min() <= counts.max() <= steps:
            raise ValueError(f"{type(self).__name__}: lengths must be from 1 to {steps}, got {counts.tolist()}")
        order, sizes = sizes_of(counts, steps)
        return (None if (order[:-1] < order[1:]).all() else order), sizes

    def _layers(self, x: Tensor, states: tuple[Any, ...], sizes: Sizes | None) -> tuple[Tensor, list[Tensor]]:
        directions = 2 if self.bidirectional else 1
        rates, draw = self.variational_dropout, self.mask_generator
        last: list[list[Tensor]] = [[] for _ in range(self.states)]
        for layer in range(self.num_layers):
            x = self._drop(x, rates.input)
            outputs = []
            for direction in range(directions):
                at = layer * directions + direction
                drops = self.training and rates.recurrent > 0
                mask = state_mask(array_of(x), (x.shape[1], self.output_size), rates.recurrent, draw) if drops else None
                first = tuple(None if s is None else s[at] for s in states)
                y, *after = self._run(layer, direction, x, first, mask, sizes)
                outputs.append(y)
                for states_so_far, state in zip(last, after, strict=True):
                    states_so_far.append(state)
            x = outputs[0] if directions == 1 else concatenate(outputs, axis=2)
            if layer < self.num_layers - 1:
                x = dropout(x, self.dropout, self.training, generator=draw)
        return self._drop(x, rates.output), [stack(s) for s in last]

    def _drop(self, x: Tensor, p: float) -> Tensor:
        return variational_dropout(x, p, True, generator=self.mask_generator) if self.training and p else x

    def extra_repr(self) -> str:
        """Show the sizes, and what differs from the defaults."""
        shown = [f"{self.input_size}, {self.hidden_size}"]
        shown += [f"num_layers={self.num_layers}"] if self.num_layers > 1 else []
        shown += ["bias=False"] if not self.bias else []
        names = ("batch_first", "bidirectional", "proj_size", "dropout", "weight_drop")
        shown += [f"{name}={getattr(self, name)}" for name in names if getattr(self, name)]
        rates = tuple(self.variational_dropout)
        return ", ".join(shown + ([f"variational_dropout={rates}"] if any(rates) else []))


def _suffix(layer: int, direction: int) -> str:
    return f"_l{layer}" + ("_reverse" if direction else "")
