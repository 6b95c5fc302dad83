"""The processor: how many threads, and memory that is not handed back and forth to the operating system."""

from __future__ import annotations

import ctypes
import functools
import glob
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


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
def _openblas() -> tuple[Any, Any] | None:
    """Return the functions that get and set the number of threads of NumPy's own OpenBLAS, if it has one."""
    import numpy as np

    folder = os.path.dirname(np.__file__)
    for path in glob.glob(os.path.join(folder, "..", "numpy.libs", "*openblas*")) + glob.glob(
        os.path.join(folder, ".dylibs", "*openblas*")
    ):
        library = ctypes.CDLL(path)
        for name in ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads"):
            get, set_ = getattr(library, name.format("get"), None), getattr(library, name.format("set"), None)
            if get is not None and set_ is not None:
                return get, set_
    return None


def blas_threads() -> int | None:
    """Return how many threads NumPy's BLAS uses, or None if it cannot be asked."""
    functions = _openblas()
    return None if functions is None else int(functions[0]())


@contextmanager
def one_blas_thread() -> Iterator[bool]:
    """Hold BLAS at one thread within a ``with`` block; yield whether that could be done.

    For work that is spread over threads of our own: its products would fight for the cores, and idle BLAS
    threads spin for some 30 ms after each product.
    """
    functions = _openblas()
    if functions is None:
        yield False
        return
    get, set_ = functions
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

            futures = [self._threads().submit(loop) for _ in range(share - 1)]
            try:
                loop()
            finally:
                for future in futures:
                    future.result()
        finally:
            self._lock.release()

    def _threads(self) -> Any:
        if self._pid != os.getpid():
            from concurrent.futures import ThreadPoolExecutor

            self._pool, self._pid = ThreadPoolExecutor(max(1, cores() - 1), "cunet"), os.getpid()
        return self._pool


helpers = Helpers()
if hasattr(os, "register_at_fork"):
    # A child made while another thread held the helpers would find their lock taken for ever.
    os.register_at_fork(after_in_child=lambda: helpers.__init__())  # type: ignore[misc]
