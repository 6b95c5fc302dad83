"""Steps that need all of a parameter at once: its norm, its rows and columns, or a product of matrices."""

from __future__ import annotations

from typing import Protocol

from ..device import Array
from . import ondevice
from .flat_buffer import FlatBuffer
from .rule import Group, State


class LayerRule(Protocol):
    """What an optimiser defines whose formula is of whole parameters; `step` makes a step of it."""

    def slots(self, group: Group) -> dict[str, float]:
        """Return the names of the state arrays of a parameter's shape, and their first values."""

    def update(self, group: Group, state: State, g: Array, w: Array) -> None:
        """Write the new weights to `w`; ``state["step"]`` counts this step."""


def step(rule: LayerRule, group: Group, buffer: FlatBuffer) -> None:
    """Update one parameter after the other; the device is not waited for.

    The step is counted here, not on a GPU, so that no captured graph could repeat it: a rate there is refused.
    """
    if ondevice.has_rate_on_device(group, buffer):
        raise ValueError(f"{type(rule).__name__}: lr must be a number, got an array on the GPU")
    for name, fill in rule.slots(group).items():
        if name not in buffer.slots:
            buffer.add_slot(name, fill)
    for i, (p, state) in enumerate(zip(buffer.params, buffer.states, strict=True)):
        if p.grad is None:
            continue
        state["step"] = state.get("step", 0) + 1
        if p.data.size:
            g = p.grad.astype(buffer.wide, copy=False)
            w = buffer.weights[buffer.span(i, i + 1)].reshape(p.data.shape)
            rule.update(group, state, -g if group["maximize"] else g, w)
        buffer.updated(i, i + 1)
