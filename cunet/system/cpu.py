"""The processor: how many threads, and memory that is not handed back and forth to the operating system."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .quiet import IGNORED, errors


@functools.cache
def cores() -> int:
    """Return how many processors this process may use; ``CUNET_NUM_THREADS`` sets fewer or more."""
    wanted = os.environ.get("CUNET_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def keep_memory() -> bool:
    """Tell glibc to keep large freed blocks for the next arrays; return whether it could be told.

    By default every array above 32 MiB, and many above 128 KiB, is made of fresh pages that the system has to
    clear: that costs more than the arithmetic done on them. The memory stays with the process until it ends.
    """
    if not sys.platform.startswith("linux") or os.environ.get("CUNET_KEEP_MEMORY") == "0":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    mmap_threshold, trim_threshold = -3, -1
    told = mallopt(mmap_threshold, 1 << 30) or mallopt(mmap_threshold, 32 << 20)  # older ones allow no more
    return bool(told and mallopt(trim_threshold, (1 << 31) - 1))


@functools.cache
def openblas() -> dict[str, Any] | None:
    """Return functions of NumPy's own OpenBLAS, or None if it has another BLAS.

    Returns:
        "get" and "set", of the number of threads; and "sgemm" and "dgemm" of C's interface with 64-bit integers, if
        it has those.
    """
    import glob

    import numpy as np

    folder = os.path.dirname(np.__file__)
    for path in glob.glob(os.path.join(folder, "..", "numpy.libs", "*openblas*")) + glob.glob(
        os.path.join(folder, ".dylibs", "*openblas*")
    ):
        library = ctypes.CDLL(path)
        for before, after in (("scipy_", "64_"), ("", "64_"), ("", "")):
            names = {f"{verb}": f"{before}openblas_{verb}_num_threads{after}" for verb in ("get", "set")}
            if after:
                names |= {name: f"{before}cblas_{name}{after}" for name in ("sgemm", "dgemm")}
            found = {key: getattr(library, name, None) for key, name in names.items()}
            if found["get"] is not None and found["set"] is not None:
                return {key: function for key, function in found.items() if function is not None}
    return None


def blas_threads() -> int | None:
    """Return how many threads NumPy's BLAS uses, or None if it cannot be asked."""
    functions = openblas()
    return None if functions is None else int(functions["get"]())


@contextmanager
def one_blas_thread() -> Iterator[bool]:
    """Hold BLAS at one thread within a ``with`` block; yield whether that could be done.

    For work that is spread over threads of our own: its products would fight for the cores, and idle BLAS
    threads spin for some 0.03 to 0.1 s after each product.
    """
    functions = openblas()
    if functions is None:
        yield False
        return
    get, set_ = functions["get"], functions["set"]
    before = int(get())
    if before > 1:
        set_(1)
    try:
        yield True
    finally:
        if before > 1:
            set_(before)


class Helpers:
    """Threads that help with long NumPy work; made at first use, and again after a fork."""

    def __init__(self) -> None:
        self._pool: Any = None
        self._pid = 0
        self._lock = threading.Lock()

    def run(self, work: Callable[[int], None], count: int) -> None:
        """Call ``work(0) ... work(count - 1)``, which must not depend on each other, on all cores."""
        share = min(cores(), count)
        if share < 2 or not self._lock.acquire(blocking=False):  # someone else has the helpers
            for k in range(count):
                work(k)
            return
        try:
            todo = iter(range(count))
            guard = threading.Lock()

            def loop() -> None:
                while True:
                    with guard:
                        k = next(todo, None)
                    if k is None:
                        return
                    work(k)

            futures: list[Any] = []
            with suppress(RuntimeError):  # no thread can be started: those there are do it
                for _ in range(share - 1):
                    futures.append(self._threads().submit(loop))
            try:
                loop()
            finally:
                if len(futures) < share - 1:
                    self._give_up()
                for future in futures:
                    if not future.cancelled():
                        future.result()
        finally:
            self._lock.release()

    def _give_up(self) -> None:
        """Wait for the threads there are, forget what none has begun, and start afresh next time."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pid = 0

    def _threads(self) -> Any:
        if self._pid != os.getpid():
            from concurrent.futures import ThreadPoolExecutor

            threads = max(1, cores() - 1)
            self._pool = ThreadPoolExecutor(threads, "cunet", initializer=errors.set, initargs=(IGNORED,))
            self._pid = os.getpid()
        return self._pool


helpers = Helpers()
if hasattr(os, "register_at_fork"):
    # A child made while another thread held the helpers would find their lock taken for ever.
    os.register_at_fork(after_in_child=lambda: helpers.__init__())  # type: ignore[misc]
