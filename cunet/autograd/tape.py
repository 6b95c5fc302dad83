"""The tape: what is recorded, and how gradients flow back along it. It knows no particular op.

Every recorded call makes a `Node` that holds its vjp (a closure over the arrays it needs) and its
parents. Nodes carry a creation number, so "newest first" is a topological order: no recursion.
Nodes refer to nodes, and to leaf tensors, never back: no reference cycles.
"""

from __future__ import annotations

import heapq
import itertools
import sys
from collections.abc import Callable, Sequence
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from ..device import Array, clearer_error, is_array, is_gpu_array
from ..kernels.capture import copied, total
from ..kernels.sum_to import sum_over
from ..system.quiet import quiet
from .stepwise import stepwise

Function = TypeVar("Function", bound=Callable[..., Any])


class Watcher(Protocol):
    """What may stand in the place of True in `recording`: it looks at every recorded op."""

    def watched(self, name: str, inputs: Sequence[Any], y: Any, vjp: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Look at what an op made; return what takes the place of its vjp."""


recording: ContextVar[bool | Watcher] = ContextVar("cunet_recording", default=True)
clock = itertools.count(1)  # numbers nodes, and in-place changes of leaves, in one order


class no_grad(ContextDecorator):  # noqa: N801 (lower case, as users know it)
    """Switch recording off: ``with no_grad():`` or ``@no_grad()``.

    Holds for the current thread or async task only. A decorated generator does not record while it runs; what
    its caller does between two values is recorded.

    Example:
        >>> w = cunet.tensor([1.0], requires_grad=True)
        >>> with cunet.no_grad():
        ...     y = 2 * w
        >>> y.requires_grad, (2 * w).requires_grad
        (False, True)
    """

    def _value(self) -> bool | Watcher:
        return False

    def __call__(self, function: Function) -> Function:
        """Return `function`, run with recording switched; it may be async, or a generator."""
        wrapped = stepwise(type(self), function)
        return super().__call__(function) if wrapped is None else cast(Function, wrapped)

    def __enter__(self) -> None:
        """Stop recording."""
        self._tokens: list[Token[bool | Watcher]] = [*getattr(self, "_tokens", ()), recording.set(self._value())]

    def __exit__(self, *exc: object) -> None:
        """Go back to what was."""
        recording.reset(self._tokens.pop())

    def _recreate_cm(self) -> no_grad:
        return type(self)()  # a decorated function may run in several threads at once


class grad_enabled(no_grad):
    """Switch recording on inside `value_and_grad`, whose result would else be nothing."""

    def _value(self) -> bool | Watcher:
        return recording.get() or True


def is_recording() -> bool:
    """Tell whether ops on tensors that require gradients are recorded here and now.

    Example:
        >>> with cunet.no_grad():
        ...     within = cunet.is_recording()
        >>> within, cunet.is_recording()
        (False, True)
    """
    return bool(recording.get())


class Leaf(Protocol):
    """What the tape sees of a tensor that no recorded op made."""

    _data: Array
    _grad: Array | None
    _modified: int  # reading of the clock at the last change in place


class Node:
    """One recorded call: what to run on the way back, and where its results go."""

    __slots__ = ("dtype", "grad", "index", "keeps_grad", "name", "order", "parents", "shape", "vjp")

    def __init__(self, name: str, parents: Sequence[Node | Leaf | None], vjp: Any, y: Any) -> None:
        self.order = next(clock)
        self.name = name
        self.parents = parents
        self.vjp = vjp
        self.index: int | None = None  # which output of a call with several
        self.keeps_grad = False
        self.grad: Array | None = None
        if type(y) is tuple:
            self.shape, self.dtype = None, None
        else:
            self.shape, self.dtype = y.shape, y.dtype


def backpropagate(root: Node, seed: Array, retain_graph: bool) -> dict[int, tuple[Leaf, Array]]:
    """Run the vjps from `root` back; return the gradient of every leaf reached, by the leaf's id."""
    grads: dict[Node, Any] = {root: seed}
    kept: list[tuple[Node, Array]] = []
    leaves: dict[int, tuple[Leaf, Array]] = {}
    heap = [(-root.order, root)]
    with quiet():  # inf and nan are results here, on the GPU as on the CPU
        while heap:
            node = heapq.heappop(heap)[1]
            gy = grads.pop(node)
            if node.vjp is None:
                raise RuntimeError(
                    f"backward: the graph behind {node.name!r} was freed by an earlier backward; "
                    "use backward(retain_graph=True) there to go through it twice"
                )
            if node.keeps_grad:
                kept.append((node, gy))
            for parent, g in _contributions(node, gy):
                if isinstance(parent, Node):
                    known = grads.get(parent)
                    if known is None:
                        heapq.heappush(heap, (-parent.order, parent))
                        grads[parent] = g
                    else:
                        grads[parent] = add(known, g)
                else:
                    if parent._modified > node.order:
                        raise RuntimeError(
                            f"backward: a tensor of shape {parent._data.shape} was modified in place (by an optimiser "
                            f"step?) after {node.name!r} used it; run backward before the step"
                        )
                    seen = leaves.get(id(parent))
                    leaves[id(parent)] = (parent, g if seen is None else add(seen[1], g))
            if not retain_graph:
                node.vjp = None
                node.parents = ()
    for node, gy in kept:  # only now, after all that may fail; a copy, because `gy` went on to the parents
        node.grad = gy.copy() if node.grad is None else add(node.grad, gy)
    return leaves


def owned(g: Array, taken: set[int]) -> Array:
    """Return `g`, or a copy if others see its memory or its id is in `taken`; users may then scale it in place."""
    if id(g) in taken or not (g.flags.owndata or _only_view(g)):
        return copied(g)
    taken.add(id(g))
    return g


def _only_view(g: Array) -> bool:
    """Tell whether `g` is all of an array that nothing else refers to, such as one that was just reshaped."""
    base = g.base
    # Held by `g`, by `base` and by the call: of a variable's own reference Python 3.14 gives a call none.
    return is_array(base) and base.size == g.size and base.flags.owndata and sys.getrefcount(g.base) == 3


def add(a: Any, b: Any) -> Any:
    """Add two gradients. NumPy makes a scalar of the sum of 0-d arrays: make it an array again."""
    c = a + b if type(a) is _Parts else total(a, b)
    return np.asarray(c) if isinstance(c, np.generic) else c


def _contributions(node: Node, gy: Any) -> list[tuple[Any, Any]]:
    """Return (parent, gradient) for the parents of a node that need one."""
    if node.index is not None:  # one of several outputs: hand the gradient, marked, to the call itself
        parts = [None] * node.vjp
        parts[node.index] = gy
        return [(node.parents[0], _Parts(parts))]
    found = []
    try:
        gradients = node.vjp(tuple(gy) if type(gy) is _Parts else gy)
        if type(gradients) is not tuple or len(gradients) != len(node.parents):
            _check_count(node, gradients)
        for parent, g in zip(node.parents, gradients, strict=False):
            if parent is None or g is None:
                continue
            if callable(g):
                g = g()
            wanted = parent if isinstance(parent, Node) else parent._data
            sound = type(g) is np.ndarray or is_gpu_array(g)
            if not sound or g.shape != wanted.shape or g.dtype != wanted.dtype:
                g = _fit(g, wanted.shape, wanted.dtype, node.name)
            found.append((parent, g))
    except Exception as error:
        clearer = clearer_error(f"{node.name} (backward)", error)
        if clearer is None:
            raise
        raise clearer from error
    return found


def _check_count(node: Node, gradients: Any) -> None:
    """Raise TypeError unless a vjp returned an entry for each argument that needs one, and none beyond them."""
    if isinstance(gradients, (tuple, list)):
        needed = max(k + 1 for k, parent in enumerate(node.parents) if parent is not None)
        if needed <= len(gradients) <= len(node.parents):
            return
    got = f"{len(gradients)} entries" if isinstance(gradients, (tuple, list)) else type(gradients).__name__
    raise TypeError(
        f"{node.name}: vjp must return a tuple with one entry for each array argument, {len(node.parents)}, got {got}"
    )


class _Parts(list[Any]):
    """Gradients of the outputs of a call with several; `+` merges those that came separately."""

    def __add__(self, other: Any) -> _Parts:
        return _Parts([b if a is None else a if b is None else add(a, b) for a, b in zip(self, other, strict=True)])


def _fit(g: Array, shape: tuple[int, ...] | None, dtype: Any, name: str) -> Array:
    """Sum a gradient over the axes that broadcasting added or stretched; give it the input's dtype."""
    if type(g) is not np.ndarray:
        g = np.asarray(g) if isinstance(g, np.generic) else g
        if not is_array(g):
            raise TypeError(
                f"{name}: vjp must return arrays, None or functions that return arrays, got {type(g).__name__}"
            )
    if shape is not None and g.shape != shape:
        extra = g.ndim - len(shape)
        if extra < 0 or any(s not in (1, n) for s, n in zip(shape, g.shape[extra:], strict=True)):
            raise ValueError(f"{name}: vjp gave a gradient of shape {g.shape} for an input of shape {shape}")
        axes = (*range(extra), *[i + extra for i, s in enumerate(shape) if s == 1 and g.shape[i + extra] != 1])
        g = (sum_over(g, axes) if axes else g).reshape(shape)
    return g if g.dtype == dtype else g.astype(dtype)
