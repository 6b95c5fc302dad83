"""``cupy.cuda`` for one simulated device: streams and events that count, pools, graphs.

Work is done when it is given, unless the stream captures it (`graph`), so nothing is ever waited for; what would wait
is counted as a synchronisation.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import cupy
import numpy as np

from . import graph as _graph
from .state import stats

nvrtc = cupy.cuda.nvrtc

Graph = _graph.Graph


class MemoryPointer:
    """An address of device memory; keeps the memory alive."""

    def __init__(self, owner: np.ndarray) -> None:
        self.mem, self.ptr = owner, owner.ctypes.data


class Device:
    """The one device, number 0."""

    def __init__(self, device: int | None = None) -> None:
        self.id = int(device or 0)
        if self.id:
            raise cupy.cuda.runtime.CUDARuntimeError(101)  # cudaErrorInvalidDevice
        self.compute_capability = "90"
        self.mem_info = (1 << 36, 1 << 36)
        self.attributes: dict[str, int] = {"MultiProcessorCount": 132, "WarpSize": 32}

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device)

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "<CUDA Device 0>"

    def use(self) -> None:
        """Make it the current device, which it is."""

    def synchronize(self) -> None:
        """Count a wait."""
        stats.sync("Device.synchronize()")


class Event:
    """A moment in a stream."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.time = time.perf_counter()
        self.done = True

    def record(self, stream: Any = None) -> None:
        """Take the time."""
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        """Count a wait."""
        stats.sync("Event.synchronize()")


class Stream:
    """An order of work; every stream is in step with every other here."""

    null: Stream
    ptds: Stream

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: Any = None
    ) -> None:
        self.is_non_blocking, self.priority, self.done = non_blocking, priority, True
        self.ptr = 0 if null else id(self)
        self.graph: _graph.Graph | None = None  # into which it captures

    def __enter__(self) -> Stream:
        _current.append(self)
        stats.follow(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _current.pop()
        stats.follow(_current[-1])

    def use(self) -> Stream:
        """Make it the current stream."""
        _current[-1] = self
        stats.follow(self)
        return self

    def synchronize(self) -> None:
        """Count a wait."""
        stats.sync("Stream.synchronize()")

    def record(self, event: Event | None = None) -> Event:
        """Record an event, a new one if none is given."""
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Let later work wait for the event: no wait of the host."""

    def begin_capture(self, mode: int | None = None) -> None:
        """Note from now on what the stream is given, until `end_capture`."""
        if not self.ptr:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if self.graph is not None:
            self.graph.refuse("another capture")
        self.graph = _graph.Graph()
        stats.follow(_current[-1])

    def end_capture(self) -> Graph:
        """Return what was noted, as a graph."""
        graph, self.graph = self.graph, None
        stats.follow(_current[-1])
        if graph is None:
            raise cupy.cuda.runtime.CUDARuntimeError(1)  # cudaErrorInvalidValue
        if graph.invalid:
            raise cupy.cuda.runtime.CUDARuntimeError(_graph.INVALIDATED)
        return graph

    def is_capturing(self) -> bool:
        """Tell whether it is between the two."""
        return self.graph is not None


Stream.null = Stream.ptds = Stream(null=True)  # number 0
_current = [Stream.null]


def get_current_stream(device_id: int = -1) -> Stream:
    """Return the stream that kernels go to."""
    return _current[-1]


def get_elapsed_time(start: Event, end: Event) -> float:
    """Return the milliseconds between two events, in simulated time: the host's."""
    return (end.time - start.time) * 1e3


class MemoryPool:
    """A pool that holds nothing: NumPy allocates. Whose memory an array is counts while a stream captures."""

    def __init__(self, allocator: Any = None) -> None:
        self._limit = 0

    def malloc(self, size: int) -> MemoryPointer:
        """Return memory that begins at a multiple of 512 bytes, as CuPy's does."""
        room = np.empty(size + 512, np.uint8)
        if stats.graph is not None:
            stats.graph.own(room)
        return MemoryPointer(room[-room.ctypes.data % 512 :][:size])

    def free_all_blocks(self, stream: Any = None) -> None:
        """Free nothing."""

    def used_bytes(self) -> int:
        """Return 0: not counted."""
        return 0

    def free_bytes(self) -> int:
        """Return 0."""
        return 0

    def total_bytes(self) -> int:
        """Return 0."""
        return 0

    def n_free_blocks(self) -> int:
        """Return 0."""
        return 0

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        """Note a limit that is not kept."""
        self._limit = size or 0

    def get_limit(self) -> int:
        """Return the limit."""
        return self._limit


class PinnedMemoryPool:
    """Page-locked host memory: none is simulated."""

    def free_all_blocks(self) -> None:
        """Free nothing."""

    def n_free_blocks(self) -> int:
        """Return 0."""
        return 0


default_pool, default_pinned_pool = MemoryPool(), PinnedMemoryPool()


def alloc(size: int) -> MemoryPointer:
    """Return memory by the current allocator."""
    return _graph.allocators.current(default_pool)(size)


def alloc_pinned_memory(size: int) -> np.ndarray:
    """Return host memory, which here is like any other."""
    return np.empty(size, np.uint8)


def set_allocator(allocator: Any = None) -> None:
    """Allocate by `allocator` from now on."""
    _graph.Allocators.everywhere = allocator


@contextlib.contextmanager
def using_allocator(allocator: Any = None) -> Iterator[None]:
    """Allocate by `allocator` inside the block, in this thread."""
    before, _graph.allocators.here = _graph.allocators.here, allocator
    try:
        yield
    finally:
        _graph.allocators.here = before


def is_available() -> bool:
    """Tell that there is a device."""
    return True


def get_device_id() -> int:
    """Return 0."""
    return 0


def _properties(device: int) -> dict[str, Any]:
    names = {"name": b"simulated device", "major": 9, "minor": 0, "multiProcessorCount": 132}
    return names | {"totalGlobalMem": 1 << 36, "sharedMemPerBlock": 48 << 10, "sharedMemPerBlockOptin": 227 << 10}


runtime = SimpleNamespace(
    CUDARuntimeError=cupy.cuda.runtime.CUDARuntimeError,
    getDeviceCount=lambda: 1,
    getDevice=lambda: 0,
    setDevice=lambda device: None,
    getDeviceProperties=_properties,
    memGetInfo=lambda: (1 << 36, 1 << 36),
    runtimeGetVersion=lambda: 12090,
    driverGetVersion=lambda: 12090,
    deviceSynchronize=lambda: stats.sync("deviceSynchronize()"),
    is_hip=False,
)
memory = SimpleNamespace(OutOfMemoryError=cupy.cuda.memory.OutOfMemoryError, MemoryPool=MemoryPool)
compiler = SimpleNamespace(CompileException=cupy.cuda.compiler.CompileException)
