"""The loop over time of RNN, LSTM and GRU, there and back.

The projection of all inputs is one product before the loop, the gradients of both weights are one each after
the loop back; a step is one product and one kernel. Batches of sequences of different lengths are sorted
by falling length, so that the sequences which still run at a step are the first rows.

What a step takes and writes is described once, as arrays over all steps (`TimeStep`). The loop runs in Python, or,
where kernels are compiled for the CPU, in C++ (`cunet.kernels.backends.native.recurrence`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ...device import Array, array_module, is_half
from ...kernels import Kernel, primitive
from ...kernels.assign import assign, zeros
from ...kernels.backends.native.recurrence import run as native_loop
from ...kernels.capture import added, copied, multiplied, recordable
from ..linalg import as_matrix, column_sums, product
from .kernels import (
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


class TimeStep(NamedTuple):
    """A kernel with its inputs and outputs over all steps.

    An array of shape (T, N, ...) lies in the order of the loop; one of shape (N, ...) or a number is the same in
    every step.
    """

    kernel: Kernel
    ins: tuple[Any, ...]
    outs: tuple[Array, ...]

    def backwards(self) -> TimeStep:
        """Return the same in the opposite order."""
        ins, outs = (tuple(a[::-1] if getattr(a, "ndim", 0) == 3 else a for a in part) for part in self[1:])
        return TimeStep(self.kernel, ins, outs)

    def run(self, s: int, n: int) -> None:
        """Run the kernel on the first `n` rows of step `s`; it writes its outputs where they belong."""
        ins, outs = ([rows_at(a, s, n) for a in part] for part in self[1:])
        self.kernel(*ins, *outs)


def rows_at(a: Any, s: int, n: int) -> Any:
    """Return the first `n` rows of step `s`, or of what is the same in every step; a number as it is."""
    ndim = getattr(a, "ndim", 0)
    return a[s, :n] if ndim == 3 else a[:n] if ndim == 2 else a


class StepLike(Protocol):
    """What the loop needs of a step: a `TimeStep`, or one with something beside its kernel."""

    def run(self, s: int, n: int) -> None:
        """Do step `s`, for the first `n` rows."""


class StepBack(StepLike, Protocol):
    """What the way back needs."""

    def backwards(self) -> StepLike:
        """Return the same in the opposite order."""


@primitive
def recur(
    x: Array, w: Array, y: Array, step: StepLike, sizes: Sizes, mask: Array | None, extra: Any, back: bool
) -> None:
    """Go through the steps of a recurrence: ``y = x @ w + extra`` before the kernel, or `back`, after it.

    Args:
        x, y: shape (T, N, ...) or (N, ...) as in `TimeStep`; y is written.
        w: the matrix that is the same in every step.
        step: the kernel: a `TimeStep`, or one with a product beside it.
        sizes: how many rows run in each step.
        mask: shape (N, ...) or None: what x is multiplied by, or `back`, the product.
        extra: what is added to y, or None.
        back: whether the kernel comes first.
    """
    for s, n in enumerate(sizes):
        if not n:
            continue
        if back:
            step.run(s, n)
        rows = rows_at(x, s, n)
        out = product(rows if back or mask is None else rows * mask[:n], w, out=rows_at(y, s, n))
        if back and mask is not None:
            out *= mask[:n]
        if extra is not None:
            out += rows_at(extra, s, n)
        if not back:
            step.run(s, n)


@recur.native
def _(x: Array, w: Array, y: Array, step: StepLike, sizes: Sizes, mask: Array | None, extra: Any, back: bool) -> Any:
    if not isinstance(step, TimeStep):
        return NotImplemented
    ways: dict[str, Any] = {"running": sizes, "mask": mask, "extra": extra, "product_first": not back}
    return None if native_loop(step.kernel, (*step.ins, *step.outs), (x, w, y), **ways) else NotImplemented


class Layer:
    """The loop over time, forward and backward: all but what one step computes.

    What is indexed by time is seen through views in the order of the loop: in reverse the last step comes first.
    States have one entry more than there are steps: the one before step s at s, the one after it at s + 1. Where a
    sequence does not run, its state is passed on.
    """

    biases_add_up = True  # whether it does not matter to which projection the biases are added

    def __init__(
        self, x: Array, weights: tuple[Any, ...], mask: Array | None, states: Sequence[Any], sizes: Any, reverse: bool
    ) -> None:
        self.w_ih, self.w_hh, self.b_ih, self.b_hh = weights
        self.x, self.mask = x, mask
        self.steps, self.batch = x.shape[:2]
        self.width = self.w_hh.shape[1]
        self.time = slice(None, None, -1) if reverse else slice(None)
        self.sizes = tuple(sizes or (self.batch,) * self.steps)[self.time]
        self.padded = any(n < self.batch for n in self.sizes)
        self.xp = array_module(x)
        gx = product(as_matrix(x), self.w_ih.T)
        self.bias = self.b_hh  # of the projection of the state: a step adds it while that is in the cache
        if self.b_ih is not None and self.biases_add_up:
            self.bias = added(self.b_ih, self.b_hh)
            # Where a step would add it by a launch; half types would be rounded once more.
            if self.xp is not np and not is_half(gx.dtype):
                gx += self.bias
                self.bias = None
        elif recordable(gx, self.b_ih):
            gx = added(gx, self.b_ih)
        elif self.b_ih is not None:
            gx += self.b_ih
        self.gx = gx.reshape(self.steps, self.batch, gx.shape[1])[self.time]
        self.states = [self._room(s, width) for s, width in zip(states, self._widths(), strict=False)]

    def _widths(self) -> tuple[int, ...]:
        """Return the width of each kind of state."""
        return self.width, self.width

    def _room(self, first: Array | None, width: int) -> Array:
        room = self.xp.empty((self.steps + 1, self.batch, width), self.gx.dtype)[self.time]
        assign(room[0], 0 if first is None else first)
        return room

    def _step(self, p: Array) -> StepLike:
        """Return what computes the states after a step from its projection `p` of the state before it."""
        raise NotImplementedError

    def _step_back(self, gy: Array, grads: Gradients) -> tuple[StepBack, Array | None]:
        """Return what computes the gradients of the gates, and where it leaves what goes to h directly, or None."""
        raise NotImplementedError

    def run(self) -> tuple[Array, ...]:
        """Return the outputs of all steps, and the last states."""
        w = copied(self.w_hh.T)  # a product by it is a quarter faster, and there are many
        p = self.xp.empty(self.gx.shape[1:], self.gx.dtype)
        self._pass_on()  # for those that begin late
        recur(self.states[0][:-1], w, p, self._step(p), self.sizes, self.mask, self.bias, False)
        self._pass_on()  # for those that end early
        y = self.states[0][1:][self.time]
        if self.padded:
            y = copied(y)
            for t, n in enumerate(self.sizes[self.time]):
                if n < self.batch:
                    assign(y[t, n:], 0)
        # Copies: the last state is often kept when the rest is not wanted any more.
        return (y, *[copied(room[-1]) for room in self.states])

    def _pass_on(self) -> None:
        for s, n in enumerate(self.sizes):
            if n < self.batch:
                for room in self.states:
                    assign(room[s + 1, n:], room[s, n:])

    def run_back(self, gy: Array | None, last: Sequence[Array | None]) -> Gradients:
        """Go through the steps backwards, from the gradients of the outputs and of the last states."""
        grads = Gradients(self, last)
        if gy is None:
            gy = self.xp.broadcast_to(self.xp.zeros(self.width, self.gx.dtype), (self.batch, self.width))
        else:  # one row after the other in memory: what `broadcast_to` made of a sum is not
            gy = (gy if gy.strides[-1] == gy.itemsize else copied(gy))[self.time]
        step, direct = self._step_back(gy, grads)
        gp, sizes = grads.gp[self.time][::-1], self.sizes[::-1]
        recur(gp, self.w_hh, grads.states[0], step.backwards(), sizes, self.mask, direct, True)
        return grads

    def vjp(self, gys: Sequence[Array | None]) -> tuple[Any, ...]:
        """Return thunks for the gradients of x, the first states, weights and biases, and None for the mask."""
        return self._thunks(functools.cache(lambda: self.run_back(gys[0], gys[1:])))

    def _thunks(self, grads: Callable[[], Gradients]) -> tuple[Any, ...]:
        def for_state(k: int) -> Callable[[], Array]:
            return lambda: grads().states[k]

        def for_w_hh() -> Array:
            before = self.states[0][:-1][self.time]
            return product(
                as_matrix(grads().gp).T, as_matrix(before if self.mask is None else multiplied(before, self.mask))
            )

        both = functools.cache(lambda: column_sums(as_matrix(grads().gx)))
        return (
            lambda: product(as_matrix(grads().gx), self.w_ih).reshape(self.x.shape),
            *[for_state(k) for k in range(len(self.states))],
            lambda: product(as_matrix(grads().gx).T, as_matrix(self.x)),
            for_w_hh,
            both,
            both if self.biases_add_up else lambda: column_sums(as_matrix(grads().gp)),
            None,
        )


class Gradients:
    """What grows on the way back: gradients of the states, and, in the order of time, of both parts of the gates."""

    def __init__(self, layer: Layer, last: Sequence[Array | None]) -> None:
        gx = layer.gx
        self.states = [
            zeros(gx, room.shape[1:], gx.dtype) if g is None else copied(g.astype(gx.dtype, copy=False))
            for g, room in zip(last, layer.states, strict=True)
        ]
        self.gx = self._room(layer)
        self.gp = self.gx if layer.biases_add_up else self._room(layer)

    def _room(self, layer: Layer) -> Array:
        gx = layer.gx
        return zeros(gx, gx.shape, gx.dtype) if layer.padded else layer.xp.empty(gx.shape, gx.dtype)


class RNN(Layer):
    """h = tanh(x + p)."""

    forward_kernel, backward_kernel = rnn_tanh_forward, rnn_tanh_backward

    def _step(self, p: Array) -> TimeStep:
        return TimeStep(type(self).forward_kernel, (self.gx, p), (self.states[0][1:],))

    def _step_back(self, gy: Array, grads: Gradients) -> tuple[TimeStep, None]:
        ins = (gy, grads.states[0], self.states[0][1:])
        return TimeStep(type(self).backward_kernel, ins, (grads.gx[self.time],)), None


class ReluRNN(RNN):
    """h = relu(x + p)."""

    forward_kernel, backward_kernel = rnn_relu_forward, rnn_relu_backward


class LSTM(Layer):
    """States are h and c; gates are input, forget, cell, output."""

    def _step(self, p: Array) -> StepLike:
        h, cells = self.states
        # The projection of the input is not needed again: the gates take its place.
        return TimeStep(lstm_forward, (self.gx, p, cells[:-1]), (h[1:], cells[1:], self.gx))

    def _step_back(self, gy: Array, grads: Gradients) -> tuple[StepBack, None]:
        cells, (gh, gc) = self.states[1], grads.states
        ins = (self.gx, gy, gh, gc, cells[:-1], cells[1:])
        return TimeStep(lstm_backward, ins, (gc, grads.gx[self.time])), None


class GRU(Layer):
    """Gates are reset, update, new; the bias of the last one's p is inside the reset gate."""

    biases_add_up = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.q = self.xp.empty((self.steps, self.batch, self.width), self.gx.dtype)

    def _step(self, p: Array) -> TimeStep:
        h = self.states[0]
        return TimeStep(gru_forward, (self.gx, p, h[:-1]), (h[1:], self.q, self.gx))

    def _step_back(self, gy: Array, grads: Gradients) -> tuple[TimeStep, Array]:
        direct = self.xp.empty((self.batch, self.width), self.gx.dtype)
        ins = (self.gx, gy, grads.states[0], self.states[0][:-1], self.q)
        outs = (direct, grads.gx[self.time], grads.gp[self.time])
        return TimeStep(gru_backward, ins, outs), direct
