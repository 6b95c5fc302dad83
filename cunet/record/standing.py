"""Arrays around a step by their hashes: those that were there before it, and those that it leaves behind.

NumPy's writes are seen by the memory that they touch, which is that of arrays made in the step (`region.cpp`). Others,
as in ``average += p.data``, leave no trace there: so all that a step reaches is looked at before it and behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ..device import Array
from ..kernels.backends.native.plans import extent, library
from .notes import owner
from .state import State, is_dense
from .tree import leaves_of
from .watch import Watch

Span = tuple[int, int]


def hashes(spans: Iterable[Span]) -> list[int]:
    """Return for each span of bytes a number that is, but for one case in 2 ** 64, another one for other bytes."""
    rows = np.array([*spans], np.int64).reshape(-1, 2)
    found = np.empty(len(rows), np.uint64)
    library().cunet_hashes(rows.ctypes.data, len(rows), found.ctypes.data)
    return found.tolist()


class Standing:
    """Arrays at a time, by hashes of their bytes."""

    def __init__(self, arrays: Iterable[Array]) -> None:
        self._arrays: dict[Span, Array] = {}  # held, so that nothing else can come to lie there
        for a in arrays:
            root = owner(a)
            if a.size and root.flags.writeable:
                self._arrays[extent(a)] = a
        self._before = hashes(self._arrays)

    def look(self) -> list[Array]:
        """Return those that are not as they were, and let go of all."""
        now = hashes(self._arrays)
        found = [a for a, old, new in zip(self._arrays.values(), self._before, now, strict=True) if old != new]
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


class Left(NamedTuple):
    """What a step leaves behind: which arrays of tensors it replaced, all by layout and hash, and what moves on."""

    replaced: list[bool]
    arrays: list[tuple[Any, ...] | None]
    numbers: list[list[dict[str, Any]]]
    calls: list[int]


def left_by(result: Any, watch: Watch, before: State, written: Iterable[Array]) -> Left:
    """Return what a step leaves behind that returned `result`: all that is not as `before`, and what it writes into."""
    now = State.of(watch)
    found: list[Array] = []
    leaves_of(result, found)
    pairs = [*zip(before.data, now.data, strict=True), *zip(before.grads, now.grads, strict=True)]
    arrays = [*written, *found, *[new for old, new in pairs if new is not old]]
    dense = [a if a is None or is_dense(a) else np.ascontiguousarray(a) for a in arrays]
    bits = iter(hashes([extent(a) for a in dense if a is not None and a.size]))
    shown = [None if a is None else (a.shape, a.dtype, a.strides, next(bits) if a.size else 0) for a in arrays]
    return Left([new is not old for old, new in pairs], shown, now.numbers, now.calls)
