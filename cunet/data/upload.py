"""Batches on their way to a GPU: through page-locked memory, on a stream of their own."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from ..device import Array, clearer_error, gpu, is_floating, to_device

_SLOTS = 8  # copies under way, at most; then the host waits for one of them
_LARGEST = 1 << 27  # bytes of an array that goes this way: the room for it is kept


class _Slot:
    """Room for one array on either side, and when it is free again.

    Attributes:
        host: page-locked bytes, which the copy to the device reads.
        device: bytes there, from which the array is copied, by the stream that computes.
        arrived, taken: when the one copy was done, and the other.
    """

    def __init__(self, xp: Any, size: int) -> None:
        self.host = np.frombuffer(xp.cuda.alloc_pinned_memory(size), np.uint8, size)
        self.device = xp.empty(size, np.uint8)
        self.arrived, self.taken = (xp.cuda.Event(disable_timing=True) for _ in range(2))
        self.taken.record(xp.cuda.get_current_stream())  # whose kernels may still use what lay there before


class Uploads:
    """Copy arrays to the device while it computes.

    Page-locked memory can be read without the host, and a stream of its own does not queue behind the kernels of the
    step before. The stream that computes waits for the copy and takes the array out of the room that it came to: so it
    lies in memory of that stream, and nobody overwrites what somebody still reads.
    """

    def __init__(self, xp: Any) -> None:
        self._xp = xp
        self._stream = xp.cuda.Stream(non_blocking=True)
        self._slots: list[_Slot] = []
        self._lock = threading.Lock()

    def __call__(self, x: np.ndarray) -> Array:
        """Return a copy of `x` on the device, in C order; the host does not wait for it."""
        with self._lock:
            slot = self._free(x.nbytes)
            slot.host[: x.nbytes].view(x.dtype).reshape(x.shape)[...] = x
            self._stream.wait_event(slot.taken)
            slot.device[: x.nbytes].set(slot.host[: x.nbytes], stream=self._stream)
            slot.arrived.record(self._stream)
            computing = self._xp.cuda.get_current_stream()
            computing.wait_event(slot.arrived)
            made = slot.device[: x.nbytes].view(x.dtype).reshape(x.shape).copy()
            slot.taken.record(computing)
        return made

    def _free(self, size: int) -> _Slot:
        """Return a slot whose page-locked memory is read no more, the smallest that has the room, or a new one."""
        free = [slot for slot in self._slots if slot.host.size >= size and slot.arrived.done]
        if free:
            return min(free, key=lambda slot: slot.host.size)
        if len(self._slots) == _SLOTS:
            self._slots.pop(0).taken.synchronize()
        slot = _Slot(self._xp, size)
        self._slots.append(slot)
        return slot


_uploads: dict[Any, Uploads] = {}


def uploaded(x: Array, device: str) -> Array:
    """Return `x` as an array on `device`, as `to_device` does; one of the host is copied while the GPU computes."""
    plain = isinstance(x, np.ndarray) and 0 < x.nbytes <= _LARGEST and (x.dtype.kind in "fiub" or is_floating(x.dtype))
    xp = gpu() if device == "gpu" and plain and x.dtype.isnative else None
    if xp is None:
        return to_device(x, device)
    key = xp, xp.cuda.get_device_id()
    if key not in _uploads:
        _uploads[key] = Uploads(xp)
    try:
        return _uploads[key](x)
    except Exception as error:
        raise clearer_error("Loader", error) or error from error
