"""The arguments and the result of a step: arrays in a structure that is always the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.tape import Node
from ..autograd.tensor import Tensor, wrap
from ..device import Array, is_gpu_array
from ..random import Draw

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


class Unfit(Exception):
    """Something that a recorded step cannot take, or return: what."""


class Tree:
    """What a step is called with, taken apart.

    Attributes:
        key: equal for calls that differ in the elements of their arrays only.
        arrays: those in it, in order; those of Tensors too.
        on_gpu: whether there is one of a GPU among them.
        objects: all else that is no number, kept because `key` has their ids.
        draws: draws of random streams in it; another one may be put in its place.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.arrays: list[Array] = []
        self.objects: list[Any] = []
        self.draws: list[Draw] = []
        key: Any = None
        self._build: Callable[[Sequence[Array]], Any] = _flat
        if not kwargs and all([type(a) is np.ndarray for a in args]):
            self.arrays += args
        else:
            self._build, key = self._take((args, kwargs))
        self.on_gpu = any([is_gpu_array(a) for a in self.arrays])
        self.key = (key, *[(a.shape, a.strides, a.dtype.char) for a in self.arrays])
        if self.on_gpu:  # kernels take several elements at once where memory begins at 16 bytes
            self.key += tuple([a.data.ptr % 16 for a in self.arrays if is_gpu_array(a)])

    def _take(self, value: Any) -> tuple[Callable[[Sequence[Array]], Any], Any]:
        """Return a function that puts a value together from other arrays, and a key of it."""
        kind = type(value)
        if _is_array(value):
            k = len(self.arrays)
            self.arrays.append(value)
            return lambda arrays: arrays[k], "a"
        if kind is Tensor and value._node is None and not value._requires_grad and _is_array(value._data):
            k = len(self.arrays)
            self.arrays.append(value._data)
            return lambda arrays: wrap(arrays[k]), "t"
        if kind in (tuple, list):
            parts = [self._take(item) for item in value]
            return lambda arrays: kind([build(arrays) for build, _ in parts]), (kind, *[key for _, key in parts])
        if kind is Draw:
            k = len(self.draws)
            self.draws.append(value)
            return lambda arrays: self.draws[k], Draw
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            parts = [self._take(item) for item in value]
            return lambda arrays: kind(*[build(arrays) for build, _ in parts]), (kind, *[key for _, key in parts])
        if kind is slice or isinstance(value, (np.dtype, type)):
            return lambda arrays: value, str(value)
        if kind is dict:
            named = {name: self._take(item) for name, item in value.items()}
            key = tuple([(name, key) for name, (_, key) in named.items()])
            return lambda arrays: {name: build(arrays) for name, (build, _) in named.items()}, (dict, key)
        if kind in _PLAIN:
            return lambda arrays: value, (kind, repr(value))
        self.objects.append(value)
        return lambda arrays: value, id(value)

    def call(self, step: Callable[..., Any], arrays: Sequence[Array]) -> Any:
        """Call a step with other arrays in the same places."""
        args, kwargs = self._build(arrays)
        return step(*args, **kwargs)


def _is_array(value: Any) -> bool:
    return type(value) is np.ndarray or is_gpu_array(value)


def _flat(arrays: Sequence[Array]) -> tuple[Any, Any]:
    return arrays, {}


def leaves_of(value: Any, found: list[Array]) -> Callable[[Sequence[Array]], Any]:
    """Add the arrays of a result to `found`; return a function that makes one like it of other arrays.

    Raises:
        Unfit: there is something in it that depends on more than arrays.
    """
    kind = type(value)
    k = len(found)
    if _is_array(value):
        found.append(value)
        return lambda arrays: arrays[k]
    if kind is Tensor and _is_array(value._data):
        found.append(value._data)
        if value._node is None:
            return lambda arrays: wrap(arrays[k])
        if value._node.vjp is not None:
            raise Unfit("it returns a Tensor whose graph is still there; return its .detach()")
        name = value._node.name
        return lambda arrays: wrap(arrays[k], Node(name, (), None, arrays[k]))
    if kind in (tuple, list):
        parts = [leaves_of(item, found) for item in value]
        return lambda arrays: kind([build(arrays) for build in parts])
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        parts = [leaves_of(item, found) for item in value]
        return lambda arrays: kind(*[build(arrays) for build in parts])
    if kind is dict:
        named = {name: leaves_of(item, found) for name, item in value.items()}
        return lambda arrays: {name: build(arrays) for name, build in named.items()}
    if value is None or kind in (bool, str):
        return lambda arrays: value
    raise Unfit(f"it returns {'a number' if kind in (int, float) else kind.__name__}; return Tensors or arrays")
