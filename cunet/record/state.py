"""What a step may change beside the elements of arrays, at a time."""

from __future__ import annotations

import functools
import sys
from typing import Any, NamedTuple

import numpy as np

from ..device import Array, is_gpu_array
from .watch import Watch


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
                for name in optimizer.numbers:
                    if not is_gpu_array(state.get(name)):
                        state.pop(name, None)
                state.update(saved)
        for generator, call in zip(watch.generators, self.calls, strict=True):
            generator.call = call


def _comparable(state: Any) -> Any:
    """Return the state of a generator of NumPy's as what ``==`` tells apart: its arrays as bytes."""
    if isinstance(state, dict):
        return {key: _comparable(value) for key, value in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state


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
