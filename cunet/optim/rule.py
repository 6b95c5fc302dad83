"""What an optimiser says of its own step, and all others read: settings, state, kernel, scalars."""

from __future__ import annotations

from typing import Any, Protocol

from ..kernels import Kernel

#: Parameters that share settings: the list "params", and the settings by name.
Group = dict[str, Any]

#: What an optimiser keeps for one parameter: numbers such as "step", and arrays of the parameter's shape.
State = dict[str, Any]


def switches(group: Group) -> tuple[Any, ...]:
    """Return the settings that are no numbers."""
    return tuple([value for value in group.values() if type(value) in (bool, str, type(None))])


class UpdateRule(Protocol):
    """What each optimiser defines; `Optimizer` makes a step of it."""

    #: State numbers of a parameter and their values before its first step.
    numbers: dict[str, float]

    def slots(self, group: Group) -> dict[str, float]:
        """Return the names of the state arrays, in the order of the kernel's outputs, and their first values."""

    def kernel(self, group: Group) -> Kernel:
        """Return the kernel, ``kernel(g, *scalars, w, *slots)``."""

    def advance(self, group: Group, numbers: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the state numbers after this step, and the scalars that the kernel takes in it."""
