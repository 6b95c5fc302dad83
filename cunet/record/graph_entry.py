"""One way in which a step is called on a GPU, on its way from a first sight to a CUDA graph."""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from ..device import array_module
from .entry import Entry, Kinds
from .graph import EarlierGradient, GraphPlan
from .place import Place
from .reached import Before, reached
from .recording import NotRecordable
from .slots import Run
from .snapshot import Snapshot, leaves_in
from .state import is_dense
from .tree import Tree, Unfit

_OURS = {"cunet", "cupy", "cupy_backends", "numpy", "sim"}  # modules in whose code no user looks for a reason


class GraphEntry(Entry):
    """A step, called in one way; see `Entry`.

    The first call that is recorded runs as it is written, in the place where the second one is captured; the third is
    compared.
    """

    def _look(self, kinds: Kinds) -> None:
        super()._look(kinds)
        self._place: Place | None = None
        self._noted: Run | None = None

    def _misplaced(self) -> str:
        """Return "": the calls of kernels say where they work."""
        return ""

    def ready(self) -> str:
        """Return why nothing can be recorded here, or ""."""
        return ""

    def record(self, tree: Tree) -> Any:
        """Run the step as it is written, and come closer to a plan."""
        if self._candidate is not None:
            return self._compare(tree)
        self.reason = self._problem(tree)
        if self.reason:
            return tree.call(self._step, tree.arrays)
        return self._warm(tree) if self._noted is None else self._capture(tree)

    def _compare(self, tree: Tree) -> Any:
        """Run the step as it is written, and from the same state by its plan; keep the plan if all bits are equal."""
        program, watch = self._candidate, self._watch
        assert program is not None
        if not program.fits():
            self._candidate = None
            return tree.call(self._step, tree.arrays)
        before = Snapshot(watch, program.written)
        found = tree.call(self._step, tree.arrays)
        expected = Snapshot(watch, program.written)
        leaves = leaves_in(found)
        before.restore()
        try:
            replayed, reason = program.run(tree.arrays)
        except BaseException:
            expected.restore()
            raise
        same = not reason and leaves_in(replayed) == leaves and Snapshot(watch, program.written).equals(expected)
        if same:
            self.plan = program
        else:
            expected.restore()
            self._try_again(reason)
            self.reason = self.reason or ("" if reason else "a replay does not give the same bits")
        self._candidate = None
        return found

    def _problem(self, tree: Tree) -> str:
        """Return what is wrong with the arguments, or ""."""
        for a in tree.arrays:
            if isinstance(a, np.ndarray):
                return "arrays of the CPU and of the GPU are among its arguments"
            if not is_dense(a):
                return "an input is part of a larger array" if a.size else "an input is empty"
        return self._watch.problem

    def _warm(self, tree: Tree) -> Any:
        watch = self._watch
        self._place = Place(watch)
        before, run = Before(watch), Run(self._place.slots, watch, captured=False)
        self._place.slots.fill(run, (), before.state.calls)
        found = self._place.warm(lambda: tree.call(self._step, tree.arrays), run)
        try:
            before.check(run)
            _check_room(watch)
        except NotRecordable as problem:
            self.reason = str(problem)
        self._noted = run
        return found

    def _capture(self, tree: Tree) -> Any:
        assert self._place is not None and self._noted is not None
        plan: GraphPlan | None = None
        for adds in (False, True):
            try:
                plan = GraphPlan(self._step, tree, self._place, self._watch, adds)
                break
            except Exception as problem:  # one of the step itself comes again below
                known = isinstance(problem, (NotRecordable, Unfit))
                self.reason = str(problem) if known else _why(problem)
                if EarlierGradient.__name__ not in str(problem):
                    break
        if plan is None:
            self._place = None
            return tree.call(self._step, tree.arrays)
        difference = plan.noted.differs(self._noted)
        self.reason, self._noted = plan.spoiled, plan.noted
        if difference:
            self._try_again(difference)
        elif not self.reason:
            self._candidate = plan
        return plan.result


def _check_room(watch: Any) -> None:
    """See that there is memory for two copies of all that a step may write.

    Raises:
        NotRecordable: there is not.
    """
    arrays = reached(watch)
    if arrays:
        xp = array_module(arrays[0])
        free = xp.cuda.Device().mem_info[0] + xp.get_default_memory_pool().free_bytes()
        size = sum(a.nbytes for a in arrays)
        if 2 * size > free:
            raise NotRecordable(f"two copies of the {size} bytes that it reaches, to compare them, find no room")


def _why(error: Exception) -> str:
    """Return why a capture failed, and where."""
    text = " ".join(str(error).split())
    what = f"{type(error).__name__}: {text if len(text) <= 200 else text[:197] + '...'}"
    if "StreamCapture" in text or "stream is capturing" in text:
        what = "it waits for the GPU, or copies from the host to it"
    return f"{what}, {_where(error.__traceback__)}"


def _where(trace: types.TracebackType | None) -> str:
    """Return the last line of the user's code, and the function of cunet behind it."""
    line = inside = ""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        parts = module.split(".")
        if parts[0] not in _OURS:
            line, inside = f"at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}", ""
        elif parts[0] == "cunet" and parts[1] not in ("record", "kernels", "autograd"):
            inside = f"in {module}.{trace.tb_frame.f_code.co_name} "
        trace = trace.tb_next
    return inside + line
