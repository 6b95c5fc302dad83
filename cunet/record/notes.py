"""What is noted while a step is recorded: calls of kernels, questions about values, calls of Python's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..device import Array, is_gpu_array
from ..kernels.spec import Definition
from ..system.quiet import quiet
from .tree import Tree


class Call(NamedTuple):
    """A kernel's call as the dispatcher sees it, and which records it made.

    Of an optimiser's kernels there are the arguments too, but for the gradient: no array of a step is held by this.
    """

    kernel: Definition
    args: tuple[Any, ...]
    first: int
    last: int


class Check(NamedTuple):
    """A question that an op asked of the values of an array, behind as many records, and its answer."""

    test: Callable[..., bool]
    array: np.ndarray
    rest: tuple[Any, ...]
    answer: bool
    record: int


class Host(NamedTuple):
    """A call of Python's that is made again in each replay: what NumPy does better, or alone.

    Attributes:
        record: its number.
        function: of the arguments in `tree`.
        tree: they, and where arrays are among them.
        fresh: for each array that it returns, whether it made it.
    """

    record: int
    function: Callable[..., Any]
    tree: Tree
    fresh: tuple[bool, ...]

    @property
    def key(self) -> tuple[Any, ...]:
        """What is the same in each recording of a step."""
        return self.record, _key_of(self.function), self.tree.key, self.fresh

    @property
    def name(self) -> str:
        """What is called: a function, a kernel, or an op."""
        function = self.function
        while isinstance(function, functools.partial):
            function = function.args[0] if function.args and hasattr(function.args[0], "spec") else function.func
        found = getattr(function, "__self__", function)
        found = found.key[1] if isinstance(found, Op) else found
        return str(getattr(found, "__name__", type(found).__name__)).lstrip("_")


def _key_of(function: Any) -> Any:
    """Return what is the same of a function in each recording of a step."""
    if isinstance(function, functools.partial):
        return _key_of(function.func), function.args
    owner = getattr(function, "__self__", function)
    return (owner.key, getattr(function, "__name__", "")) if isinstance(owner, Op) else function


class Op:
    """An op that Python does in a replay, and its way back.

    Attributes:
        number: which call of an op of the step.
        vjp, gradients: what it returned, and what its way back did.
    """

    vjp: Callable[[Any], Any] | None = None
    gradients: Any = None

    def __init__(self, number: int, function: Callable[..., Any]) -> None:
        self.number, self._function = number, function
        self.key = (number, function)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Return the op's result."""
        with quiet():
            made = self._function(*inputs, **options)
        if type(made) is not tuple or len(made) != 2:
            return made  # of a user's op, which is told that it is wrong
        y, self.vjp = made
        return np.asarray(y) if isinstance(y, np.generic) else y

    def back(self, gy: Any) -> tuple[Any, ...]:
        """Begin the way back; return the gradients that are there at once."""
        with quiet():
            self.gradients = self.vjp(gy) if self.vjp is not None else ()
            self.gradients = [np.asarray(g) if isinstance(g, np.generic) else g for g in self.gradients]
        return tuple([g for g in self.gradients if g is not None and not callable(g)])

    def gradient(self, k: int) -> Any:
        """Return the gradient of an input."""
        with quiet():
            g = self.gradients[k]()
        return np.asarray(g) if isinstance(g, np.generic) else g

    def forget(self) -> None:
        """Let go of what they hold."""
        self.vjp = self.gradients = None


def owner(a: Array) -> Array:
    """Return the array whose memory this one looks at."""
    while type(a.base) is np.ndarray or is_gpu_array(a.base):
        a = a.base
    return a


def counted(a: np.ndarray) -> np.ndarray:
    """Return 0-d integers, counted up."""
    return np.asarray(a + 1)
