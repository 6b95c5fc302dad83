"""Where steps are captured as CUDA graphs: a stream, and a pool of memory that no other work is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..device import gpu
from .slots import Run, Slots
from .watch import Watch

_streams: dict[int, Any] = {}  # by device: one for all captures and replays, whose products share cuBLAS's workspace


def namespace() -> Any:
    """Return CuPy, where there are arrays of a GPU."""
    return gpu()


class Place:
    """The place of one plan.

    Attributes:
        stream: that captures; see `entered`.
        pool: of the memory that the step asks for.
        slots: the numbers that its kernels read.
    """

    def __init__(self, watch: Watch) -> None:
        self._xp = namespace()
        device = self._xp.cuda.get_device_id()
        if device not in _streams:
            _streams[device] = self._xp.cuda.Stream(non_blocking=True)
        self.stream, self.pool = _streams[device], self._xp.cuda.MemoryPool()
        self._events = [self._xp.cuda.Event(disable_timing=True) for _ in range(2)]
        self.slots = Slots(self._xp, watch)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let work go to the stream: behind what the current one was given, before what that will be."""
        current = self._xp.cuda.get_current_stream()
        there, back = self._events
        self.stream.wait_event(current.record(there))
        try:
            with self.stream:
                yield
        finally:
            current.wait_event(self.stream.record(back))

    def warm(self, step: Callable[[], Any], run: Run) -> Any:
        """Return what a step returns: as written, on the stream, in memory of the pool, with numbers from the slots.

        Behind it kernels are compiled, handles made, and the pool holds what the step needs at a time.
        """
        with self.entered():
            return self._run(step, run)

    def capture(self, step: Callable[[], Any], run: Run) -> tuple[Any, Any]:
        """Return the graph of a step, and what the step returned, of which nothing is computed yet."""
        with self.entered():
            self.stream.begin_capture()
            try:
                found = self._run(step, run)
            except BaseException:
                with suppress(Exception):  # the capture is spoiled, and its end says so
                    self.stream.end_capture()
                raise
            return self.stream.end_capture(), found

    def _run(self, step: Callable[[], Any], run: Run) -> Any:
        with self._xp.cuda.using_allocator(self.pool.malloc), run.noting():
            return step()
