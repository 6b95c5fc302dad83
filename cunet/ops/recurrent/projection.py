"""LSTM with a projection: the state that the gates read is a product of what the output gate lets through.

So a step has a second product, beside its kernel. It runs in Python on every route: the loop in C++ knows one product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...device import Array
from ..linalg import as_matrix, product
from .kernels import lstm_backward, lstm_forward
from .loop import LSTM, Gradients, TimeStep, rows_at


class Projecting(NamedTuple):
    """A step whose kernel writes `inner`, of which the state is a product: ``state = inner @ w``."""

    step: TimeStep
    inner: Array
    w: Array
    state: Array

    def run(self, s: int, n: int) -> None:
        """Run the kernel, then the product."""
        self.step.run(s, n)
        product(rows_at(self.inner, s, n), self.w, out=rows_at(self.state, s, n))


class ProjectingBack(NamedTuple):
    """The way back of such a step: ``total = gy + gh``, then ``inner = total @ w``, which the kernel reads."""

    step: TimeStep
    gy: Array
    gh: Array
    total: Array
    w: Array
    inner: Array

    def backwards(self) -> ProjectingBack:
        """Return the same in the opposite order."""
        gy = self.gy[::-1] if self.gy.ndim == 3 else self.gy
        return self._replace(step=self.step.backwards(), gy=gy, total=self.total[::-1])

    def run(self, s: int, n: int) -> None:
        """Run the product, then the kernel."""
        total = rows_at(self.total, s, n)
        total[...] = rows_at(self.gy, s, n) + rows_at(self.gh, s, n)
        product(total, self.w, out=rows_at(self.inner, s, n))
        self.step.run(s, n)


class ProjectedLSTM(LSTM):
    """An LSTM whose h is a product of what its output gate lets through."""

    def __init__(self, x: Array, weights: tuple[Any, ...], *args: Any) -> None:
        *four, self.w_hr = weights
        super().__init__(x, tuple(four), *args)
        room = self.xp.zeros if self.padded else self.xp.empty
        self.inner = room((self.steps, self.batch, self.w_hr.shape[1]), self.gx.dtype)

    def _widths(self) -> tuple[int, ...]:
        return self.w_hr.shape

    def _step(self, p: Array) -> Projecting:
        h, cells = self.states
        step = TimeStep(lstm_forward, (self.gx, p, cells[:-1]), (self.inner, cells[1:], self.gx))
        return Projecting(step, self.inner, self.xp.ascontiguousarray(self.w_hr.T), h[1:])

    def _step_back(self, gy: Array, grads: Gradients) -> tuple[ProjectingBack, None]:
        xp, dtype, cells, (gh, gc) = self.xp, self.gx.dtype, self.states[1], grads.states
        self.total = (xp.zeros if self.padded else xp.empty)((self.steps, *gh.shape), dtype)
        inner, nothing = xp.empty(gc.shape, dtype), xp.zeros(gc.shape, dtype)
        ins = (self.gx, nothing, inner, gc, cells[:-1], cells[1:])
        step = TimeStep(lstm_backward, ins, (gc, grads.gx[self.time]))
        return ProjectingBack(step, gy, gh, self.total, self.w_hr, inner), None

    def _thunks(self, grads: Callable[[], Gradients]) -> tuple[Any, ...]:
        def for_w_hr() -> Array:
            grads()
            return product(as_matrix(self.total).T, as_matrix(self.inner))

        return *super()._thunks(grads), for_w_hr
