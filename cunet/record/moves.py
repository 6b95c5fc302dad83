"""Numbers that move on from step to step: the scalars of optimisers, and the calls of random streams."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..autograd.tape import clock
from ..kernels.backends.native.plans import extent
from ..optim.flat_buffer import FlatBuffer
from ..optim.optimizer import Optimizer
from ..optim.rule import Group
from ..random import Draw, stream_id
from .notes import Call
from .recording import NotRecordable, Recording
from .watch import Watch


class Update(NamedTuple):
    """One kernel call of an optimiser's step.

    Attributes:
        optimizer, group, buffer: numbers of who calls.
        first, last: the parameters of the buffer that are updated.
        numbers: which of the plan's numbers are the kernel's scalars.
        path: of the optimiser, in that step.
    """

    optimizer: int
    group: int
    buffer: int
    first: int
    last: int
    numbers: tuple[int, ...]
    path: tuple[Any, ...]


class Ahead(NamedTuple):
    """A draw: the `ahead`-th of a stream after those before the step. `number` says where the plan has it."""

    number: int
    generator: int
    ahead: int


def updates_of(recording: Recording, watch: Watch) -> list[Update]:
    """Return the updates of a step, of which all numbers that moved on are explained.

    Raises:
        NotRecordable: they are not.
    """
    found = []
    for call in recording.session.calls:
        if call.kernel.spec.kind == "inplace" and call.last == call.first + 1:
            update = _update(recording, watch, call)
            if update is not None:
                found.append(update)
    for k, optimizer in enumerate(watch.optimizers):
        covered = {
            id(state) for u in found if u.optimizer == k for state in _buffer(optimizer, u).states[u.first : u.last]
        }
        pairs = zip(recording.before.numbers[k], recording.after.numbers[k], strict=True)
        for state, (before, after) in zip(optimizer.state, pairs, strict=True):
            if before != after and id(state) not in covered:
                raise NotRecordable(f"{type(optimizer).__name__} moves on without a kernel")
    return found


def _buffer(optimizer: Optimizer, update: Update) -> FlatBuffer:
    return optimizer._buffers[update.group][update.buffer]


def _update(recording: Recording, watch: Watch, call: Call) -> Update | None:
    ins = len(call.kernel.spec.ins)
    low, high = extent(call.args[ins])
    for k, optimizer in enumerate(watch.optimizers):
        for i, buffers in enumerate(optimizer._buffers):
            for j, buffer in enumerate(buffers):
                start, end = extent(buffer.weights)
                if start <= low and high <= end:
                    size = buffer.weights.itemsize
                    spans = [
                        k
                        for k, (a, b) in enumerate(buffer.spans)
                        if low - start <= a * size and b * size <= high - start
                    ]
                    numbers = _scalars(recording, call, ins)
                    path = optimizer.path(optimizer.param_groups[i])
                    update = Update(k, i, j, spans[0], spans[-1] + 1, numbers, path)
                    _explain(recording, optimizer, update, call, ins)
                    return update
    return None


def _scalars(recording: Recording, call: Call, ins: int) -> tuple[int, ...]:
    """Return which numbers of the plan are the call's, in order."""
    numbers = [k for k, n in enumerate(recording.plan.numbers) if n.record == call.first]
    if [recording.plan.numbers[k].position for k in numbers] != list(range(1, ins)):
        raise NotRecordable(f"kernel {call.kernel.name!r} is called in an unknown way")
    return tuple(numbers)


def _explain(recording: Recording, optimizer: Optimizer, update: Update, call: Call, ins: int) -> None:
    """See that the scalars of a call follow from the settings and the numbers before the step."""
    buffer, group = _buffer(optimizer, update), optimizer.param_groups[update.group]
    known = {id(state): k for k, state in enumerate(optimizer.state)}
    which = [known[id(state)] for state in buffer.states[update.first : update.last]]
    before, after = recording.before.numbers[update.optimizer], recording.after.numbers[update.optimizer]
    start = {tuple(before[k].get(name, value) for name, value in optimizer.numbers.items()) for k in which}
    end = {tuple(after[k].get(name) for name in optimizer.numbers) for k in which}
    known_step = type(optimizer).step is Optimizer.step and call.kernel.name == optimizer.kernel(group).name
    if len(start) != 1 or not known_step:
        raise NotRecordable(f"{type(optimizer).__name__} steps in an unknown way")
    moved, scalars = optimizer.advance(group, start.pop())
    if end != {tuple(moved)} or [float(s) for s in scalars] != [float(s) for s in call.args[1:ins]]:
        raise NotRecordable(f"the settings or state of {type(optimizer).__name__} are changed by more than its step")


def draws_of(recording: Recording, watch: Watch) -> list[Ahead]:
    """Return the numbers of a step that are calls of streams."""
    found = []
    rows: dict[int, set[int]] = {}
    for n in recording.plan.numbers:
        rows.setdefault(n.record, set()).add(n.bits & (1 << 64) - 1)
    for k, n in enumerate(recording.plan.numbers):
        for g, generator in enumerate(watch.generators):
            ahead = n.bits - recording.before.calls[g]
            moved = recording.after.calls[g] - recording.before.calls[g]
            if chr(n.letter) == "L" and 0 <= ahead < moved and stream_id(generator.stream) in rows[n.record]:
                found.append(Ahead(k, g, ahead))
                break
    return found


def draw_ahead(draw: Draw, recording: Recording, watch: Watch) -> Ahead:
    """Return which draw of the step one is, that Python makes.

    Raises:
        NotRecordable: it is none of a stream that the step reaches.
    """
    for g, generator in enumerate(watch.generators):
        ahead, moved = draw.call - recording.before.calls[g], recording.after.calls[g] - recording.before.calls[g]
        if 0 <= ahead < moved and (draw.seed, draw.stream) == (generator.seed, stream_id(generator.stream)):
            return Ahead(-1, g, ahead)
    raise NotRecordable("it draws from a stream that it does not reach")


class Scalars:
    """The scalars of an update in each replay.

    Attributes:
        update, optimizer: whose.
        buffer: the one that is updated.
    """

    def __init__(self, update: Update, optimizer: Optimizer) -> None:
        self.update, self.optimizer, self.buffer = update, optimizer, _buffer(optimizer, update)
        self._states = self.buffer.states[update.first : update.last]
        self._params = self.buffer.params[update.first : update.last]
        self._known: Group = {}  # settings with which a step would be the recorded one

    def now(self) -> tuple[tuple[Any, ...], tuple[Any, ...]] | None:
        """Return the numbers after the next step and its scalars; None where the step would not be the recorded one."""
        update, optimizer = self.update, self.optimizer
        group, names = optimizer.param_groups[update.group], optimizer.numbers
        if group != self._known:
            if optimizer.path(group) != update.path:
                return None
            self._known = dict(group)
        numbers = {tuple([state[name] for name in names]) for state in self._states}
        return optimizer.advance(group, numbers.pop()) if len(numbers) == 1 else None

    def move(self, numbers: tuple[Any, ...]) -> None:
        """Note that a step was made, with these numbers after it."""
        for name, value in zip(self.optimizer.numbers, numbers, strict=True):
            for state in self._states:
                state[name] = value
        now = next(clock)
        for p in self._params:
            p._modified = now
