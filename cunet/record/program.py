"""A recorded step, ready to be replayed: where arrays come from before, and where they go behind one call into C."""

from __future__ import annotations

import functools
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array
from ..kernels.backends.native import native
from ..kernels.backends.native.plans import extent
from ..kernels.backends.native.status import result
from .arena import Arena
from .draft import Draft, Left
from .host import HostCall, View, ends_of
from .layout import LINE, Blocks
from .moves import Scalars
from .notes import Check, counted
from .order import Access, ancestors, schedule, waits_of, with_those_far_before

# Records: a block may take the place of one whose last use is farther back, though nothing else says that this one
# comes later. Tried from the first on, until there is room.
_FAR = (1 << 20, 16, 4, 0)
_ARRAYS = {np.ndarray}
_TIMED = 3  # replays by which it is known how long each call takes


class Program:
    """Replays a step.

    Args:
        draft: the step's.
        build: makes the result of arrays in place of those in `draft.leaves`.

    Attributes:
        bytes: memory that is kept for what the step makes on its way.
        peak: the same with what is left behind.
        least: what the step needs at a time where its calls follow each other and memory is given back at once.
        written: arrays that were there before the step, into which it writes.
    """

    def __init__(self, draft: Draft, build: Callable[[Sequence[Array]], Any]) -> None:
        recording, watch = draft.recording, draft.watch
        self._draft, self._build, self._watch = draft, build, watch
        self._plan = recording.plan
        others = {*draft.data, *draft.counters, *draft.free}
        self._same = [t for k, t in enumerate(watch.tensors) if k not in others]
        self._ids = [id(t._data) for t in self._same]
        self._alive = [t._data for t in self._same]
        self._streams = [(g.seed, g.stream) for g in watch.generators]
        self._lefts: list[Left] = []
        self._held: list[Array | None] = []  # arrays of gradients that may be written again
        self._places: dict[int, int] = {}  # blocks that are left behind, and where in `_lefts`
        for left in [*draft.grads.values(), *draft.data.values(), *draft.leaves]:
            if left is not None and self._places.setdefault(left.block, len(self._lefts)) == len(self._lefts):
                self._lefts.append(left)
                self._held.append(None)
        self._grads = [(watch.tensors[k], None if g is None else self._places[g.block]) for k, g in draft.grads.items()]
        self._data = [(watch.tensors[k], self._places[left.block]) for k, left in draft.data.items()]
        self._leaves = [self._places[left.block] for left in draft.leaves]
        self._makers = [left.maker() for left in self._lefts]
        shown = {place for _, place in self._data} | {*self._leaves}
        holders = {place: t for t, place in self._grads if place not in shown}
        self._holders = [holders.get(k) for k in range(len(self._lefts))]
        self._read, self._added = self._bind()
        for tensor in self._added:  # read by the step that adds to it: it is not written before
            self._holders = [None if t is tensor else t for t in self._holders]
        pairs = zip(recording.session.checks, draft.asked, strict=True)
        self._checks = [(c.test, self._find(c, k), c.rest, c.answer) for c, k in pairs]
        self._counters = [watch.tensors[k] for k in draft.counters]
        self._updates = [Scalars(u, watch.optimizers[u.optimizer]) for u in draft.updates]
        self._vary()
        self._stretches = self._cut()
        self.written = _written(draft)
        self._plan.keep(self.written)
        self._untimed = _TIMED
        self._drawn = [b - a for a, b in zip(recording.before.calls, recording.after.calls, strict=True)]

    def _bind(self) -> tuple[list[Tensor], list[Tensor]]:
        """Tell the plan where all elements are; return of which tensors each replay brings the data, or gradients.

        The arrays that it brings are the inputs, those, and what the step leaves behind, in this order.
        """
        draft, plan = self._draft, self._plan
        before, recording = draft.recording.before, draft.recording
        moving: dict[tuple[str, int], int] = {}
        for k, a in enumerate(recording.inputs):
            moving["input", k] = k
            plan.expect(a)
        brought = [sorted({t.which for t in draft.targets if t.kind == kind}) for kind in ("data", "grad")]
        brought[0] = sorted({*brought[0], *draft.free})
        held: list[Sequence[Any]] = [before.data, before.grads]
        for kind, numbers, arrays in zip(("data", "grad"), brought, held, strict=True):
            for k in numbers:
                moving[kind, k] = len(moving)
                plan.expect(arrays[k])
        for k, make in enumerate(self._makers):
            moving["left", k] = len(moving)
            plan.expect(make())
        starts, self.bytes = self._layout()
        self._zeros = np.zeros(max([t.which for t in draft.targets if t.kind == "zeros"], default=0) + LINE, np.uint8)
        zeros = -(-self._zeros.ctypes.data // LINE) * LINE
        self._arena = Arena(self.bytes)
        self._bases: list[tuple[int | None, int]] = []  # of each operand: its moving array, if it has one; its place
        for k, target in enumerate(draft.targets):
            if target.kind == "root":
                self._bases.append((None, target.which))
            elif target.kind == "zeros":
                self._bases.append((None, zeros + target.offset))
            elif target.kind == "block" and target.which not in self._places:
                room, start = starts[target.which]
                array = None if room is None else moving["left", self._places[room]]
                self._bases.append((array, (self._arena.address if room is None else 0) + start + target.offset))
            else:
                key = ("left", self._places[target.which]) if target.kind == "block" else (target.kind, target.which)
                self._bases.append((moving[key], target.offset))
            array, place = self._bases[k]
            plan.place(k, place) if array is None else plan.move(k, array, place)
        read, added = ([self._watch.tensors[k] for k in numbers] for numbers in brought)
        return read, added

    def _layout(self) -> tuple[dict[int, tuple[int | None, int]], int]:
        """Return where each block lies while it is needed: in what array that is left behind, or in a stretch of
        memory of the plan, and how long that is.
        """
        draft, last = self._draft, len(self._plan.records)
        hosts, ends = [h.record for h in draft.recording.session.hosts], ends_of(draft.recording.session.hosts)
        users: dict[int, list[int]] = {}
        accesses = []
        for o, target in zip(self._plan.operands, draft.targets, strict=True):
            if target.kind == "block":
                end = last if target.which in self._places else ends.get(o.record, o.record)
                users.setdefault(target.which, []).extend([o.record, end])
            space = target.which if target.kind in ("block", "input") else None
            accesses.append(Access(o.record, (target.kind, space), o.low, o.high, o.written))
        blocks = Blocks({k: draft.blocks[k].size for k in users}, users, self._places)
        self.least = blocks.fullest()
        before = ancestors(waits_of(accesses, hosts, last))
        own = blocks.own()
        starts, length = tight = blocks.place(with_those_far_before(before, 0))
        for far in _FAR if native.threads > 1 else ():
            starts, length = blocks.place(with_those_far_before(before, far))
            if own + length <= max(self.least, own + tight[1]):
                break
        self.peak = own + length
        return starts, length

    def times(self) -> dict[str, float]:
        """Return the seconds that calls take in a replay, one after the other: of each kernel, the longest first."""
        by_python = {end: host.spent for _, end, host in self._stretches if host is not None}
        found: dict[str, float] = {}
        for k, (name, spent) in enumerate(zip(self._draft.names, self._plan.times, strict=True)):
            found[name] = found.get(name, 0.0) + 1e-9 * by_python.get(k, spent)
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def _order(self) -> None:
        """Tell the plan what it may do side by side."""
        accesses = []
        for o, (array, place) in zip(self._plan.operands, self._bases, strict=True):
            low = place + o.low - o.address
            accesses.append(Access(o.record, array, low, low + o.high - o.low, o.written))
        hosts = [end for _, end, host in self._stretches if host is not None]
        waits = waits_of(accesses, hosts, len(self._plan.records))
        for first, end, _ in self._stretches:
            found = schedule(waits, first, end, self._plan.times)
            if found is not None:
                self._plan.order(first, *found)

    def _find(self, check: Check, k: int | None) -> Callable[[Sequence[Array]], Array]:
        """Return a function that finds the array that an op asked about."""
        return (lambda arrays: check.array) if k is None else functools.partial(_shaped, k, check.array.shape)

    def _cut(self) -> list[tuple[int, int, HostCall | None]]:
        """Return the records in stretches, each of calls in C and perhaps one of Python's behind them."""
        stretches: list[tuple[int, int, HostCall | None]] = []
        first = 0
        hosts = self._draft.recording.session.hosts
        ends = ends_of(hosts)
        for host, draws in zip(hosts, self._draft.by_python, strict=True):
            where = [k for k, o in enumerate(self._plan.operands) if o.record == host.record]
            views = [View(self._plan.operands[k], *self._bases[k]) for k in where]
            stretches.append((first, host.record, HostCall(host, views, draws, ends[host.record])))
            first = host.record + 1
        return [*stretches, (first, len(self._plan.records), None)]

    def _vary(self) -> None:
        """Tell the plan which numbers each replay brings."""
        letters = []
        for update in self._draft.updates:
            for k in update.numbers:
                self._plan.vary(k)
                letters.append("d" if chr(self._plan.numbers[k].letter) in "fd" else "q")
        for draw in self._draft.draws:
            self._plan.vary(draw.number)
            letters.append("q")
        self._pack = struct.Struct("<" + "".join(letters)).pack
        count = len(self._draft.recording.inputs) + len(self._read) + len(self._added) + len(self._lefts)
        self._ids_of = struct.Struct(f"<{count}Q").pack

    def fits(self) -> bool:
        """Tell whether the arrays that operands lie in are those of the recording."""
        return [id(t._data) for t in self._same] == self._ids and [
            (g.seed, g.stream) for g in self._watch.generators
        ] == self._streams

    def run(self, arrays: Sequence[Array]) -> tuple[Any, str]:
        """Replay the step on other inputs; return its result and "", or why nothing was done."""
        for test, find, rest, answer in self._checks:
            if bool(test(find(arrays), *rest)) is not answer:
                return None, "an input has values that need another path"
        numbers: list[Any] = []
        after = []
        for update in self._updates:
            now = update.now()
            if now is None:
                return None, "an optimiser takes another path"
            after.append(now[0])
            numbers += now[1]
        calls = [g.call for g in self._watch.generators]
        numbers += [calls[d.generator] + d.ahead for d in self._draft.draws]
        fresh = self._fresh()
        brought = [*arrays, *[t._data for t in self._read], *[t._grad for t in self._added]]
        if {*map(type, brought)} - _ARRAYS:
            return None, "a gradient or a buffer is not there"
        if self._plan.set(self._ids_of(*map(id, brought), *map(id, fresh)), self._pack(*numbers)):
            return None, "an input or a buffer is laid out in another way"
        self._calls([*brought, *fresh], calls)
        self._leave(fresh, after, calls)
        return self._build([fresh[k] for k in self._leaves]), ""

    def release(self) -> None:
        """Let go of memory that the next replay asks for again."""
        self._held = [None] * len(self._held)
        self._arena.release()

    def _calls(self, moving: list[Array], calls: list[int]) -> None:
        """Make all calls, with these moving arrays, and streams that are at these calls."""
        run = self._plan.time if self._untimed else self._plan.run
        for first, end, host in self._stretches:
            if first < end and result(run(first, end)):
                raise RuntimeError("cunet.compile: a recorded call failed")
            if host is not None:
                host.run(moving, self._watch.generators, calls)
        for _, _, host in self._stretches:
            if host is not None:
                host.forget()
        if self._untimed:
            self._untimed -= 1
            if not self._untimed and native.threads > 1:
                self._order()

    def _fresh(self) -> list[Array]:
        """Return arrays for what the step leaves behind: those of the last gradients where nobody else has them."""
        found = []
        for k, make in enumerate(self._makers):
            a, holder = self._held[k], self._holders[k]
            # Held by this list, by `a` and by the call, and by the tensor that it is the gradient of. Out of the list:
            # of a variable's own reference Python 3.14 gives a call none.
            if a is None or holder is None or sys.getrefcount(self._held[k]) - 3 > (holder._grad is a):
                a = make()
                if holder is not None and a.base is None:  # views of a view would not count
                    self._held[k] = a
            found.append(a)
        return found

    def _leave(self, fresh: list[Array], after: list[tuple[Any, ...]], calls: list[int]) -> None:
        """Put everything where the step would have put it."""
        for t, place in self._grads:
            t._grad = None if place is None else fresh[place]
        for t, place in self._data:
            t._data = fresh[place]
        for t in self._counters:
            t._data = counted(t._data)
        for generator, call, drawn in zip(self._watch.generators, calls, self._drawn, strict=True):
            generator.call = call + drawn
        for update, numbers in zip(self._updates, after, strict=True):
            update.move(numbers)


def _shaped(k: int, shape: tuple[int, ...], arrays: Sequence[Array]) -> Array:
    return arrays[k].reshape(shape)


def _written(draft: Draft) -> list[Array]:
    """Return the arrays that were there before the step, into which it writes."""
    written = [
        o for o, t in zip(draft.recording.plan.operands, draft.targets, strict=True) if o.written and t.kind == "root"
    ]
    kept = {id(a): a for o in written if o.low < o.high for a in draft.kept if extent(a)[0] <= o.low < extent(a)[1]}
    return list(kept.values())
