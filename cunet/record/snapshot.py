"""All that a step may change, at a time, with copies of the elements of arrays, wherever they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..device import Array
from .reached import same_bits
from .state import State
from .tree import leaves_of
from .watch import Watch


def leaves_in(value: Any) -> list[bytes]:
    """Return the arrays of a result as bytes."""
    found: list[Array] = []
    leaves_of(value, found)
    return [a.tobytes() for a in found]


class Snapshot:
    """All that a step may change, with the elements of arrays."""

    def __init__(self, watch: Watch, written: Sequence[Array]) -> None:
        self._watch, self._state = watch, State.of(watch)
        self._arrays, self._values = written, [a.copy() for a in written]

    def restore(self) -> None:
        """Go back to it."""
        self._state.restore(self._watch)
        for a, value in zip(self._arrays, self._values, strict=True):
            a[...] = value

    def equals(self, other: Snapshot) -> bool:
        """Compare bit for bit."""
        mine, its = self._state, other._state
        arrays = [*zip(mine.data, its.data, strict=True), *zip(mine.grads, its.grads, strict=True)]
        arrays += zip(self._values, other._values, strict=True)
        if (mine.numbers, mine.calls) != (its.numbers, its.calls):
            return False
        return all(a is b or (a is not None and b is not None and same_bits(a, b)) for a, b in arrays)
