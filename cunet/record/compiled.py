"""`compile`: a step that is recorded, compared, and then replayed by one call."""

from __future__ import annotations

import functools
import os
import threading
import time
import types
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from ..autograd import tape
from ..kernels import dispatch
from ..kernels.backends.cuda import precision
from ..kernels.backends.native import native
from ..kernels.backends.native.plans import expect
from ..kernels.backends.numpy import tuning
from ..kernels.capture import capturing
from ..nn import observe
from ..optim import ondevice
from ..system.locks import ForkSafeLock
from ..system.messages import say
from .entry import ON_NUMPY, Entry, Kinds, kinds_of
from .graph_entry import GraphEntry
from .place import namespace
from .report import Report
from .tree import Tree
from .trial import Trial
from .watch import Watch

_MOST = 8  # plans of a step
_REFUSAL = 8  # what a recording that is refused counts, where one that is not, or a call in a new way, counts 1
_WASTE = 64  # how much of that, less the replays, until it is no use to look further

_turn = ForkSafeLock()  # recording watches a region for the whole process


class CompiledStep:
    """A step that is replayed where that gives the same bits, and else runs as it is written; see `compile`.

    Args:
        step: the step.
        name: who says what is said of it.
        tries: whether a long step, which holds much memory, is replayed only where that takes less time.
    """

    def __init__(self, step: Callable[..., Any], name: str = "", tries: bool = False) -> None:
        functools.update_wrapper(self, step)
        self._name = name or f"cunet.compile: {getattr(step, '__qualname__', step)}"
        self._step, self._tries = step, tries
        self._entries: list[Entry] = []  # the last used first
        self._reasons: Counter[str] = Counter()
        self._replays = self._recorded = self._waste = 0
        self._said = False
        self._free = threading.Lock()
        self._hopeless = "CUNET_COMPILE=0" if os.environ.get("CUNET_COMPILE") == "0" else ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step."""
        if self._hopeless:
            return self._eagerly(self._hopeless, args, kwargs)
        tree = Tree(args, kwargs)
        problem = self._problem(tree.on_gpu)
        if problem:
            return self._eagerly(problem, args, kwargs)
        if not self._free.acquire(blocking=False):
            return self._eagerly("the step runs already: inside itself, or in another thread", args, kwargs)
        try:
            return self._run(tree, _context(tree.on_gpu), args, kwargs)
        finally:
            self._free.release()

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind the step to an object where it is a method."""
        return self if instance is None else types.MethodType(self, instance)

    def report(self) -> Report:
        """Return how calls were run, and why some ran as they are written."""
        plans = [entry.plan for entry in self._entries if entry.plan is not None]
        eager = sum(self._reasons.values())
        memory = sum(plan.bytes for plan in plans)
        peak, least = max([(plan.peak, plan.least) for plan in plans], default=(0, 0))
        before = max([entry.peak for entry in self._entries], default=0)
        times = plans[0].times() if plans else {}
        counts = (len(plans), self._replays, self._recorded, eager, dict(self._reasons))
        return Report(*counts, memory, peak, least, times, before)

    def _problem(self, on_gpu: bool) -> str:
        """Return why nothing can be recorded or replayed here and now, or ""."""
        if not on_gpu and not (native.active and native.hopeful()):
            return ON_NUMPY
        if capturing.get() is not None or ondevice.placing.get() is not None:
            return "another step is recorded, of which this one is a part"
        if dispatch.is_listened() or observe.is_observed():
            return "somebody listens to the calls of kernels or layers"
        if not isinstance(tape.recording.get(), bool):
            return "somebody looks at every op that is recorded for gradients, as detect_anomaly does"
        if on_gpu and namespace().cuda.get_current_stream().is_capturing():
            return "a CUDA graph is captured, of which this step is a part"
        return ""

    def _run(self, tree: Tree, context: Any, args: Any, kwargs: Any) -> Any:
        for k, entry in enumerate(self._entries):
            if entry.fits(tree, context):
                if k:
                    self._entries.insert(0, self._entries.pop(k))
                return self._known(entry, tree, args, kwargs)
        changed = self._entries[0].changed() if self._entries else ""
        before = kinds_of(Watch(self._step, *tree.objects))
        found = self._eagerly(f"called in a new way: {changed or 'arguments'}", args, kwargs)
        self._expect(tree, context, before)
        self._count(1, f"few calls are alike: {changed or 'arguments'}")
        return found

    def _expect(self, tree: Tree, context: Any, before: Kinds) -> None:
        """Be ready for a call like this one, with the gradients that were there before it, or those that are now."""
        for kinds in (before, {}):
            entry = (GraphEntry if tree.on_gpu else Entry)(self._step, tree, context, kinds)
            if not any(other.is_like(entry) for other in self._entries):
                self._entries = [entry, *self._entries[: _MOST - 1]]
        if not tree.on_gpu:
            expect()

    def _known(self, entry: Entry, tree: Tree, args: Any, kwargs: Any) -> Any:
        if entry.reason:
            return self._eagerly(entry.reason, args, kwargs)
        if entry.plan is None:
            problem = entry.ready()
            if problem:
                return self._eagerly(problem, args, kwargs)
            self._recorded += 1
            with _turn:
                found = entry.record(tree)
            self._say(entry.reason)
            self._count(_REFUSAL if entry.reason else 1, entry.reason or "few calls are alike: arguments")
            return found
        if self._tries and entry.trial is not None:
            return self._tried(entry, entry.trial, tree, args, kwargs)
        return self._replay(entry, tree, args, kwargs)

    def _replay(self, entry: Entry, tree: Tree, args: Any, kwargs: Any) -> Any:
        with _turn if tree.on_gpu else nullcontext():  # one stream captures and replays
            found, reason = entry.run(tree)
        if reason:
            return self._eagerly(reason, args, kwargs)
        self._replays += 1
        return found

    def _tried(self, entry: Entry, trial: Trial, tree: Tree, args: Any, kwargs: Any) -> Any:
        """Replay a call, or not, and note how long it took; behind the last one keep the plan or let it go."""
        began = time.perf_counter()
        if trial.asks_for_written:
            found = self._eagerly("measured beside its replays", args, kwargs)
        else:
            found = self._replay(entry, tree, args, kwargs)
        trial.note(time.perf_counter() - began)
        if trial.over:
            entry.end_trial()
        return found

    def _eagerly(self, reason: str, args: Any, kwargs: Any) -> Any:
        self._reasons[reason] += 1
        return self._step(*args, **kwargs)

    def _count(self, waste: int, reason: str) -> None:
        """Count what was done for replays to come; give up where few come."""
        self._waste += waste
        if self._waste - self._replays >= _WASTE:
            self._hopeless, self._entries = reason, []
            self._say(reason)

    def _say(self, reason: str) -> None:
        if reason and not self._said:
            self._said = True
            say(f"{self._name} runs as it is written: {reason}")


def _context(on_gpu: bool) -> tuple[Any, ...]:
    """Return what, beside arguments, says which way a call goes."""
    if on_gpu:
        return tape.recording.get(), precision.current.get(), namespace().cuda.get_device_id()
    return tape.recording.get(), native.threads, tuning.tuning


def compile(step: Callable[..., Any]) -> CompiledStep:
    """Return a step that does the same in less time: what Python asked of compiled code is recorded and replayed.

    A step is a function of arrays: a forward pass, or a whole training step with ``backward()`` and an optimiser's
    ``step()``. Model, optimiser and random streams are found from what it uses; nothing has to be listed. The second
    and third call of a kind are recorded; if they differ in the elements of arrays only, a fourth one is run both ways,
    and where all bits are equal (results, weights, buffers, gradients, state of the optimiser) the calls after it are
    replayed. What cannot be recorded, or comes in another way (another shape, a layer frozen, a state loaded), runs as
    it is written. On a GPU the step is captured as a CUDA graph. See ``docs/recorded-steps.md``.

    Args:
        step: a function, which may be decorated: ``@cunet.compile``. It returns Tensors or arrays. In a replay its
            Python does not run, so it must not print, count, or append to lists: such a step is not recorded, as far
            as that can be seen.

    Returns:
        A function with the same arguments; its `report()` says how calls were run, and why.

    Example:
        >>> w = cunet.tensor([2.0], requires_grad=True)
        >>> optimizer = optim.SGD([w], lr=0.25)
        >>> @cunet.compile
        ... def step(x, y):
        ...     optimizer.zero_grad()
        ...     loss = ((w * x - y) ** 2).mean()
        ...     loss.backward()
        ...     optimizer.step()
        ...     return loss
        >>> [step(np.ones(4, np.float32), np.full(4, 3.0, np.float32)).item() for _ in range(6)]
        [1.0, 0.25, 0.0625, 0.015625, 0.00390625, 0.0009765625]
    """
    return CompiledStep(step)
