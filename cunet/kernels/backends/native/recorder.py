"""Records the calls of compiled code in a stretch of Python: see ``region.cpp``."""

from __future__ import annotations

import ctypes as c
import functools
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from .builtin import numpys_functions
from .plans import Block, Blocks, Plan, extent, library

_NAME = b"mem_handler"
_RESERVED = 1 << 36  # bytes of addresses, not of memory, for the arrays of a step
_SET_HANDLER = 304  # PyDataMem_SetHandler in NumPy's table of functions, since 1.22


@functools.cache
def _set_handler() -> Any:
    """Return NumPy's function that says who allocates from here on; it takes a capsule's id, and returns the last."""
    c.pythonapi.PyCapsule_New.restype = c.py_object
    c.pythonapi.PyCapsule_New.argtypes = [c.c_void_p, c.c_char_p, c.c_void_p]
    address = numpys_functions()[_SET_HANDLER]
    return c.PYFUNCTYPE(c.py_object, c.c_void_p)(address)


class Recorder:
    """Records what this thread calls within a ``with`` block; arrays made there lie in a region of their own.

    Attributes:
        plan, blocks: what was recorded, and the memory that NumPy asked for; when the block has ended.
        full: whether it asked for more than there was room for.
        peak: the most bytes of it that were there at a time.
    """

    plan: Plan
    blocks: list[Block]
    full: bool
    peak: int

    def __enter__(self) -> Recorder:
        """Begin.

        Raises:
            MemoryError: there are no addresses, or no memory, for it.
        """
        found = library()
        self._region = found.cunet_region(_RESERVED)
        if not self._region or found.cunet_plan_begin(self._region):
            raise MemoryError("cunet: not enough memory to record a step")
        self._set = _set_handler()
        self._capsule = c.pythonapi.PyCapsule_New(found.cunet_region_handler(self._region), _NAME, None)
        self._before = self._set(id(self._capsule))
        self._token = _current.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        """End."""
        found = library()
        _current.reset(self._token)
        self._set(id(self._before))
        self.plan = Plan(found.cunet_plan_end())
        self.blocks, self.full = self._blocks_now(), bool(found.cunet_region_full(self._region))
        self.peak = int(found.cunet_region_peak(self._region))
        found.cunet_region_close(self._region)

    def _blocks_now(self) -> list[Block]:
        rows = (c.c_int64 * (4 * self.count_blocks()))()
        library().cunet_region_blocks(self._region, rows)
        return [Block(rows[k], rows[k + 1], bool(rows[k + 2]), bool(rows[k + 3])) for k in range(0, len(rows), 4)]

    def touched(self) -> list[Block]:
        """Return the memory that something else touched."""
        return [block for block in self._blocks_now() if block.touched]

    def count(self) -> int:
        """Return how many calls have been recorded."""
        return int(library().cunet_plan_count())

    def faults(self) -> int:
        """Return how often something else touched the arrays, as far as no `host` call was it."""
        return int(library().cunet_plan_faults())

    def forgive(self) -> None:
        """Count what touches the arrays anew."""
        library().cunet_region_forgive(self._region)

    def count_blocks(self) -> int:
        """Return how often NumPy has asked for memory."""
        return int(library().cunet_region_blocks(self._region, None))

    def block_of(self, a: np.ndarray) -> int | None:
        """Return the number of the block that an array lies in."""
        return Blocks(self._blocks_now()).find(*extent(a))

    def host(self, first: int, read: Sequence[np.ndarray], written: Sequence[np.ndarray]) -> None:
        """Record a call of Python's in place of the records from `first` on; it is what touched the arrays."""
        rows = [n for arrays, flag in ((read, 0), (written, 1)) for a in arrays for n in (id(a), flag)]
        library().cunet_plan_host(first, len(rows) // 2, (c.c_int64 * len(rows))(*rows))

    def aside_filled(self, a: np.ndarray) -> np.ndarray:
        """Return a copy of an array, of the same layout if it lies densely, in the region."""
        copy = np.empty_like(a)
        self.aside(np.copyto, copy, a)
        return copy

    def aside(self, function: Any, *args: Any) -> Any:
        """Return what a function returns that may touch all arrays, and whose own lie elsewhere."""
        found = library()
        self._set(id(self._before))
        found.cunet_plan_window(1)
        try:
            return function(*args)
        finally:
            found.cunet_plan_window(0)
            self._set(id(self._capsule))


_current: ContextVar[Recorder | None] = ContextVar("cunet_recorder", default=None)


def called(
    function: Any,
    call: bytes,
    arrays: Sequence[tuple[int, np.ndarray | None, bool]],
    beside: Sequence[tuple[int, bytes]] = (),
) -> int:
    """Return what a compiled function returns for a string of bytes, and record the call where calls are recorded.

    Args:
        function: of one string of bytes.
        call: the string.
        arrays: for each address in it its place, the array (None for no address), and whether it is written.
        beside: places of addresses of other bytes, which the function only reads, and these.
    """
    if _current.get() is None:
        return int(function(call))
    rows = [(place, id(a), int(written), 0) for place, a, written in arrays if a is not None]
    kept = [(place, c.create_string_buffer(content, len(content))) for place, content in beside]
    rows += [(place, c.addressof(content), 0, len(content)) for place, content in kept]
    what = (c.c_int64 * (4 * len(rows)))(*[n for row in rows for n in row])
    return int(library().cunet_plan_opaque(c.cast(function, c.c_void_p), call, len(call), len(rows), what))
