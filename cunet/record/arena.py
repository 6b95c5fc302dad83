"""Memory for what a plan makes on its way, which can be given back between two replays."""

from __future__ import annotations

import mmap

import numpy as np

_LARGE = 1 << 22  # bytes from which on large pages are asked for, as NumPy does


class Arena:
    """So many bytes, of which no page is there before it is written.

    Attributes:
        address: where they begin; a multiple of a page.
    """

    def __init__(self, size: int) -> None:
        self._memory = mmap.mmap(-1, max(size, 1))
        self._bytes = np.frombuffer(self._memory, np.uint8)  # keeps its address
        self.address = self._bytes.ctypes.data
        if size >= _LARGE:
            self._advise("MADV_HUGEPAGE")

    def release(self) -> None:
        """Give the pages back; they are zeros when they are touched again."""
        self._advise("MADV_DONTNEED")

    def _advise(self, advice: str) -> None:
        if hasattr(mmap, advice):
            self._memory.madvise(getattr(mmap, advice))
