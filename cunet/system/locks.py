"""Locks that outlive a fork."""

from __future__ import annotations

import os
import threading


class ForkSafeLock:
    """A lock that its thread may take again, and that is free in a forked child if another thread held it.

    That thread does not live on in the child, which would wait for it for ever. What the lock guards must be whole at
    any time: half-done work of the parent's thread is done again in the child.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        if self._lock.acquire(blocking=False):  # free, or held by the thread that lives on
            self._lock.release()
        else:
            self._lock = threading.RLock()

    def __enter__(self) -> None:
        """Wait for the lock."""
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        """Give it back."""
        self._lock.release()
