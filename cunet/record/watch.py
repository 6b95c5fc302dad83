"""What a step can reach: the objects that its plan depends on, as they were when it was recorded."""

from __future__ import annotations

import collections
import functools
import itertools
import operator
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, is_gpu_array
from ..nn.module import Module
from ..optim.optimizer import Optimizer
from ..random import Generator, streams
from .names import acts, names_in, outward

_LIMIT = 20_000  # objects: to look at more would take longer than the step
_NUMBERS = (bool, int, float, complex, str, bytes, type(None))
_CALLABLES = (types.FunctionType, types.MethodType, functools.partial, property, staticmethod, classmethod)
_TRUSTED = {"cunet", "numpy", "cupy", "builtins"} | set(sys.stdlib_module_names)  # nobody changes what is in them
_BY_ANY_NAME = {"getattr", "hasattr", "vars", "dir", "__dict__", "eval", "exec", "setattr"}
_MAKERS = {"__init__", "__new__", "__init_subclass__", "__del__"}
_EMPTY = object()
#: Attributes of an optimiser that its own step changes, or that are looked at by themselves.
_OF_OPTIMIZERS = ("param_groups", "state", "_buffers", "_rates")
Found = list[tuple[str, Any]]


class Watch:
    """Everything that is reached from a step, and its containers as they were.

    Attributes:
        tensors, arrays, optimizers, generators: what was found, each once.
        on_gpu: arrays of a GPU that were found by themselves.
        problem: why a step that reaches this cannot be recorded, or "".
    """

    def __init__(self, *roots: Any) -> None:
        self.tensors: list[Tensor] = []
        self.arrays: list[np.ndarray] = []
        self.on_gpu: list[Array] = []
        self.optimizers: list[Optimizer] = []
        self.generators: list[Generator] = []
        self.problem = ""
        self._names: list[str] = []
        self._live: list[Any] = []  # containers
        self._saved: list[Any] = []  # copies of them, of which numbers are compared by value,
        self._getters: list[tuple[Callable[[Any], Any], Any]] = []  # and what of them is compared by identity
        self._objects: list[Any] = []
        self._lookups: list[_Lookup] = []
        self._seen: dict[int, Any] = {}
        self._classes: set[tuple[type, bool]] = set()
        self._named: set[str] = set()  # names in the code that was found
        self._partly: list[tuple[str, Mapping[str, Any]]] = []  # attributes of which only those that are named matter
        waiting: Found = [(f"the stream {name!r}", g) for name, g in streams().items()]
        waiting += [("the step", root) for root in roots]
        while waiting and not self.problem:
            name, value = waiting.pop()
            if type(value) not in _NUMBERS and id(value) not in self._seen:
                self._seen[id(value)] = value
                waiting += self._enter(name, value)
            if len(self._seen) > _LIMIT:
                self.problem = f"it reaches more than {_LIMIT} objects"
            waiting = waiting or self._named_attributes()
        for name, held in self._partly:
            names = self._names_of(held)
            self._lookups.append(_Lookup(name, functools.partial(_read_names, held, names), names))

    def _enter(self, name: str, value: object) -> Found:
        """Note a value; return what it holds."""
        if isinstance(value, Tensor):
            self.tensors.append(value)
        elif isinstance(value, np.ndarray):
            self.arrays.append(value)
            if isinstance(value, np.memmap) and value.flags.writeable:
                self.problem = f"{name} is a file that can be written, of which nobody can tell whether the step does"
        elif is_gpu_array(value):
            self.on_gpu.append(value)
        elif isinstance(value, Generator):
            self.generators.append(value)
        elif isinstance(value, (np.random.Generator, np.random.RandomState)):
            self.problem = f"{name} draws from NumPy's generator; cunet.Generator can be recorded"
        elif hasattr(value, "__next__"):
            self.problem = f"{name} is an iterator, of which nobody can tell whether the step moves it on"
        elif acts(value):
            self.problem = f"{name} is {type(value).__name__}, which may do or say something else each time"
        elif isinstance(value, _CALLABLES):
            return self._callable(name, value)
        elif isinstance(value, types.ModuleType):
            return []
        elif type(value).__module__ == f"{__package__}.compiled":  # a compiled step: this one, or a part of it
            return [(name, getattr(value, "__wrapped__", None))]
        elif isinstance(value, type):
            return self._class(name, value)
        elif isinstance(value, Optimizer):
            return self._optimizer(name, value)
        elif isinstance(value, dict):
            return self._mapping(name, value) + self._attributes(name, value)
        elif isinstance(value, (list, collections.deque)):
            self._keep(name, value, value.copy(), enumerate(value))
            return [(f"{name}[{k}]", item) for k, item in enumerate(value)] + self._attributes(name, value)
        elif isinstance(value, (tuple, frozenset)):
            return [(f"{name}[{k}]", item) for k, item in enumerate(value)] + self._attributes(name, value)
        elif isinstance(value, (set, bytearray)):
            self._keep(name, value, value.copy(), ())
        else:
            return self._attributes(name, value)
        return []

    def _class(self, name: str, kind: type, made: bool = False) -> Found:
        """Note a class; of one whose objects are `made` already nobody calls what makes them."""
        if _is_trusted(kind) or (kind, made) in self._classes:
            return []
        self._classes.add((kind, made))
        if issubclass(kind, Module):
            found = self._mapping(name, vars(kind), ".")
            return [(n, v) for n, v in found if not (made and n.rpartition(".")[2] in _MAKERS)]
        self._partly.append((name, vars(kind)))  # its special methods are called by no name
        special = {key for key, item in vars(kind).items() if key.startswith("__") and callable(item)}
        return [(f"{name}.{key}", vars(kind)[key]) for key in special - (_MAKERS if made else set())]

    def _attributes(self, name: str, value: Any) -> Found:
        """Note the attributes of an object and of its classes."""
        kinds = [kind for kind in type(value).__mro__ if not _is_trusted(kind)]
        held = getattr(value, "__dict__", None)
        known = kinds or type(value).__module__.split(".")[0] == "cunet" or type(value) is types.SimpleNamespace
        found = [item for kind in kinds for item in self._class(kind.__name__, kind, made=True)]
        slots = [s for kind in kinds for s in _slots_of(kind) if hasattr(value, s)]
        found += [(f"{name}.{slot}", getattr(value, slot)) for slot in slots]
        if slots:
            self._lookups.append(_Lookup(name, functools.partial(_read_slots, value, slots), slots))
        reads = getattr(type(value), "read_by_steps", ())
        self._named.update(reads)
        if (kinds or reads) and isinstance(held, dict) and not isinstance(value, (Module, type)):
            self._partly.append((name, held))
            return found
        return found + (self._mapping(name, held, ".") if known and isinstance(held, dict) else [])

    def _names_of(self, held: Mapping[str, Any]) -> list[str]:
        """Return the attributes that the code which was found can ask for."""
        return sorted(self._named) if self._named.isdisjoint(_BY_ANY_NAME) else list(held)

    def _named_attributes(self) -> Found:
        """Return what is under the names that were found in the meantime."""
        found = [
            (f"{name}.{key}", held[key]) for name, held in self._partly for key in self._names_of(held) if key in held
        ]
        return [(name, value) for name, value in found if type(value) not in _NUMBERS and id(value) not in self._seen]

    def _mapping(self, name: str, held: Any, between: str = "") -> Found:
        self._keep(name, held, dict(held), held.items())
        return [(f"{name}.{key}" if between else f"{name}[{key!r}]", item) for key, item in held.items()]

    def _keep(self, name: str, live: Any, saved: Any, items: Any) -> None:
        self._names.append(name)
        self._live.append(live)
        self._saved.append(saved)
        # 0.0 == -0.0
        held = [(k, v) for k, v in items if type(v) not in _NUMBERS or (type(v) is float and v == 0)]
        if held:
            held.append(held[0])  # an itemgetter of one key would return no tuple
            self._getters.append((operator.itemgetter(*[k for k, _ in held]), live))
            self._objects += [v for _, v in held]

    def _callable(self, name: str, value: Any) -> Found:
        if isinstance(value, types.MethodType):
            return [(name, value.__self__), (name, value.__func__)]
        if isinstance(value, functools.partial):
            return [(name, value.func), (name, value.args), (name, value.keywords)]
        if isinstance(value, property):
            return [(name, value.fget)]
        if isinstance(value, (staticmethod, classmethod)):
            return [(name, value.__func__)]
        if (value.__module__ or "").split(".")[0] in _TRUSTED and value.__module__ != "__main__":
            return []
        names = sorted(set(names_in(value.__code__)))
        self._named.update(names)
        self.problem = self.problem or outward(value, names)
        places = [value.__globals__]
        places += [vars(m) for m in map(value.__globals__.get, names) if _is_users_module(m)]
        lookups = [_Lookup(name, functools.partial(_read_closure, value), value.__code__.co_freevars)]
        lookups += [_Lookup(name, functools.partial(_read_names, place, names), names) for place in places]
        self._lookups += lookups
        found: Found = [(name, vars(value)), (name, value.__defaults__), (name, value.__kwdefaults__)]
        found += list(zip(value.__code__.co_freevars, lookups[0].saved, strict=True))
        return found + [(n, v) for lookup in lookups[1:] for n, v in zip(names, lookup.saved, strict=True)]

    def _optimizer(self, name: str, optimizer: Optimizer) -> Found:
        """Note an optimiser: what its step changes, and settings that are numbers, are not compared."""
        self.optimizers.append(optimizer)
        held = vars(optimizer)
        found = self._mapping(name, held, ".") + self._attributes(name, type(optimizer))
        for key in ("param_groups", "state"):
            self._keep(f"{name}.{key}", held[key], list(held[key]), enumerate(held[key]))
        for k, group in enumerate(optimizer.param_groups):
            found.append((f"{name}.param_groups[{k}]['params']", group["params"]))
        self._keep(f"{name}._buffers", optimizer._buffers, list(optimizer._buffers), enumerate(optimizer._buffers))
        for buffers in optimizer._buffers:
            self._keep(f"{name}._buffers", buffers, list(buffers), enumerate(buffers))
            for buffer in buffers:
                self._mapping(f"{name}._buffers", vars(buffer))
                self._mapping(f"{name}._buffers", buffer.slots)
                self.arrays += [a for a in (*vars(buffer).values(), *buffer.slots.values()) if type(a) is np.ndarray]
        return [(n, v) for n, v in found if n.rpartition(".")[2] not in _OF_OPTIMIZERS]

    def holds(self) -> bool:
        """Tell whether all containers, and all that functions look up, are as they were."""
        try:
            found = itertools.chain.from_iterable([get(live) for get, live in self._getters])
            if not all(map(operator.is_, found, self._objects)):
                return False
            if self._live != self._saved:
                return False
        except (LookupError, ValueError):
            return False
        return all([lookup.holds() for lookup in self._lookups])

    def changed(self) -> str:
        """Return the name of something that is not as it was, or ""."""
        for name, live, saved in zip(self._names, self._live, self._saved, strict=True):
            if isinstance(saved, dict):
                keys = [key for key in live.keys() | saved.keys() if not alike(live.get(key), saved.get(key))]
                if keys:
                    return f"{name}.{keys[0]}"
            elif len(live) != len(saved) or not all(map(alike, live, saved)):
                return name
        return next(filter(None, [lookup.changed() for lookup in self._lookups]), "")


class _Lookup:
    """What is found under names, and was."""

    def __init__(self, name: str, read: Callable[[], list[Any]], keys: Sequence[str]) -> None:
        self._name, self._keys, self.read, self.saved = name, keys, read, read()

    def holds(self) -> bool:
        """Tell whether it is the same."""
        return all(map(alike, self.read(), self.saved))

    def changed(self) -> str:
        """Return the name of something that is another one, or ""."""
        now = self.read()
        return next((f"{self._name}.{key}" for k, key in enumerate(self._keys) if not alike(now[k], self.saved[k])), "")


def alike(a: Any, b: Any) -> bool:
    """Tell whether two values are one object, or equal numbers."""
    return a is b or (type(a) is type(b) and type(a) in _NUMBERS and a == b and (a != 0 or str(a) == str(b)))


def _is_trusted(kind: type) -> bool:
    return kind.__module__.split(".")[0] in _TRUSTED and kind.__module__ != "__main__"


def _is_users_module(value: Any) -> bool:
    return isinstance(value, types.ModuleType) and value.__name__.split(".")[0] not in _TRUSTED


def _slots_of(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    return [s for s in ((slots,) if isinstance(slots, str) else slots) if s not in ("__dict__", "__weakref__")]


def _read_slots(value: Any, slots: list[str]) -> list[Any]:
    return [getattr(value, slot, _EMPTY) for slot in slots]


def _read_closure(function: types.FunctionType) -> list[Any]:
    return [*map(_contents, function.__closure__ or ())]


def _read_names(place: Mapping[str, Any], names: list[str]) -> list[Any]:
    return [place.get(name, _EMPTY) for name in names]


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _EMPTY
