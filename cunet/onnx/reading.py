"""The table of readers: which function does what a node of ONNX says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from ..autograd.tensor import Tensor
from ..device import asnumpy

Reader = Callable[..., Any]
R = TypeVar("R", bound=Reader)

#: By the type of a node. A reader takes a node's inputs by position, Tensors or None, and its attributes by name.
READERS: dict[str, Reader] = {}
#: Inputs that say how, not what: shapes, axes, limits; by their places. What they are is known before anything runs.
SETTINGS: dict[str, frozenset[int]] = {}


def reads(*kinds: str, settings: tuple[int, ...] = ()) -> Callable[[R], R]:
    """Let the function below do what nodes of these types say.

    It may ask for ``opset``, the version of the node's operators, and ``results``, how many results are wanted, by
    taking arguments of these names.

    Args:
        settings: places of inputs that are no data: they are never trained.
    """

    def register(reader: R) -> R:
        READERS.update(dict.fromkeys(kinds, reader))
        SETTINGS.update(dict.fromkeys(kinds, frozenset(settings)))
        return reader

    return register


class Unknown(ValueError):
    """A node that cannot be read."""


def bound(kind: str, attributes: Mapping[str, Any], opset: int, results: int) -> Callable[..., Any]:
    """Return the function of the inputs of a node.

    Raises:
        Unknown: there is no reader for it, or not for one of its attributes.
    """
    reader = READERS.get(kind)
    if reader is None:
        raise Unknown(kind)
    names = inspect.signature(reader).parameters
    extra = sorted(attributes.keys() - names.keys())
    if extra:
        raise Unknown(f"{kind} with the attribute {', '.join(extra)}")
    more = {"opset": opset, "results": results}
    options = {**attributes, **{name: value for name, value in more.items() if name in names}}
    return lambda *inputs: reader(*inputs, **options)


def numbers(x: Any) -> Any:
    """Return the elements of a setting as a number, or a list of them; None as None."""
    return None if x is None else asnumpy(x.data).tolist() if isinstance(x, Tensor) else x


def listed(x: Any) -> list[int]:
    """Return the elements of a setting as a list, that of None is empty."""
    found = numbers(x)
    return [] if found is None else list(np.atleast_1d(found).tolist())


def need(holds: bool, what: str) -> None:
    """Raise ValueError for what a node asks, unless it is fulfilled."""
    if not holds:
        raise ValueError(what)
