"""One run of a step under the recorder, and what its calls, arrays and results turn out to be."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..device import Array, is_gpu_array
from ..kernels import listening
from ..kernels.backends.native.plans import Block, Plan
from ..kernels.backends.native.recorder import Recorder
from ..kernels.capture import capturing
from .session import Session
from .standing import Standing, unseen
from .tree import Tree
from .watch import Watch


class NotRecordable(Exception):
    """A step, or a call of it, cannot be replayed: why."""


class State(NamedTuple):
    """What tensors, optimisers and generators hold at a time; arrays by reference."""

    data: list[Array]
    grads: list[Array | None]
    numbers: list[list[dict[str, Any]]]
    calls: list[int]
    foreign: tuple[Any, ...]

    @classmethod
    def of(cls, watch: Watch) -> State:
        """Return it as it is now."""
        kept = [
            [{k: s[k] for k in o.numbers if k in s and not is_gpu_array(s[k])} for s in o.state]
            for o in watch.optimizers
        ]
        random = sys.modules.get("random")  # Python's: where nobody has imported it, nobody draws from it
        foreign = (random and random.getstate(), _comparable(np.random.get_state(legacy=False)))
        return cls(
            [t._data for t in watch.tensors],
            [t._grad for t in watch.tensors],
            kept,
            [g.call for g in watch.generators],
            foreign,
        )

    def restore(self, watch: Watch) -> None:
        """Go back to it."""
        for t, data, grad in zip(watch.tensors, self.data, self.grads, strict=True):
            t._data, t._grad = data, grad
        for optimizer, states in zip(watch.optimizers, self.numbers, strict=True):
            for state, saved in zip(optimizer.state, states, strict=True):
                state.update(saved)
        for generator, call in zip(watch.generators, self.calls, strict=True):
            generator.call = call


def _comparable(state: Any) -> Any:
    """Return the state of a generator of NumPy's as what ``==`` tells apart: its arrays as bytes."""
    if isinstance(state, dict):
        return {key: _comparable(value) for key, value in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state


class Recording:
    """What one run left.

    Attributes:
        result: the step's, as it returned it.
        plan, blocks, full: what the recorder saw.
        session: what it noted beside.
        unseen: an array that something wrote into of which nothing was recorded; or None.
        before, after: the states around it.
        inputs: the arrays that stood for the step's own.
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
        self.plan, self.blocks, self.full = recorder.plan, recorder.blocks, recorder.full
        self.session = session
        self.unseen = unseen(changed, [(o.low, o.high) for o in self.plan.operands if o.written])
        self.after = State.of(watch)

    def forget(self) -> None:
        """Let go of the arrays of the run, which would be held for nothing."""
        self.result = None
        self.before, self.after = self.before._replace(data=[], grads=[]), self.after._replace(data=[], grads=[])
        self.inputs.clear()
        del self.session


def _write_back(copies: list[np.ndarray], arrays: list[np.ndarray]) -> None:
    """Bring what a step wrote into its inputs to where it belongs."""
    for copy, array in zip(copies, arrays, strict=False):  # fewer copies where there was no memory for all
        if copy.tobytes() != array.tobytes():
            array[...] = copy


@functools.cache
def _dense(shape: tuple[int, ...], strides: tuple[int, ...], size: int) -> bool:
    """Tell whether elements lie one behind the other in some order of the axes."""
    expected = size
    for n, s in sorted(((n, s) for n, s in zip(shape, strides, strict=True) if n != 1), key=lambda pair: pair[1]):
        if s != expected:
            return False
        expected *= n
    return True


def is_dense(a: np.ndarray) -> bool:
    """Tell whether elements lie one behind the other in some order of the axes."""
    return a.size > 0 and _dense(a.shape, a.strides, a.itemsize)
