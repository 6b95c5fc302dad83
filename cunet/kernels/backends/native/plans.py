"""Calls of compiled code that were recorded, to be replayed: see ``plan.cpp``."""

from __future__ import annotations

import bisect
import ctypes as c
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....system.locks import ForkSafeLock
from . import products, text
from .backend import native

SOURCES = ("region.cpp", "tasks.h", "arrays.cpp", "calls.h", "plan.h", "plan.cpp")
_AXES = 16  # `kAxes` in arrays.cpp
_lock = ForkSafeLock()


class Operand(NamedTuple):
    """An array in a recorded call: its record, where its elements are, and their layout."""

    record: int
    address: int
    low: int
    high: int
    written: bool
    letter: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Block(NamedTuple):
    """Memory that NumPy asked for: where, how much, whether anything but recorded calls touched it, and for zeros."""

    address: int
    size: int
    touched: bool
    zeroed: bool


class Number(NamedTuple):
    """A number in a recorded call: its record, its place there, its type's letter and its 64 bits."""

    record: int
    position: int
    letter: int
    bits: int


class Blocks:
    """Finds the block of memory that an address lies in."""

    def __init__(self, blocks: list[Block]) -> None:
        self._starts = [b.address for b in blocks]
        self._blocks = blocks

    def find(self, low: int, high: int) -> int | None:
        """Return the number of the block that holds these bytes."""
        k = bisect.bisect_right(self._starts, low) - 1
        if k < 0 or high > self._blocks[k].address + self._blocks[k].size:
            return None
        return k


def extent(a: np.ndarray) -> tuple[int, int]:
    """Return the addresses between which the elements of an array lie."""
    return np.lib.array_utils.byte_bounds(a)


@functools.cache
def unit() -> text.Unit:
    """Return what compiles the library that records and replays."""
    return text.single("plans", text.source(*SOURCES))


def trim() -> None:
    """Give memory that was freed back to the system."""
    library().cunet_trim()


def expect() -> None:
    """Compile that library in the background."""
    if not library.cache_info().currsize and native.active and native.hopeful():
        from . import ahead

        ahead.queue.add([unit()], later=True)


@functools.cache
def library() -> Any:
    """Return the library that records and replays, or None where there is no compiler."""
    from . import ahead, compiler

    with _lock:
        runtime = native.runtime() if native.active else None
        if runtime is None:
            return None
        (error,) = ahead.compile_now([unit()])
        try:
            if error is not None:
                raise error
            found = compiler.load(unit().text())
        except (compiler.CompileError, OSError) as problem:
            native.report("recording of steps", problem)
            return None
        _declare(found)
        names = ("listen", "run", "reduce", "together", "product", "assign", "tasks")
        functions = [c.cast(getattr(runtime, f"cunet_{name}"), c.c_void_p).value for name in names]
        found.cunet_plan_start(object.__basicsize__, (c.c_void_p * len(names))(*functions))
        products.bound()
        return found


def _declare(found: Any) -> None:
    """Declare the functions whose arguments or results are no ints."""
    pointers = {"region": c.c_void_p, "region_handler": c.c_void_p, "plan_end": c.c_void_p}
    for name, kind in pointers.items():
        getattr(found, f"cunet_{name}").restype = kind
    found.cunet_region_blocks.restype = found.cunet_plan_count.restype = c.c_int64
    found.cunet_plan_faults.restype = found.cunet_region_peak.restype = c.c_int64
    found.cunet_plan_start.argtypes = [c.c_int64, c.c_void_p]
    found.cunet_region_handler.argtypes = [c.c_void_p]
    found.cunet_region_blocks.argtypes = [c.c_void_p, c.c_void_p]
    found.cunet_region.argtypes = [c.c_int64]
    for name in ("region_close", "region_full", "region_peak", "region_forgive", "plan_begin", "plan_free"):
        getattr(found, f"cunet_{name}").argtypes = [c.c_void_p]
    found.cunet_plan_window.argtypes = [c.c_int]
    found.cunet_plan_opaque.argtypes = [c.c_void_p, c.c_char_p, c.c_int64, c.c_int64, c.c_void_p]
    for name in ("sizes", "records", "operands", "numbers"):
        getattr(found, f"cunet_plan_{name}").argtypes = [c.c_void_p, c.c_void_p]
    found.cunet_plan_place.argtypes = [c.c_void_p, c.c_int64, c.c_int64]
    found.cunet_plan_move.argtypes = [c.c_void_p, c.c_int64, c.c_int64, c.c_int64]
    found.cunet_plan_expect.argtypes = [c.c_void_p, c.c_uint64]
    found.cunet_plan_vary.argtypes = [c.c_void_p, c.c_int64]
    found.cunet_plan_set.argtypes = [c.c_void_p, c.c_char_p, c.c_char_p]
    found.cunet_plan_run.argtypes = [c.c_void_p, c.c_int64, c.c_int64, c.c_int]
    found.cunet_plan_keep.argtypes = [c.c_void_p, c.c_int64, c.c_int64]
    found.cunet_plan_order.argtypes = [c.c_void_p, c.c_int64, c.c_int64, *[c.c_void_p] * 4]
    found.cunet_plan_time.argtypes = [c.c_void_p, c.c_int64, c.c_int64, c.c_void_p]
    found.cunet_plan_host.argtypes = [c.c_int64, c.c_int64, c.c_void_p]
    found.cunet_hashes.argtypes = [c.c_void_p, c.c_int64, c.c_void_p]


class Plan:
    """Calls that were recorded.

    Attributes:
        records: for each call its sort and kernel.
        operands, numbers: what the calls were given.
        whole: False if there were calls that cannot be replayed.
    """

    def __init__(self, handle: int) -> None:
        self.handle, self._library = handle, library()
        sizes = (c.c_int64 * 4)()
        self._library.cunet_plan_sizes(handle, sizes)
        records, operands, numbers, self.whole = sizes[0], sizes[1], sizes[2], bool(sizes[3])
        self.records = self._rows("records", records, 3)
        self.operands = [self._operand(row) for row in self._rows("operands", operands, 8 + 2 * _AXES)]
        self.numbers = [Number(*row) for row in self._rows("numbers", numbers, 4)]
        self.set = functools.partial(self._library.cunet_plan_set, handle)
        self._times = (c.c_int64 * records)()

    def _rows(self, what: str, count: int, width: int) -> list[tuple[int, ...]]:
        out = np.zeros((count, width), np.int64)
        getattr(self._library, f"cunet_plan_{what}")(self.handle, out.ctypes.data)
        return [tuple(row) for row in out.tolist()]

    def _operand(self, row: tuple[int, ...]) -> Operand:
        ndim = row[6]
        record, address, low, high, written, letter = row[:6]
        shape, strides = row[8 : 8 + ndim], row[8 + _AXES : 8 + _AXES + ndim]
        return Operand(record, address, low, high, bool(written), letter, shape, strides)

    def place(self, operand: int, address: int) -> None:
        """Say where the elements of an operand are from now on."""
        self._library.cunet_plan_place(self.handle, operand, address)

    def move(self, operand: int, array: int, offset: int) -> None:
        """Say that they are `offset` bytes behind the beginning of the moving array `array`."""
        self._library.cunet_plan_move(self.handle, operand, array, offset)

    def expect(self, array: np.ndarray) -> None:
        """Add a moving array: `set` takes the ids of them all, which must have the layout of this one."""
        self._library.cunet_plan_expect(self.handle, id(array))

    def vary(self, number: int) -> None:
        """Add a number to those that `set` takes."""
        self._library.cunet_plan_vary(self.handle, number)

    def keep(self, arrays: Sequence[np.ndarray]) -> None:
        """Say into which arrays the plan writes that were there before."""
        for a in arrays:
            self._library.cunet_plan_keep(self.handle, *extent(a))

    def order(self, first: int, *lists: Sequence[int]) -> None:
        """Say what of the calls from `first` on may be made side by side; see `cunet_plan_order`."""
        arrays = [np.asarray(numbers, np.int32) for numbers in lists]
        self._library.cunet_plan_order(self.handle, first, len(lists[0]), *[a.ctypes.data for a in arrays])

    def run(self, first: int, end: int) -> int:
        """Make the calls [first, end); return 0, or what one of them returned that failed."""
        return int(self._library.cunet_plan_run(self.handle, first, end, native.threads))

    def time(self, first: int, end: int) -> int:
        """Make them one after the other, and note how long each takes."""
        return int(self._library.cunet_plan_time(self.handle, first, end, self._times))

    @property
    def times(self) -> list[int]:
        """The least nanoseconds that each call took while it was timed."""
        return list(self._times)

    def __del__(self) -> None:
        """Free the copies."""
        self._library.cunet_plan_free(self.handle)
