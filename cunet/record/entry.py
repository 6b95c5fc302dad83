"""One way in which a step is called, on its way from a first sight to a plan."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ..device import Array, is_gpu_array
from ..kernels.backends.native.plans import library, trim
from .draft import Draft
from .program import Program
from .recording import NotRecordable, Recording
from .standing import Left, left_by
from .state import State
from .tree import Tree, Unfit, leaves_of
from .trial import LONG, Trial
from .watch import Watch

_TRIES = 4  # recordings that may differ from the one before
_MOST = 1 << 30  # bytes that are compared: where there are more, Python's part of a step is none
_LOST = 3  # calls in a row whose parameters are other arrays


ON_NUMPY = "kernels run on NumPy: only compiled ones are recorded"

#: Of tensors by id: whether they require gradients, and whether they have none.
Kinds = dict[int, tuple[bool, bool]]


def kinds_of(watch: Watch) -> Kinds:
    """Return what tensors are at the moment."""
    return {id(t): (t._requires_grad, t._grad is None) for t in watch.tensors}


class Plan(Protocol):
    """What replays a step; see `cunet.record.program.Program`."""

    bytes: int
    peak: int
    least: int

    @property
    def written(self) -> Sequence[Array]:
        """Arrays that were there before the step, into which it writes."""

    def fits(self) -> bool:
        """Tell whether parameters, buffers and streams are those of the recording."""

    def run(self, arrays: Sequence[Array]) -> tuple[Any, str]:
        """Replay the step on other inputs; return its result and "", or why nothing was done."""

    def times(self) -> dict[str, float]:
        """Return the seconds that the calls of each kernel take."""


class Entry:
    """A step, called in one way: what it is called with, but for elements of arrays, and all that it reaches.

    Attributes:
        plan: replays it, once two recordings agreed and a replay gave what the step gave.
        reason: why that cannot be, or "".
        peak: bytes that were needed at a time to make the plan.
        trial: of the plan of a long step, until somebody made it.
    """

    def __init__(self, step: Callable[..., Any], tree: Tree, context: Any, kinds: Kinds) -> None:
        self._step, self._key = step, (tree.key, context)
        self._objects = tree.objects  # their ids are in the key
        self.plan: Plan | None = None
        self.reason, self.peak = "", 0
        self.trial: Trial | None = None
        self._look(kinds)

    def _look(self, kinds: Kinds) -> None:
        self._watch = Watch(self._step, *self._objects)
        self.reason = self._watch.problem or self._misplaced()
        self._kinds = {**kinds_of(self._watch), **{k: v for k, v in kinds.items() if k in kinds_of(self._watch)}}
        self._trained = [self._kinds[id(t)][0] for t in self._watch.tensors]
        self._bare = [self._kinds[id(t)][1] for t in self._watch.tensors]
        self._draft: Draft | None = None
        self._candidate: Plan | None = None
        self._by_python: set[int] = set()
        self.plan = self.trial = None
        self._tries = self._lost = 0

    def _misplaced(self) -> str:
        """Return what the step reaches on another device, or ""."""
        found = [t for t in self._watch.tensors if is_gpu_array(t._data)]
        return "it works on a GPU, but none of its arguments lies there" if found else ""

    def fits(self, tree: Tree, context: Any) -> bool:
        """Tell whether a call is of this kind."""
        return (tree.key, context) == self._key and self._are_as_before() and self._watch.holds()

    def _are_as_before(self) -> bool:
        """Tell whether tensors require gradients, and have none, as in `kinds_of`."""
        tensors = self._watch.tensors
        return [t._requires_grad for t in tensors] == self._trained and [t._grad is None for t in tensors] == self._bare

    def is_like(self, other: Entry) -> bool:
        """Tell whether another entry is for the same calls."""
        return (self._key, self._kinds) == (other._key, other._kinds) and self._watch.holds()

    def changed(self) -> str:
        """Return the name of something that is not as it was."""
        return self._watch.changed()

    def run(self, tree: Tree) -> tuple[Any, str]:
        """Replay the step; return its result and "", or why nothing was done."""
        assert self.plan is not None
        if not self.plan.fits():
            self._lost += 1
            if self._lost == _LOST:
                self._look({})
            return None, "parameters or buffers are other arrays than before"
        self._lost = 0
        return self.plan.run(tree.arrays)

    def ready(self) -> str:
        """Return why nothing can be recorded here, or ""."""
        return "" if library() is not None else ON_NUMPY

    def end_trial(self) -> None:
        """Keep the plan if replays take less time; else run the step as it is written from here on."""
        assert self.trial is not None
        self.reason, self.trial = self.trial.verdict(), None
        if self.reason:
            self.plan = None
            trim()

    def record(self, tree: Tree) -> Any:
        """Run the step as it is written, and come closer to a plan."""
        trim()  # what earlier steps left to the C library would be held beside this one's memory
        if self._candidate is not None:
            return self._compare(tree)
        known = len(self._by_python)
        try:
            recording = Recording(self._step, tree, self._watch, self._by_python)
        except OSError as problem:
            if problem.errno == errno.EFAULT:
                self.reason = "it hands an array of its own to the system"
                problem.add_note(f"cunet.compile: the step cannot be recorded: {self.reason}; call it again")
            raise
        found = recording.result
        self.peak = max(self.peak, recording.peak)
        try:
            leaves: list[Array] = []
            build = leaves_of(found, leaves)
            draft = Draft(recording, self._watch, leaves)
            difference = draft.differs(self._draft) if self._draft is not None else "-"
            if not difference:
                self._candidate = Program(draft, build)
                if sum(a.nbytes for a in self._candidate.written) > _MOST:
                    raise NotRecordable(f"it writes into more than {_MOST} bytes, which two runs are compared in")
            elif difference != "-":
                self._try_again(difference)
            self._draft = None if self._candidate else draft
            draft.forget()
        except (NotRecordable, Unfit) as problem:
            self._draft = self._candidate = None
            if len(self._by_python) == known:  # else the next recording knows more
                self.reason = str(problem)
        return found

    def _try_again(self, difference: str) -> None:
        self._tries += 1
        if self._tries == _TRIES:
            self.reason = difference

    def _compare(self, tree: Tree) -> Any:
        """Replay the step, undo that, and run it as it is written; keep the plan if all bits are equal.

        This way round nothing has to be undone of what the step did, and one copy of what it writes into is enough.
        """
        program, watch = self._candidate, self._watch
        assert isinstance(program, Program)
        self._candidate = None
        if not program.fits():
            return tree.call(self._step, tree.arrays)
        before = _Before(watch, program.written)
        self.peak = max(self.peak, program.peak + sum(a.nbytes for a in before.copies))
        replayed: Left | None = None
        try:
            found, reason = program.run(tree.arrays)
            if not reason:
                replayed = left_by(found, watch, before.state, program.written)
            del found
        finally:
            before.restore()
            program.release()
        del before.copies
        trim()
        began = time.thread_time()  # which does not count what other programs take of the processor
        result = tree.call(self._step, tree.arrays)
        seconds = time.thread_time() - began
        same = replayed is not None and left_by(result, watch, before.state, program.written) == replayed
        if same:
            self.plan, self.trial = program, Trial() if seconds >= LONG else None
            trim()
        else:
            self._try_again(reason)
            self.reason = self.reason or ("" if reason else "a replay does not give the same bits")
        return result


class _Before:
    """What a step may change, as it was: arrays that it writes into are copied."""

    def __init__(self, watch: Watch, written: Sequence[np.ndarray]) -> None:
        self._watch, self.state = watch, State.of(watch)
        self._written, self.copies = written, [a.copy() for a in written]

    def restore(self) -> None:
        """Go back to it."""
        self.state.restore(self._watch)
        for a, value in zip(self._written, self.copies, strict=True):
            a[...] = value
