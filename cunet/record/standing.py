"""Arrays that were there before a step, and whether something wrote into them that nobody recorded.

NumPy's writes are seen by the memory that they touch, which is that of arrays made in the step (`region.cpp`). Others,
as in ``average += p.data``, leave no trace there: so all that a step reaches is looked at before it and behind it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..device import Array
from ..kernels.backends.native.plans import extent, library
from .notes import owner

Span = tuple[int, int]


class Standing:
    """Arrays at a time, by hashes of their bytes."""

    def __init__(self, arrays: Iterable[Array]) -> None:
        self._arrays: dict[Span, Array] = {}  # held, so that nothing else can come to lie there
        for a in arrays:
            root = owner(a)
            if a.size and root.flags.writeable:
                self._arrays[extent(a)] = a
        self._spans = np.array(list(self._arrays), np.int64).reshape(-1, 2)
        self._before = self._now()

    def _now(self) -> np.ndarray:
        found = np.empty(len(self._spans), np.uint64)
        library().cunet_hashes(self._spans.ctypes.data, len(found), found.ctypes.data)
        return found

    def look(self) -> list[Array]:
        """Return those that are not as they were, and let go of all."""
        now = self._now()
        found = [a for a, same in zip(self._arrays.values(), now == self._before, strict=True) if not same]
        self._arrays = {}
        return found


def unseen(changed: Iterable[Array], written: Iterable[Span]) -> Array | None:
    """Return one of the arrays that have changed of which nothing lies in what was seen to be written."""
    spans = {*written}
    for a in changed:
        low, high = extent(a)
        if not any(low < end and start < high for start, end in spans):
            return a
    return None
