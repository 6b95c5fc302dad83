"""Numbers that differ from step to step, in memory of a GPU where the kernels of a captured step read them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..device import Array, is_gpu_array
from ..kernels import listening
from ..kernels.backends.cuda.numbers import CHUNK, write_numbers
from ..kernels.spec import Definition
from ..optim import ondevice
from ..optim.flat_buffer import FlatBuffer
from ..optim.optimizer import Optimizer
from ..optim.rule import Group
from ..random.generator import Counted, Counter, Draw
from .moves import Update
from .watch import Watch

_ROOM = 64 * CHUNK  # numbers of a dtype


class Slots:
    """The memory: scalars of optimisers by dtype, and the call numbers that streams have before the step."""

    def __init__(self, xp: Any, watch: Watch) -> None:
        self.scalars = {np.dtype(char): xp.zeros(_ROOM, char) for char in "fd"}
        self.calls = xp.zeros(-(-len(watch.generators) // CHUNK) * CHUNK, np.uint64)

    def fill(self, run: Run, scalars: Sequence[Sequence[float]], calls: Sequence[int]) -> None:
        """Write what a step needs: the scalars of each update of a run, and the call numbers."""
        by_dtype: dict[np.dtype, list[float]] = {}
        for dtype, values in zip(run.dtypes, scalars, strict=True):
            by_dtype.setdefault(dtype, []).extend(values)
        for dtype, numbers in by_dtype.items():
            write_numbers(numbers, self.scalars[dtype])
        write_numbers(calls, self.calls)


class Run:
    """What one run of a step asks for, noted on the way.

    Args:
        slots: where kernels find their numbers.
        watch: what the step reaches.
        captured: whether nothing is computed yet, so that numbers are written afterwards.

    Attributes:
        updates, dtypes, scalars: those of optimisers: whose, in what dtype, which numbers.
        calls: of kernels, without the elements of arrays.
        problem: what was seen that no replay could do, or "".
    """

    def __init__(self, slots: Slots, watch: Watch, captured: bool) -> None:
        self._slots, self._watch, self._captured = slots, watch, captured
        self._counts = dict.fromkeys(slots.scalars, 0)
        self.updates: list[Update] = []
        self.dtypes: list[np.dtype] = []
        self.scalars: list[tuple[float, ...]] = []
        self.calls: list[Any] = []
        self.problem = ""

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Let kernels read their numbers in the slots, and note what is called."""
        generators = self._watch.generators
        counters = [g._counter for g in generators]
        token = ondevice.placing.set(self._place)
        try:
            for k, g in enumerate(generators):
                g._counter = Counter(self._slots.calls[k : k + 1], g.call)
            with listening(self._listen):
                yield
        finally:
            ondevice.placing.reset(token)
            for g, counter in zip(generators, counters, strict=True):
                g._counter = counter

    def _listen(self, kernel: Definition, args: tuple[Any, ...], options: dict[str, Any], proceed: Any) -> Any:
        self.calls.append((kernel.name, _layout(args), _layout(options)))
        if not _on_gpu(args):
            self.problem = f"kernel {kernel.name!r} runs on the CPU"
        return proceed()

    def _place(
        self, optimizer: Optimizer, group: Group, buffer: FlatBuffer, run: tuple[int, int], scalars: Sequence[float]
    ) -> list[Array]:
        """Note the scalars of an update; return where they lie, or will."""
        watch, room = self._watch, self._slots.scalars[buffer.wide]
        owner = [k for k, o in enumerate(watch.optimizers) if o is optimizer]
        start = self._counts[buffer.wide]
        end = self._counts[buffer.wide] = start + len(scalars)
        if not owner or end > _ROOM:
            self.problem = f"{type(optimizer).__name__} has too many scalars" if owner else "it makes an optimiser"
            return list(scalars)
        places = [i for i, g in enumerate(optimizer.param_groups) if g is group]
        buffers = [j for j, b in enumerate(optimizer._buffers[places[0]]) if b is buffer]
        where = (owner[0], places[0], buffers[0])
        self.updates.append(Update(*where, *run, (), optimizer.path(group)))
        self.dtypes.append(buffer.wide)
        self.scalars.append(tuple([float(s) for s in scalars]))
        views = [room[k : k + 1] for k in range(start, end)]
        if not self._captured:
            for view, value in zip(views, scalars, strict=True):
                view[...] = value
        return views

    def differs(self, other: Run) -> str:
        """Return in what another run of the step was not like this one, or ""."""
        for mine, its in itertools.zip_longest(self.calls, other.calls, fillvalue=("", None)):
            if mine != its:
                if mine[0] != its[0]:
                    return "it does not make the same calls each time"
                return f"a number that kernel {mine[0]!r} takes, or an array's shape, is another one each time"
        if (self.updates, self.dtypes) != (other.updates, other.dtypes):
            return "its optimisers do not move on alike each time"
        return ""


def _layout(value: Any) -> Any:
    """Return what is the same of an argument in each run of a step: all but the elements of its arrays."""
    if isinstance(value, np.ndarray) or is_gpu_array(value):
        return value.shape, value.strides, value.dtype
    if type(value) is Counted:
        return Counted, value.offset
    if isinstance(value, Draw):
        return Draw, value.seed, value.stream
    if isinstance(value, (tuple, list)):
        return [_layout(v) for v in value]
    if isinstance(value, dict):
        return {k: _layout(v) for k, v in value.items()}
    return (type(value), repr(value)) if isinstance(value, (bool, int, float, str, np.generic)) else type(value)


def _on_gpu(value: Any) -> bool:
    """Tell whether an array of the GPU is among arguments, or none of any kind."""
    if isinstance(value, (tuple, list)):
        found = [_on_gpu(v) for v in value if isinstance(v, (tuple, list, np.ndarray)) or is_gpu_array(v)]
        return any(found) or not found
    return not isinstance(value, np.ndarray)
