"""What a step reaches on a GPU, and what it may not change: seen before and after one run of it."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from ..device import Array, array_module, is_gpu_array
from .notes import owner
from .recording import NotRecordable
from .slots import Run
from .state import State
from .watch import Watch, alike


class Before:
    """Everything as it is before a run.

    Attributes:
        state: of tensors, optimisers and streams.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch, self.state = watch, State.of(watch)
        self._on_cpu = _digests(watch)
        self._groups = [[dict(g) for g in o.param_groups] for o in watch.optimizers]

    def check(self, run: Run) -> None:
        """See that a run changed nothing that a replay would not change as well.

        Raises:
            NotRecordable: it did.
        """
        watch, after = self._watch, State.of(self._watch)
        if watch.problem or run.problem:
            raise NotRecordable(watch.problem or run.problem)
        if not watch.holds():
            raise NotRecordable(f"it changes {watch.changed()}")
        if self.state.foreign != after.foreign:
            raise NotRecordable("it draws from Python's or NumPy's random numbers; cunet.Generator can be recorded")
        for t, old in zip(watch.tensors, self.state.data, strict=True):
            if t._data is not old:
                raise NotRecordable(f"it puts another array in the place of one of shape {old.shape}")
        if self._on_cpu != _digests(watch):
            raise NotRecordable("NumPy writes into an array of the CPU that was there before the step")
        self._check_optimizers(run, after)

    def _check_optimizers(self, run: Run, after: State) -> None:
        for k, (optimizer, groups) in enumerate(zip(self._watch.optimizers, self._groups, strict=True)):
            name = type(optimizer).__name__
            updates = [u for u in run.updates if u.optimizer == k]
            moved = {
                id(state) for u in updates for state in optimizer._buffers[u.group][u.buffer].states[u.first : u.last]
            }
            for state, before, now in zip(optimizer.state, self.state.numbers[k], after.numbers[k], strict=True):
                if before != now and id(state) not in moved:
                    raise NotRecordable(f"{name} counts its steps on the CPU, and not by a kernel")
            for old, new in zip(groups, optimizer.param_groups, strict=True):
                if old.keys() != new.keys() or not all([alike(old[key], new[key]) for key in old]):
                    raise NotRecordable(f"the settings of {name} are changed by more than its step")


def _digests(watch: Watch) -> list[int]:
    """Return a checksum of each array of the CPU that a step reaches."""
    found = [a for a in (*watch.arrays, *[t._data for t in watch.tensors]) if isinstance(a, np.ndarray)]
    return [zlib.crc32(np.ascontiguousarray(a).reshape(-1).view(np.uint8).data) for a in found if not a.dtype.hasobject]


def reached(watch: Watch) -> list[Array]:
    """Return the arrays of a GPU that a step reaches: each whole, and once; no gradients."""
    found: list[Any] = [*[t._data for t in watch.tensors], *watch.on_gpu]
    for optimizer in watch.optimizers:
        for buffer in [b for buffers in optimizer._buffers for b in buffers]:
            found += [*vars(buffer).values(), *buffer.slots.values(), *buffer.scalars.values()]
        for held in [*optimizer.state, *optimizer.param_groups]:
            found += [a for value in held.values() for a in (value if isinstance(value, tuple) else (value,))]
    return list({id(owner(a)): owner(a) for a in found if is_gpu_array(a)}.values())


def same_bits(a: Array, b: Array) -> bool:
    """Compare arrays of one device bit for bit, and how they lie."""
    if (a.shape, a.dtype) != (b.shape, b.dtype) or not _lies_alike(a, b):
        return False
    if not is_gpu_array(a):
        return a.tobytes() == b.tobytes()
    x, y = (array_module(z).ascontiguousarray(z).reshape(-1).view(np.uint8) for z in (a, b))
    return bool((x == y).all())


def _lies_alike(a: Array, b: Array) -> bool:
    """Tell whether two arrays of one shape have the same strides, where these matter."""
    return a.flags.c_contiguous == b.flags.c_contiguous and all(
        [n == 1 or s == t for n, s, t in zip(a.shape, a.strides, b.strides, strict=True)]
    )
