"""The table of writers: which function adds the nodes of an op."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from ..ops.activation import registry
from .formulas import computed
from .graph import Given, Graph, Value

Writer = Callable[..., Any]
W = TypeVar("W", bound=Writer)

#: By the function of arrays below each op, which no op of a user can be.
_WRITERS: dict[Callable[..., Any], Writer] = {}


def writes(*ops: Callable[..., Any]) -> Callable[[W], W]:
    """Let the function below add the nodes of ops.

    It is given the graph, the op's arguments (each a `Value`, a number or None) and those of its options that it names,
    with the op's defaults; it returns the name of the result, or a list of names.
    """

    def register(writer: W) -> W:
        _WRITERS.update(dict.fromkeys(map(below, ops), writer))
        return writer

    return register


def below(op: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function of arrays that an op is made of."""
    return vars(op)["__wrapped__"]


def writer_of(function: Callable[..., Any]) -> Writer | None:
    """Return the writer of an op by its function of arrays, or None."""
    return _WRITERS.get(function)


def write(
    g: Graph, function: Callable[..., Any], writer: Writer, args: Sequence[Given], options: dict[str, Any]
) -> list[str]:
    """Add the nodes of an op; return the names of its results."""
    given = {**_defaults(function), **options}
    wanted = _names(writer)
    made = writer(g, *args, **{name: value for name, value in given.items() if name in wanted})
    return [made] if isinstance(made, str) else list(made)


@functools.cache
def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


@functools.cache
def _names(writer: Writer) -> frozenset[str]:
    """Return the names of the options that a writer takes."""
    return frozenset(p.name for p in inspect.signature(writer).parameters.values() if p.kind is p.KEYWORD_ONLY)


def activated(g: Graph, x: str, activation: Any) -> str:
    """Return the name of what an activation makes, given as norms take it."""
    entry, options = registry.find("onnx.export", activation)
    if entry is None:
        return x
    function = below(entry.function)
    writer = writer_of(function)
    if writer is not None:
        return write(g, function, writer, [x], options)[0]
    forward, _, numbers = entry.numbers(**options)
    return computed(g, forward, [x, *numbers])[0]


def parameter(g: Graph, x: Value | None, ndim: int, axis: int) -> Given:
    """Return a vector as it broadcasts along an axis of an array; None as None."""
    after = ndim - 1 - axis % ndim
    return x if x is None or not after else g("Reshape", x, [x.shape[0], *[1] * after])


def at_axis_1(g: Graph, x: Given, ndim: int, axis: int) -> Given:
    """Return an array with an axis moved to place 1."""
    rest = [k for k in range(ndim) if k != axis % ndim]
    return x if axis % ndim == 1 else g("Transpose", x, perm=[rest[0], axis % ndim, *rest[1:]])


def back_from_axis_1(g: Graph, x: str, ndim: int, axis: int) -> str:
    """Undo `at_axis_1`."""
    order = [0, *range(2, ndim)]
    order.insert(axis % ndim, 1)
    return x if axis % ndim == 1 else g("Transpose", x, perm=order)


def lowest(dtype: np.dtype) -> np.ndarray:
    """Return the least finite number of a dtype."""
    return np.asarray(np.finfo(dtype).min, dtype)
