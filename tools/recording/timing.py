"""Times calls by the device's clock and by the host's, apart from each other."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

MOST = 100  # calls between two events: of some launches each, and a stream takes some 1000 before the host has to wait
CACHED = 1 << 28  # bytes that no cache of a GPU holds

_HOLD = r"""
extern "C" __global__ void hold(const long long nanoseconds) {
  long long begin, now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  do {
    __nanosleep(1000);
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  } while (now - begin < nanoseconds);
}
"""


class Event(Protocol):
    """A moment in a stream."""

    def record(self) -> Any:
        """Take the time when the stream gets here."""

    def synchronize(self) -> Any:
        """Wait for it."""


class Stream(Protocol):
    """An order of work on a device, with a clock."""

    def event(self) -> Event:
        """Make an event."""

    def elapsed(self, start: Any, end: Any) -> float:
        """Return the seconds between two events."""

    def hold(self, seconds: float) -> None:
        """Keep the device busy, so that work that is given meanwhile waits in a queue."""

    def synchronize(self) -> None:
        """Wait for all that was given."""


class CupyStream:
    """CuPy's current stream; on the simulated device (`holds` False) there is no queue to hold."""

    def __init__(self, xp: Any, holds: bool = True) -> None:
        self._cuda, self.event = xp.cuda, xp.cuda.Event
        self._kernel = xp.RawKernel(_HOLD, "hold") if holds else None

    def elapsed(self, start: Any, end: Any) -> float:
        """Return the seconds between two events."""
        return self._cuda.get_elapsed_time(start, end) / 1e3

    def hold(self, seconds: float) -> None:
        """Keep the device busy."""
        if self._kernel:
            self._kernel((1,), (1,), (np.int64(seconds * 1e9),))

    def synchronize(self) -> None:
        """Wait for all that was given."""
        self._cuda.Device().synchronize()


class TorchStream:
    """PyTorch's current stream."""

    def __init__(self, torch: Any) -> None:
        self._cuda = torch.cuda

    def event(self) -> Event:
        """Make an event."""
        return self._cuda.Event(enable_timing=True)

    def elapsed(self, start: Any, end: Any) -> float:
        """Return the seconds between two events."""
        return start.elapsed_time(end) / 1e3

    def hold(self, seconds: float) -> None:
        """Keep the device busy."""
        self._cuda._sleep(int(seconds * 2e9))  # cycles: of 2 GHz, the fastest there are

    def synchronize(self) -> None:
        """Wait for all that was given."""
        self._cuda.synchronize()


class HostStream:
    """A device that does its work when it is given, as a CPU does."""

    class _Event:
        def record(self) -> None:
            self.time = time.perf_counter()

        def synchronize(self) -> None:
            pass

    event = _Event

    def elapsed(self, start: Any, end: Any) -> float:
        """Return the seconds between two events."""
        return end.time - start.time

    def hold(self, seconds: float) -> None:
        """Do nothing: there is no queue."""

    def synchronize(self) -> None:
        """Do nothing: all is done."""


class Timer:
    """Times a call: medians of some runs of several calls each, after a warm-up.

    While the host gives the calls of a run, a kernel holds the device; then the device does all of them without a gap.
    So "device" is the device's own time even where the host is slower, as it is for small arrays, and "host" the time
    that Python, CuPy and the driver take to give the work. In a stream of calls one takes the longer of the two.

    Args:
        stream: of the work.
        seconds: of one run, about.
        runs: of which the median is taken.
        clock: the host's.
    """

    def __init__(
        self, stream: Stream, seconds: float, runs: int, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.stream, self.seconds, self.runs, self.clock = stream, seconds, runs, clock

    def __call__(self, call: Callable[[], Any]) -> dict[str, float]:
        """Return the seconds of a call, "device" and "host"."""
        for _ in range(2):
            call()
        self.stream.synchronize()
        begin = self.clock()
        call()
        host = self.clock() - begin
        self.stream.synchronize()
        both = self.clock() - begin
        calls = min(max(1, math.ceil(self.seconds / max(both, 1e-6))), MOST)
        found = [self._run(call, calls, host) for _ in range(self.runs)]
        device, hosts = ([f[k] for f in found] for k in (0, 1))
        return {"device": statistics.median(device), "host": statistics.median(hosts)}

    def _run(self, call: Callable[[], Any], calls: int, host: float) -> tuple[float, float]:
        start, end = self.stream.event(), self.stream.event()
        self.stream.hold(1.5 * calls * host + 2e-4)
        start.record()
        begin = self.clock()
        for _ in range(calls):
            call()
        host = (self.clock() - begin) / calls
        end.record()
        end.synchronize()
        return self.stream.elapsed(start, end) / calls, host


def filled(xp: Any, shape: Sequence[int], dtype: Any) -> Any:
    """Return an array of made-up numbers on the device; only the first million is drawn."""
    count = math.prod(shape)
    draw = np.random.default_rng(0).standard_normal(min(count, 1 << 20)).astype(np.float32)
    some = xp.asarray(draw).astype(dtype)
    x = xp.empty(count, dtype)
    for start in range(0, count, some.size):
        part = x[start : start + some.size]
        part[...] = some[: part.size]
    return x.reshape(shape)


def copier(xp: Any, size: int, rotating: bool = False) -> Callable[[], Any]:
    """Return a function that copies `size` bytes of random numbers; `rotating`: always others, too many for a cache."""
    count = max(1, CACHED // (2 * size)) if rotating else 1
    pairs = [(filled(xp, (size // 4,), np.float32), xp.empty(size // 4, np.float32)) for _ in range(count)]
    turns = itertools.cycle(pairs)

    def copy() -> None:
        source, target = next(turns)
        xp.copyto(target, source)

    return copy
