"""Parameters that are updated together: what each step does before and behind the arithmetic on arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import ondevice
from .flat_buffer import FlatBuffer
from .rule import Group, UpdateRule


def runs(rule: UpdateRule, group: Group, buffer: FlatBuffer) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """Yield (first, last + 1, scalars) for neighbouring parameters of a flat buffer that have made equal steps.

    Scalars are numbers, or arrays of one number, which kernels read on a GPU: where the rate lies there, and where the
    step is captured. What is yielded counts as updated once the next one is asked for.
    """
    if ondevice.has_rate_on_device(group, buffer):
        yield from ondevice.runs(rule, group, buffer)
        return
    place = ondevice.placing.get() if buffer.device == "gpu" else None
    for first, last, numbers in list(buffer.runs(buffer.numbers(rule.numbers))):
        after, scalars = rule.advance(group, numbers)
        yield first, last, scalars if place is None else place(rule, group, buffer, (first, last), scalars)
        for name, value in zip(rule.numbers, after, strict=True):
            for state in buffer.states[first:last]:
                state[name] = value
        buffer.updated(first, last)
