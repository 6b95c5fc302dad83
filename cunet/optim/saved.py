"""Whether a saved state fits an optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ..device import is_array
from .rule import Group, State

#: Keys that a group may have beside the settings of its optimiser.
EXTRA = {"params", "param_names", "name", "initial_lr"}


def check_groups(who: str, own: Sequence[Group], saved: Sequence[Group], settings: AbstractSet[str]) -> None:
    """Raise ValueError if saved groups differ in number, size or settings from those of the optimiser `who`."""
    if len(saved) != len(own):
        raise ValueError(f"{who}: the state has {len(saved)} parameter groups, the optimiser {len(own)}")
    for i, (mine, other) in enumerate(zip(own, saved, strict=True)):
        if len(mine["params"]) != len(other["params"]):
            raise ValueError(
                f"{who}: group {i} of the state has {len(other['params'])} parameters,"
                f" that of the optimiser {len(mine['params'])}"
            )
        unknown = (settings ^ other.keys()) - EXTRA
        if unknown:
            raise ValueError(
                f"{who}: group {i} of the state is not of this kind of optimiser:"
                f" {', '.join(sorted(unknown))} on one side only"
            )


def check_states(
    who: str,
    shapes: Sequence[dict[str, tuple[int, ...]]],
    states: Sequence[State],
    numbers: AbstractSet[str],
) -> None:
    """Raise ValueError if saved states differ in number, names or shapes from what parameters have.

    Args:
        who: the optimiser.
        shapes: of the arrays that the state of each parameter may hold, by name.
        states, numbers: what was saved, and the names of the numbers in it.
    """
    if len(states) != len(shapes):
        raise ValueError(f"{who}: the state is of {len(states)} parameters, the optimiser has {len(shapes)}")
    for i, (state, expected) in enumerate(zip(states, shapes, strict=True)):
        names = numbers | expected.keys()
        if state and (state.keys() - names or numbers - state.keys()):
            raise ValueError(f"{who}: state {i} must hold {sorted(names)}, got {sorted(state)}")
        for name, value in state.items():
            shape = expected.get(name, ())
            if is_array(value) and value.ndim and value.shape != shape:
                raise ValueError(f"{who}: state {i}: {name} must have shape {shape}, got {value.shape}")


def by_own_names(who: str, own: Sequence[Group], saved: Sequence[Group], states: Sequence[State]) -> list[State]:
    """Return saved states in the order of an optimiser's own parameters: by names where both sides have them.

    States of another number of parameters are returned as they are.

    Raises:
        ValueError: a group has other names.
    """
    if len(states) != sum(len(group["params"]) for group in own):
        return list(states)
    ordered: list[State] = []
    for i, (mine, other) in enumerate(zip(own, saved, strict=True)):
        names, found = mine.get("param_names"), other.get("param_names")
        part = list(states[len(ordered) : len(ordered) + len(mine["params"])])
        if names and found and list(names) != list(found):
            if set(names) != set(found):
                raise ValueError(
                    f"{who}: group {i} of the state is of other parameters:"
                    f" {', '.join(sorted(set(names) ^ set(found)))} on one side only"
                )
            by_name = dict(zip(found, part, strict=True))
            part = [by_name[name] for name in names]
        ordered += part
    return ordered


def plain(value: Any) -> Any:
    """Return a setting as plain numbers, wherever they lie, also in a tuple."""
    if isinstance(value, tuple):
        return tuple([plain(part) for part in value])
    return value.item() if hasattr(value, "item") else value
