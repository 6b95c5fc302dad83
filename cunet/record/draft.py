"""What a recording means: where each operand comes from, which numbers move on, what is left behind.

Two drafts of one step, of different batches, must be equal before one of them is replayed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..device import Array
from ..kernels.backends.native.plans import Block, Blocks, Operand, extent
from .moves import Ahead, Update, draw_ahead, draws_of, updates_of
from .notes import Check, owner
from .recording import NotRecordable, Recording
from .state import is_dense
from .watch import Watch


class Target(NamedTuple):
    """Where an operand's elements are.

    Attributes:
        kind: "input" (of the step), "block" (made in it), "data" or "grad" (of a tensor, as it is before the step),
            "zeros" (never written), or "root": at this address at all times.
        which: number of the input, block or tensor; the address of a root; how many bytes of zeros.
        offset: bytes from its beginning.
    """

    kind: str
    which: int
    offset: int


class Left(NamedTuple):
    """An array that the step leaves behind: block number and layout."""

    block: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: Any

    def maker(self) -> Callable[[], Array]:
        """Return what makes arrays of this layout."""
        order = sorted(range(len(self.shape)), key=lambda k: -self.strides[k])
        make = functools.partial(np.empty, tuple([self.shape[k] for k in order]), self.dtype)
        if make().strides == self.strides and order == sorted(order):
            return make
        back = [order.index(k) for k in range(len(order))]
        return lambda: make().transpose(back)


class Draft:
    """See the module.

    Attributes:
        targets: one for each operand.
        leaves: what the arrays of the result are: Left, or the array itself if it was there before.
        free: tensors whose arrays may be others in each replay.
        data, grads: by tensor, what it has after the step where that is another array: Left, or None for no gradient.
        updates, draws: what moves on.
        blocks: memory that the step asked for, as far as it uses it.
        kept: arrays whose memory operands lie in, beside what the watch holds.
        names: of the kernel that each record belongs to.
    """

    def __init__(self, recording: Recording, watch: Watch, leaves: list[Array]) -> None:
        self.recording, self.watch = recording, watch
        self._blocks = Blocks(recording.blocks)
        self._order: dict[int, int] = {}
        self.blocks: list[Block] = []
        self._check(watch)
        self.kept: list[Array] = []
        self._roots = _Roots(watch, recording)
        self.counters = [self._position(holder) for holder in recording.session.counters]
        self.inputs = [self._block(*extent(a)) for a in recording.inputs]
        self.free = self._free()
        self._moving = self._replaced()
        self.targets = [self._target(o) for o in recording.plan.operands]
        before, after = recording.before, recording.after
        self.data = {
            k: self._left(new, "a buffer")
            for k, (old, new) in enumerate(zip(before.data, after.data, strict=True))
            if old is not new and k not in self.counters
        }
        self.grads = {
            k: None if new is None else self._left(new, "a gradient")
            for k, (old, new) in enumerate(zip(before.grads, after.grads, strict=True))
            if old is not new
        }
        self.leaves = [self._left(a, "a result") for a in leaves]
        self._check_order()
        self.asked = [self._asked(check) for check in recording.session.checks]
        self.updates: list[Update] = updates_of(recording, watch)
        self.draws: list[Ahead] = draws_of(recording, watch)
        hosts = recording.session.hosts
        self.names = [self._name_of(k) for k in range(len(recording.plan.records))]
        self.by_python = [[draw_ahead(d, recording, watch) for d in host.tree.draws] for host in hosts]
        checks = zip(recording.session.checks, self.asked, strict=True)
        self._questions = [(c.test, c.array.shape, c.rest, c.answer, k) for c, k in checks]
        self._hosts = [h.key for h in hosts]

    def _check(self, watch: Watch) -> None:
        recording = self.recording
        if watch.problem:
            raise NotRecordable(watch.problem)
        if not watch.holds():
            raise NotRecordable(f"it changes {watch.changed()}")
        if recording.before.foreign != recording.after.foreign:
            raise NotRecordable("it draws from Python's or NumPy's random numbers; cunet.Generator can be recorded")
        if recording.session.incomplete:
            raise NotRecordable("NumPy has parts in it")
        if recording.full:
            raise NotRecordable("its arrays, one after the other, take more memory than can be watched")
        if not recording.plan.whole:
            raise NotRecordable("it makes a call that is not recorded yet")
        if recording.session.spoiled:
            raise NotRecordable(recording.session.spoiled)
        if recording.unseen is not None:
            shape = recording.unseen.shape
            raise NotRecordable(f"NumPy or Python writes into an array of shape {shape} that was there before")
        if any(not is_dense(a) for a in recording.inputs):
            raise NotRecordable("an input is empty")

    def _position(self, holder: Any) -> int:
        for k, t in enumerate(self.watch.tensors):
            if t is holder:
                return k
        raise NotRecordable("it counts up a tensor that it does not reach")

    def _left(self, a: Array, what: str) -> Left:
        block = self._block(*extent(a)) if a.size else None
        if block is None:
            raise NotRecordable(f"{what} of shape {a.shape} was not made by the step, but is left behind by it")
        if not is_dense(a) or a.nbytes != self.blocks[block].size:
            raise NotRecordable(f"{what} of shape {a.shape} is part of a larger array")
        return Left(block, a.shape, a.strides, a.dtype)

    def _target(self, o: Operand) -> Target:
        if o.low == o.high:
            return Target("root", 0, 0)
        block = self._block(o.low, o.high)
        if block is not None:
            kind, which = ("input", self.inputs.index(block)) if block in self.inputs else ("block", block)
            return Target(kind, which, o.address - self.blocks[block].address)
        for kind, k, low, high, address in self._moving:
            if low <= o.low and o.high <= high:
                return Target(kind, k, o.address - address)
        kept = self._roots.find(o)
        if kept is None:
            raise NotRecordable(f"an operand of shape {o.shape} is nothing that the step made or reaches")
        self.kept.append(kept)
        return Target("root", o.address, 0)

    def _block(self, low: int, high: int) -> int | None:
        """Return the number of a block, in the order in which they are met: others may have been asked for between."""
        k = self._blocks.find(low, high)
        if k is not None and k not in self._order:
            self._order[k] = len(self.blocks)
            self.blocks.append(self.recording.blocks[k])
        return None if k is None else self._order[k]

    def _free(self) -> list[int]:
        """Return the tensors whose arrays the step at most reads, each for itself: others may take their place."""
        data = self.recording.before.data
        spans = [(*extent(a), k) for k, a in enumerate(data) if a.size]
        spans += [(*extent(a), -1) for a in self.watch.arrays if a.size]
        spans += [(o.low, o.high, -1) for o in self.recording.plan.operands if o.written and o.low < o.high]
        bound = {*self.counters, *_met(spans)}
        left = [k for k, a in enumerate(self.recording.after.data) if a is data[k] and a.size]
        return [k for k in left if k not in bound]

    def _replaced(self) -> list[tuple[str, int, int, int, int]]:
        """Return which arrays before the step others may take the place of, and where they are."""
        before, after = self.recording.before, self.recording.after
        found = [("data", k, a) for k, a in enumerate(before.data) if a is not after.data[k] and k not in self.counters]
        gradients = [(k, g) for k, g in enumerate(before.grads) if g is not None and g.size]
        met = _met([(*extent(g), k) for k, g in gradients])
        found += [("grad", k, g) for k, g in gradients if k not in met]
        found += [("data", k, before.data[k]) for k in self.free]
        return [(kind, k, *extent(a), a.__array_interface__["data"][0]) for kind, k, a in found if a.size]

    def _asked(self, check: Check) -> int | None:
        """Return the input whose values an op asked about; None if it is an array that was there before.

        Raises:
            NotRecordable: it is an array of the step's own, or one that it has changed by then.
        """
        low, high = extent(check.array)
        block = self._block(low, high)
        if block is None and not any(
            o.written and o.record < check.record and o.low < high and low < o.high
            for o in self.recording.plan.operands
        ):
            return None
        if block not in self.inputs or extent(self.recording.inputs[self.inputs.index(block)]) != (low, high):
            raise NotRecordable(f"an op asks for values of an array of shape {check.array.shape} that the step makes")
        return self.inputs.index(block)

    def _check_order(self) -> None:
        """See that blocks are written before they are read, or are zeros, and inputs only read."""
        pairs = zip(self.recording.plan.operands, self.targets, strict=True)
        changed = {target.which for o, target in pairs if target.kind == "block" and o.written}
        zeros = {k for k, b in enumerate(self.blocks) if b.zeroed and not b.touched and k not in changed}
        self.targets = [
            Target("zeros", self.blocks[t.which].size, t.offset) if t.kind == "block" and t.which in zeros else t
            for t in self.targets
        ]
        written: set[int] = set()
        for o, target in zip(self.recording.plan.operands, self.targets, strict=True):
            if target.kind == "input" and o.written:
                raise NotRecordable(f"it writes into its input {target.which}")
            if target.kind in ("data", "grad") and o.written:
                raise NotRecordable(f"it writes into an array of shape {o.shape}, and puts another one in its place")
            if target.kind == "block" and o.written:
                written.add(target.which)
            elif target.kind == "block" and target.which not in written:
                raise NotRecordable(f"an array of shape {o.shape} is read that nobody was seen to write")
        left = [*self.leaves, *self.data.values(), *[g for g in self.grads.values() if g is not None]]
        for item in left:
            if item.block not in written:
                raise NotRecordable(f"an array of shape {item.shape} is left behind that nobody was seen to write")

    def forget(self) -> None:
        """Let go of the arrays of the recording, and of those from before it; it can be compared all the same."""
        self._moving = []
        self.recording.forget()

    def differs(self, other: Draft) -> str:
        """Return what differs from another recording of the step, or ""."""
        mine, its = self.recording, other.recording
        if mine.plan.records != its.plan.records or len(self.targets) != len(other.targets):
            return "it does not make the same calls each time"
        layouts = [[(o.record, o.written, o.letter, o.shape, o.strides) for o in r.plan.operands] for r in (mine, its)]
        if layouts[0] != layouts[1] or self.targets != other.targets:
            return "its calls do not read the same arrays each time"
        if (self.leaves, self.data, self.grads, self.counters) != (
            other.leaves, other.data, other.grads, other.counters
        ):  # fmt: skip
            return "it does not leave the same arrays each time"
        if (self.updates, self.draws, self.by_python) != (other.updates, other.draws, other.by_python):
            return "its optimisers or generators do not move on alike each time"
        known = {k for u in self.updates for k in u.numbers} | {d.number for d in self.draws}
        for k, (a, b) in enumerate(zip(mine.plan.numbers, its.plan.numbers, strict=True)):
            if a != b and k not in known:
                return f"a number that kernel {self.names[a.record]!r} takes is another one each time"
        asked, its_asked = (self._questions, self._hosts), (other._questions, other._hosts)
        return "" if asked == its_asked else "it does not ask the same of NumPy each time"

    def _name_of(self, record: int) -> str:
        session = self.recording.session
        names = [c.kernel.name for c in session.calls if c.first <= record < c.last]
        names += [f"{h.name} in Python" for h in session.hosts if h.record == record]
        return names[-1] if names else "Python"


def _met(spans: list[tuple[int, int, int]]) -> set[int]:
    """Return of which of these (low, high, number) others have bytes."""
    met: set[int] = set()
    reach, held = 0, -1  # of what came before: where it ends, and whose it is
    for low, high, k in sorted(spans):
        if low < reach:
            met |= {k, held}
        if high > reach:
            reach, held = high, k
    return met


class _Roots:
    """Finds who owns memory that was there before the step."""

    def __init__(self, watch: Watch, recording: Recording) -> None:
        self._owners: dict[int, tuple[int, int, Array]] = {}
        for a in [*recording.before.data, *watch.arrays]:
            self._add(owner(a))
        for a in recording.session.constants:
            self._add(a)

    def _add(self, a: Array) -> None:
        if type(a) is np.ndarray and a.size:
            self._owners[id(a)] = (*extent(a), a)

    def find(self, o: Operand) -> Array | None:
        """Return the array whose memory an operand lies in."""
        return next((a for low, high, a in self._owners.values() if low <= o.low and o.high <= high), None)
