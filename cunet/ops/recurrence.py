"""The loop over time of RNN, LSTM and GRU, there and back.

The projection of all inputs is one product before the loop, the gradients of both weights are one each after
the loop back; a step is one product and one kernel. Batches of sequences of different lengths are sorted
by falling length, so that the sequences which still run at a step are the first rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..backend import Array, array_module, is_gpu_array, is_half
from .linalg import _rows, column_sums, product
from .recurrent_kernels import (
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
    rnn_relu_backward,
    rnn_relu_forward,
    rnn_tanh_backward,
    rnn_tanh_forward,
)

Sizes = tuple[int, ...]


def _into(kernel: Callable[..., Any], ins: Sequence[Any], outs: Sequence[Array]) -> None:
    """Run a kernel that writes its outputs where they belong."""
    results = kernel(*ins, *outs)
    if is_half(outs[0].dtype) and not is_gpu_array(outs[0]):  # there kernels compute in float32 and return new arrays
        for out, result in zip(outs, results if isinstance(results, tuple) else (results,), strict=True):
            out[...] = result


class Layer:
    """The loop over time, forward and backward: all but what one step computes.

    States lie in the order of time: the one before step t at ``t + back``, the one after it at ``t + 1 - back``,
    with back = 0 forwards and 1 in reverse. Where a sequence does not run, its state is passed on.
    """

    biases_add_up = True  # whether both biases may go into the projection of the input

    def __init__(
        self, x: Array, weights: tuple[Any, ...], mask: Array | None, states: Sequence[Any], sizes: Any, reverse: bool
    ) -> None:
        self.w_ih, self.w_hh, self.b_ih, self.b_hh = weights
        self.x, self.mask, self.back = x, mask, int(reverse)
        self.steps, self.batch = x.shape[:2]
        self.width = self.w_hh.shape[1]
        self.sizes = sizes or (self.batch,) * self.steps
        self.padded = any(n < self.batch for n in self.sizes)
        self.order = range(self.steps - 1, -1, -1) if reverse else range(self.steps)
        self.xp = array_module(x)
        gx = product(_rows(x), self.w_ih.T)
        if self.b_ih is not None:
            gx += self.b_ih + self.b_hh if self.biases_add_up else self.b_ih
        self.gx = gx.reshape(self.steps, self.batch, gx.shape[1])
        self.states = [self._room(s) for s in states]

    def _room(self, first: Array | None) -> Array:
        room = self.xp.empty((self.steps + 1, self.batch, self.width), self.gx.dtype)
        room[self.order[0] + self.back] = 0 if first is None else first
        return room

    def _step(self, t: int, n: int, p: Array) -> None:
        """Compute the first `n` rows of the states after step `t`."""
        raise NotImplementedError

    def _step_back(self, t: int, n: int, gy: Array, grads: Gradients) -> Array | None:
        """Fill the gradients of the gates of step `t`; return what goes to h directly, or None."""
        raise NotImplementedError

    def run(self) -> tuple[Array, ...]:
        """Return the outputs of all steps, and the last states."""
        w = self.xp.ascontiguousarray(self.w_hh.T)  # a product by it is a quarter faster, and there are many
        for t in self.order:
            n, before, after = self.sizes[t], t + self.back, t + 1 - self.back
            if n:
                p = product(self._masked(self.states[0][before, :n], n), w)
                if self.b_hh is not None and not self.biases_add_up:
                    p += self.b_hh
                self._step(t, n, p)
            if n < self.batch:
                for room in self.states:
                    room[after, n:] = room[before, n:]
        y = self.states[0][1 - self.back : self.steps + 1 - self.back]
        if self.padded:
            y = y.copy()
            for t, n in enumerate(self.sizes):
                if n < self.batch:
                    y[t, n:] = 0
        # Copies: the last state is often kept when the rest is not wanted any more.
        return (y, *[room[self.order[-1] + 1 - self.back].copy() for room in self.states])

    def _masked(self, h: Array, n: int) -> Array:
        return h if self.mask is None else h * self.mask[:n]

    def run_back(self, gy: Array | None, last: Sequence[Array | None]) -> Gradients:
        """Go through the steps backwards, from the gradients of the outputs and of the last states."""
        grads = Gradients(self, last)
        nothing = self.xp.zeros((1, 1), self.gx.dtype)
        for t in reversed(self.order):
            n = self.sizes[t]
            if not n:
                continue
            direct = self._step_back(t, n, nothing if gy is None else gy[t, :n], grads)
            gh = self._masked(product(grads.gp[t, :n], self.w_hh), n)
            if direct is not None:
                gh += direct
            if n == self.batch:
                grads.states[0] = gh
            else:
                grads.states[0][:n] = gh
        return grads

    def vjp(self, gys: Sequence[Array | None]) -> tuple[Any, ...]:
        """Return thunks for the gradients of x, the first states, weights and biases, and None for the mask."""
        grads = functools.cache(lambda: self.run_back(gys[0], gys[1:]))

        def for_state(k: int) -> Callable[[], Array]:
            return lambda: grads().states[k]

        def for_w_hh() -> Array:
            before = self.states[0][self.back : self.back + self.steps]
            return product(_rows(grads().gp).T, _rows(before if self.mask is None else before * self.mask))

        both = functools.cache(lambda: column_sums(_rows(grads().gx)))
        return (
            lambda: product(_rows(grads().gx), self.w_ih).reshape(self.x.shape),
            *[for_state(k) for k in range(len(self.states))],
            lambda: product(_rows(grads().gx).T, _rows(self.x)),
            for_w_hh,
            both,
            both if self.biases_add_up else lambda: column_sums(_rows(grads().gp)),
            None,
        )


class Gradients:
    """What grows on the way back: gradients of the states, and of both parts of the gates at all steps."""

    def __init__(self, layer: Layer, last: Sequence[Array | None]) -> None:
        xp, dtype = layer.xp, layer.gx.dtype
        shape = (layer.batch, layer.width)
        self.states = [xp.zeros(shape, dtype) if g is None else g.astype(dtype) for g in last]
        room = xp.zeros if layer.padded else xp.empty
        self.gx = room(layer.gx.shape, dtype)
        self.gp = self.gx if layer.biases_add_up else room(layer.gx.shape, dtype)


class RNN(Layer):
    """h = tanh(x + p)."""

    forward_kernel, backward_kernel = rnn_tanh_forward, rnn_tanh_backward

    def _step(self, t: int, n: int, p: Array) -> None:
        _into(type(self).forward_kernel, (self.gx[t, :n], p), (self.states[0][t + 1 - self.back, :n],))

    def _step_back(self, t: int, n: int, gy: Array, grads: Gradients) -> None:
        y = self.states[0][t + 1 - self.back, :n]
        _into(type(self).backward_kernel, (gy, grads.states[0][:n], y), (grads.gx[t, :n],))


class ReluRNN(RNN):
    """h = relu(x + p)."""

    forward_kernel, backward_kernel = rnn_relu_forward, rnn_relu_backward


class LSTM(Layer):
    """States are h and c; gates are input, forget, cell, output."""

    def _step(self, t: int, n: int, p: Array) -> None:
        h, cells = self.states
        after, gx = t + 1 - self.back, self.gx[t, :n]
        _into(
            lstm_forward, (gx, p, cells[t + self.back, :n], self.width), (h[after, :n], cells[after, :n], gx)
        )  # the projection of the input is not needed again: the gates take its place

    def _step_back(self, t: int, n: int, gy: Array, grads: Gradients) -> None:
        cells, (gh, gc) = self.states[1], grads.states
        before, after = cells[t + self.back, :n], cells[t + 1 - self.back, :n]
        ins = (self.gx[t, :n], gy, gh[:n], gc[:n], before, after, self.width)
        _into(lstm_backward, ins, (gc[:n], grads.gx[t, :n]))


class GRU(Layer):
    """Gates are reset, update, new; the bias of the last one's p is inside the reset gate."""

    biases_add_up = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.q = self.xp.empty((self.steps, self.batch, self.width), self.gx.dtype)

    def _step(self, t: int, n: int, p: Array) -> None:
        h, gx = self.states[0], self.gx[t, :n]
        _into(gru_forward, (gx, p, h[t + self.back, :n], self.width), (h[t + 1 - self.back, :n], self.q[t, :n], gx))

    def _step_back(self, t: int, n: int, gy: Array, grads: Gradients) -> Array:
        direct = self.xp.empty((n, self.width), self.gx.dtype)
        ins = (self.gx[t, :n], gy, grads.states[0][:n], self.states[0][t + self.back, :n], self.q[t, :n], self.width)
        _into(gru_backward, ins, (direct, grads.gx[t, :n], grads.gp[t, :n]))
        return direct
