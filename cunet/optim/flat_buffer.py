"""Flat buffers: the parameters of a group side by side in one array, so that one kernel updates them all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..autograd.tape import clock
from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, device_of, is_half, to_device
from ..kernels import inplace
from ..kernels.assign import reshaped
from ..kernels.backends.numpy import tuning as settings
from ..kernels.capture import capturing, negated
from .rule import State


@inplace("T g", "T out", "out = g", scratch=0)
def gather_arrays(g, out):
    """Copy arrays, which may lie anywhere, one after the other."""
    out[...] = g


def gather(arrays: Sequence[Array], out: Array) -> Array:
    """Write `arrays` one after the other into the 1-D array `out`; return it."""
    parts = [reshaped(a, (a.size,)) for a in arrays]
    if capturing.get() is not None:
        return _gather_recorded(parts, out)
    if type(out) is np.ndarray and not is_half(out.dtype):
        np.concatenate(parts, out=out, casting="same_kind")
        return out
    if type(out) is not np.ndarray and not is_half(out.dtype) and len({a.dtype for a in parts}) == 1:
        gather_arrays(parts, out)
        return out
    start = 0
    for part in parts:
        out[start : start + part.size] = part
        start += part.size
    return out


def _gather_recorded(parts: Sequence[Array], out: Array) -> Array:
    start = 0
    for part in parts:
        gather_arrays(part, out[start : start + part.size])
        start += part.size
    return out


def by_dtype_and_device(params: Sequence[Tensor]) -> list[list[int]]:
    """Return the positions of `params` in lists of one dtype and device each, in order."""
    positions: dict[Any, list[int]] = {}
    for i, p in enumerate(params):
        positions.setdefault((p.data.dtype, device_of(p.data)), []).append(i)
    return list(positions.values())


class FlatBuffer:
    """Parameters of one dtype and device in one buffer, with their optimiser state in others beside it.

    ``p.data`` of each parameter becomes a view of the buffer, the arrays in its state views of the slots.
    Half types are trained through a float32 copy (slot "master"): a step is often smaller than the distance
    to the next half-precision number, and would be lost.
    """

    def __init__(self, params: list[Tensor], states: list[State]) -> None:
        first = params[0].data
        self.xp = array_module(first)
        self.params, self.states = params, states
        self.dtype, self.device = first.dtype, device_of(first)
        self.wide = accumulator(first.dtype)
        ends = np.cumsum([p.data.size for p in params]).tolist()
        self.spans = list(zip([0, *ends[:-1]], ends, strict=True))
        self.shapes = [p.data.shape for p in params]
        self.data = gather([p.data for p in params], self.xp.empty(ends[-1], self.dtype))
        self.grads: Array | None = None  # room for gradients side by side, where they are needed so
        self.slots: dict[str, Array] = {}
        self.scalars: dict[tuple[int, int], Array] = {}  # of runs whose rate lies on the device, see `ondevice`
        if is_half(self.dtype):
            self.weights = self._master()
        else:
            self.weights = self.data
            for state in states:
                state.pop("master", None)  # of a time before the parameter was converted
        self.views = self._views(self.data)
        for p, view in zip(params, self.views, strict=True):
            p.data = view

    def _views(self, buffer: Array) -> list[Array]:
        return [buffer[a:b].reshape(shape) for (a, b), shape in zip(self.spans, self.shapes, strict=True)]

    def _master(self) -> Array:
        """Return the float32 weights: those in the states where they round to the parameters, else the latter."""
        master = self.data.astype(self.wide)
        saved = self.add_slot("master", 0.0)
        saved[...] = self.xp.where(saved.astype(self.dtype) == self.data, saved, master)
        return saved

    def add_slot(self, name: str, fill: float) -> Array:
        """Make the flat state array `name` of what the states hold under that name, or else of `fill`."""
        slot = self.xp.full(self.spans[-1][1], fill, self.wide)
        self.slots[name] = slot
        for view, state in zip(self._views(slot), self.states, strict=True):
            if name in state:
                view[...] = to_device(state[name], self.device)
            state[name] = view
        return slot

    def add_slots(self, slots: dict[str, float]) -> None:
        """Make those flat state arrays that are not there yet, of what to fill them with."""
        for name, fill in slots.items():
            if name not in self.slots:
                self.add_slot(name, fill)

    def bind(self) -> bool:
        """Take in arrays that were assigned to ``p.data``; return False if one needs another buffer.

        It does with another dtype or device, and where a parameter of a layer that was not called yet had no elements.
        """
        changed = [i for i, (p, view) in enumerate(zip(self.params, self.views, strict=True)) if p.data is not view]
        for i in changed:
            new, shape = self.params[i].data, self.shapes[i]
            if new.shape != shape and not self.views[i].size:
                self.states[i].clear()  # its arrays have no elements either
                return False
            if new.shape != shape:
                raise ValueError(f"optimizer: a parameter must keep its shape {shape}, got data of shape {new.shape}")
            if new.dtype != self.dtype or device_of(new) != self.device:
                return False
        for i in changed:
            self.views[i][...] = self.params[i].data
            self.params[i].data = self.views[i]
        if changed and self.weights is not self.data:
            self.weights = self._master()
        return True

    def numbers(self, initial: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Return for each parameter the numbers of these names in its state, or the initial ones where it has none."""
        return zip(*[[state.get(name, value) for state in self.states] for name, value in initial.items()], strict=True)

    def runs(self, keys: Iterable[Any]) -> Iterator[tuple[int, int, Any]]:
        """Yield (first, last + 1, key) for neighbouring parameters that have a gradient and equal keys, of one each."""
        first, current = 0, None
        for i, (p, key) in enumerate(zip(self.params, keys, strict=True)):
            this = None if p.grad is None else key
            if this != current:
                if current is not None:
                    yield first, i, current
                first, current = i, this
        if current is not None:
            yield first, len(self.params), current

    def parts(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield (first, last + 1) of what one kernel call shall update of a run: on the CPU large parameters alone."""
        for i in range(first, last if self.device == "cpu" else first):
            if self.spans[i][1] - self.spans[i][0] >= settings.tuning.own_gradient:
                if i > first:
                    yield first, i
                yield i, i + 1
                first = i + 1
        if first < last:
            yield first, last

    def gradient(self, first: int, last: int, maximize: bool = False) -> Array | list[Array]:
        """Return the gradients of a run of parameters: one 1-D array, on the GPU a list for the kernel to read.

        To `maximize` is to minimize what has the negative gradients: nothing else in an optimiser knows of it.
        """
        grads: list[Array] = [p.grad for p in self.params[first:last]]
        if maximize:
            grads = [negated(g) for g in grads]
        if self.device == "gpu":
            if {g.dtype for g in grads} == {self.wide}:
                return grads
            return [g.astype(self.dtype, copy=False) for g in grads]
        if len(grads) == 1 and grads[0].dtype == self.wide:
            return grads[0].reshape(-1)
        if self.grads is None:
            self.grads = np.empty(self.spans[-1][1], self.wide)
        return gather(grads, self.grads[self.span(first, last)])

    def span(self, first: int, last: int) -> slice:
        """Return where a run of parameters lies in the flat arrays."""
        return slice(self.spans[first][0], self.spans[last - 1][1])

    def updated(self, first: int, last: int) -> None:
        """Tell the parameters of a run that they were written."""
        if self.weights is not self.data:
            span = self.span(first, last)
            self.data[span] = self.weights[span]
        now = next(clock)
        for p in self.params[first:last]:
            p._modified = now
