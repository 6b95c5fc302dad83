"""What a captured step leaves behind: arrays in memory that its next replay writes again, so users get copies."""

from __future__ import annotations

from typing import Any

from ..device import Array, array_module, is_gpu_array
from ..optim.flat_buffer import gather
from .notes import owner
from .recording import NotRecordable
from .state import is_dense


class Lefts:
    """See the module.

    Args:
        outside: arrays that were there before, each the owner of its memory.
    """

    def __init__(self, outside: list[Array]) -> None:
        self._outside = {id(a) for a in outside}
        self._arrays: list[Array] = []
        self._flat: dict[Any, list[int]] = {}  # gradients that are copied side by side, by dtype
        self._places: dict[Any, int] = {}

    def add(self, a: Array, what: str) -> int:
        """Return the number of a "result" or "gradient" in `copies`: two that are one array there are one here.

        Raises:
            NotRecordable: a copy would not be what the step leaves behind.
        """
        if not is_gpu_array(a):
            raise NotRecordable(f"a {what} of shape {a.shape} is on the CPU")
        if id(owner(a)) in self._outside:
            raise NotRecordable(f"a {what} of shape {a.shape} was not made by the step, but is left behind by it")
        if a.size and not is_dense(a):
            raise NotRecordable(f"a {what} of shape {a.shape} is part of a larger array")
        key = (a.data.ptr, a.shape, a.strides, a.dtype) if a.size else id(a)
        number = self._places.setdefault(key, len(self._arrays))
        if number == len(self._arrays):
            self._arrays.append(a)
            if what == "gradient" and a.flags.c_contiguous:
                self._flat.setdefault(a.dtype, []).append(number)
        return number

    def copies(self) -> list[Array]:
        """Return a copy of each: results by themselves, gradients by one launch for many."""
        together = {k for numbers in self._flat.values() for k in numbers}
        found = [None if k in together else a.copy(order="K") for k, a in enumerate(self._arrays)]
        for dtype, numbers in self._flat.items():
            parts = [self._arrays[k] for k in numbers]
            room, start = array_module(parts[0]).empty(sum(a.size for a in parts), dtype), 0
            gather(parts, room)
            for k, a in zip(numbers, parts, strict=True):
                found[k] = room[start : start + a.size].reshape(a.shape)
                start += a.size
        return found
