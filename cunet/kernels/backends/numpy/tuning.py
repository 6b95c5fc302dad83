"""Numbers that the NumPy backend works by, each found by measurement on a 2-core x86-64 machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """All of them; a test replaces the object that `cunet.kernels.backends.numpy.backend` reads.

    Attributes:
        long: elements from which elementwise work is cut into blocks; shorter arrays stay in the cache anyway.
        block: elements of a block on one thread: three float32 arrays of it fit into a core's second-level cache.
        shared: elements of a block on several threads; shorter calls lose more to handing over the interpreter than
            they gain.
        threaded: elements from which other threads are woken, which takes some tens of microseconds.
        inplace: elements of a block of an optimiser's step: five float32 arrays and their scratch stay in the cache.
    """

    long: int = 65536
    block: int = 32768
    shared: int = 131072
    threaded: int = 262144
    inplace: int = 32768


tuning = Tuning()
