"""One run of a step under the recorder, and what its calls, arrays and results turn out to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels import listening
from ..kernels.backends.native.plans import Block, Plan
from ..kernels.backends.native.recorder import Recorder
from ..kernels.capture import capturing
from .session import Session
from .standing import Standing, unseen
from .state import State
from .tree import Tree
from .watch import Watch


class NotRecordable(Exception):
    """A step, or a call of it, cannot be replayed: why."""


class Recording:
    """What one run left.

    Attributes:
        result: the step's, as it returned it.
        plan, blocks, full: what the recorder saw.
        session: what it noted beside.
        unseen: an array that something wrote into of which nothing was recorded; or None.
        before, after: the states around it.
        inputs: the arrays that stood for the step's own.
        peak: bytes of arrays that were made in it, and were there at a time.
    """

    plan: Plan
    blocks: list[Block]

    def __init__(self, step: Callable[..., Any], tree: Tree, watch: Watch, by_python: set[int]) -> None:
        self.before = State.of(watch)
        standing = Standing([*self.before.data, *[g for g in self.before.grads if g is not None], *watch.arrays])
        recorder = Recorder()
        session = Session(recorder, by_python)
        self.inputs: list[np.ndarray] = []
        try:
            with recorder:
                self.inputs += [recorder.aside_filled(a) for a in tree.arrays]
                token = capturing.set(session)
                try:
                    with listening(session.listen):
                        self.result = tree.call(step, self.inputs)
                finally:
                    session.end()
                    capturing.reset(token)
            changed = standing.look()
        finally:
            _write_back(self.inputs, tree.arrays)
        self.plan, self.blocks, self.full, self.peak = recorder.plan, recorder.blocks, recorder.full, recorder.peak
        self.session = session
        self.unseen = unseen(changed, [(o.low, o.high) for o in self.plan.operands if o.written])
        self.after = State.of(watch)

    def forget(self) -> None:
        """Let go of the arrays of the run, which would be held for nothing."""
        self.result = None
        self.before, self.after = self.before._replace(data=[], grads=[]), self.after._replace(data=[], grads=[])
        self.inputs.clear()
        self.unseen = None
        del self.session


def _write_back(copies: list[np.ndarray], arrays: list[np.ndarray]) -> None:
    """Bring what a step wrote into its inputs to where it belongs."""
    for copy, array in zip(copies, arrays, strict=False):  # fewer copies where there was no memory for all
        if copy.tobytes() != array.tobytes():
            array[...] = copy
