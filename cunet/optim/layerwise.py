"""Steps that need all of a parameter at once: its norm, its rows and columns, or a product of matrices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..device import Array, is_gpu_array
from ..kernels import Kernel
from . import ondevice
from .flat_buffer import FlatBuffer
from .optimizer import Optimizer
from .rule import Group, State, switches
from .runs import runs

#: A parameter in a step: its state, its gradient, and its weights, which `LayerOptimizer.update` writes.
Layer = tuple[State, Array, Array]


class LayerOptimizer(Optimizer):
    """Base of optimisers that update one parameter after the other; the device is not waited for.

    A subclass defines `update` in place of a kernel. All numbers that may change from step to step come to it as
    scalars, by `advance`: so captured graphs find them on the GPU.
    """

    def foreseen(self, group: Group) -> list[Kernel]:
        """Return nothing: steps are NumPy's."""
        return []

    def path(self, group: Group) -> tuple[Any, ...]:
        """Return what decides which calls a step makes."""
        return (bool(group["weight_decay"]), *self.slots(group), *switches(group))

    def update(self, group: Group, scalars: tuple[Any, ...], layers: Iterable[Layer]) -> None:
        """Write the new weights of each layer.

        Args:
            group: settings, of which only what `path` tells may be looked at.
            scalars: those of `advance`: numbers, or 0-d arrays on a GPU.
            layers: parameters that have made equal steps.
        """
        raise NotImplementedError(f"{self._name} must define update()")

    def _step(self, group: Group, buffer: FlatBuffer) -> None:
        settings = ondevice.settings_of(group, buffer)
        buffer.add_slots(self.slots(settings))
        for first, last, scalars in runs(self, group, buffer):
            if buffer.device == "gpu":
                scalars = tuple([s.reshape(()) if is_gpu_array(s) else s for s in scalars])
            self.update(settings, scalars, _layers(buffer, first, last, group["maximize"]))


def _layers(buffer: FlatBuffer, first: int, last: int, maximize: bool) -> Iterator[Layer]:
    """Yield the parameters of a run; those without elements need no step."""
    for i in range(first, last):
        start, end = buffer.spans[i]
        if end > start:
            g = buffer.params[i].grad.astype(buffer.wide, copy=False)  # type: ignore[union-attr]
            yield buffer.states[i], -g if maximize else g, buffer.weights[start:end].reshape(buffer.shapes[i])
