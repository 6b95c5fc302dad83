"""Models as plain JSON: classes by name, attributes as they are, tensors by the names of a state dict."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, is_array
from ..nn.module import Module
from ..nn.parameter import FirstValues, Parameter, UninitializedParameter
from ..random import Generator
from ..system.messages import shown
from .registry import RECORDS, name_of, named

#: What only draws first values or masks: a file has nothing of it.
_FORGOTTEN = (FirstValues, Generator)


class Unsaved(ValueError):
    """Something in a model that has no form in a file."""


class Description:
    """A model as JSON, and the arrays in it by name.

    Attributes:
        root: what `build` takes: numbers, strings, None and lists as they are, all else a dict with one key that says
            what it is.
        arrays: by name.
    """

    def __init__(self, model: Module) -> None:
        self.arrays: dict[str, Array] = {}
        self._names = {id(x): name for name, x in model._walk("", set()) if isinstance(x, Tensor)}
        self._modules: dict[int, int] = {}
        self.root = self._module("", model)

    def _module(self, path: str, module: Module) -> Any:
        if id(module) in self._modules:  # one that stands in several places stays one
            return {"same": self._modules[id(module)]}
        name = name_of(type(module))
        if name is None:
            raise Unsaved(
                f"{path or 'the model'} is a {type(module).__name__}, which is not registered: put "
                f'@cunet.register_layer("{type(module).__name__}") above its class'
            )
        self._modules[id(module)] = len(self._modules)
        state = {
            key: self._value(path if key == "_items" else f"{path}.{key}".lstrip("."), value)  # as `state_dict` names
            for key, value in vars(module).items()
        }
        return {"layer": name, "state": state}

    def _value(self, path: str, value: Any) -> Any:
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, (int, np.integer)):
            return int(value)
        if isinstance(value, (float, np.floating)):
            return float(value) if math.isfinite(value) else {"float": repr(float(value))}
        if isinstance(value, Module):
            return self._module(path, value)
        if isinstance(value, Tensor):
            return self._tensor(path, value)
        if is_array(value):
            return {"array": self._kept(f"{path}#", value)}
        if isinstance(value, _FORGOTTEN):
            return None
        if isinstance(value, dict):
            return {
                "dict": [[self._value(path, k), self._value(f"{path}.{k}".lstrip("."), v)] for k, v in value.items()]
            }
        if isinstance(value, (list, tuple, frozenset, set)):
            return self._several(path, value)
        return self._function(path, value)

    def _tensor(self, path: str, tensor: Tensor) -> Any:
        if isinstance(tensor, UninitializedParameter) and not tensor.size:
            raise Unsaved(f"{path} waits for its first input to have a shape; call the model once")
        if not tensor.is_leaf:
            raise Unsaved(f"{path} is a result of recorded ops; keep its detach()")
        name = self._kept(self._names.get(id(tensor), path), tensor.data)
        if isinstance(tensor, Parameter):
            return {"parameter": name, "trained": tensor.requires_grad}
        return {"buffer": name}

    def _kept(self, name: str, array: Array) -> str:
        self.arrays[name] = array
        return name

    def _several(self, path: str, values: Any) -> Any:
        parts = [self._value(f"{path}.{k}", v) for k, v in enumerate(sorted(values) if _is_set(values) else values)]
        if type(values) is list:
            return parts
        kind = type(values).__name__
        if kind in RECORDS and RECORDS[kind] is type(values):
            return {"record": kind, "values": parts}
        if type(values) not in (tuple, frozenset, set):
            raise Unsaved(f"{path} is a {kind}, which has no form in a file")
        return {kind: parts}

    def _function(self, path: str, value: Any) -> Any:
        if isinstance(value, functools.partial):
            given = self._value(path, dict(value.keywords))
            return {
                "partial": self._function(path, value.func),
                "args": self._value(path, value.args),
                "options": given,
            }
        if isinstance(value, (np.dtype, type)) and _is_dtype(value):
            return {"dtype": np.dtype(value).name}
        name = name_of(value)
        if name is None:
            what = getattr(value, "__qualname__", shown(value))
            raise Unsaved(
                f"{path} is {what}, which has no form in a file; a function of your own is registered by "
                '@cunet.register_layer("its name")'
            )
        return {"function": name}


def _is_set(values: Any) -> bool:
    return isinstance(values, (set, frozenset))


def _is_dtype(value: Any) -> bool:
    return isinstance(value, np.dtype) or issubclass(value, (np.generic, bool, int, float))


class Builder:
    """Makes a model of a description again; no constructor runs, so nothing is drawn.

    Args:
        arrays: of the file, by name.
    """

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self._arrays, self._used = arrays, set[str]()
        self._tensors: dict[str, Tensor] = {}
        self._modules: list[Module] = []

    def model(self, root: Any) -> Module:
        """Return the model.

        Raises:
            ValueError: the description is broken, or names what is not known.
        """
        made = self._value(root)
        if not isinstance(made, Module):
            raise ValueError("the description is no layer's")
        unused = sorted(self._arrays.keys() - self._used)
        if unused:
            raise ValueError(f"no layer has the arrays {', '.join(unused[:5])}")
        return made

    def _value(self, found: Any) -> Any:
        if isinstance(found, list):
            return [self._value(part) for part in found]
        if not isinstance(found, dict):
            return found
        kind = next(iter(found), "")
        make = getattr(self, f"_of_{kind}", None) if isinstance(kind, str) and kind.isalpha() else None
        if make is None:
            raise ValueError(f"{kind!r:.80} is no kind of value")
        return make(found[kind], found)

    def _of_layer(self, name: Any, found: dict[str, Any]) -> Module:
        kind, state = named(name, type), found.get("state")
        module: Module = kind.__new__(kind)
        self._modules.append(module)
        if not isinstance(state, dict):
            raise ValueError(f"layer {name!r} has no state")
        for key, value in state.items():
            if key.startswith("__") or callable(getattr(kind, key, None)):
                raise ValueError(f"{key!r:.80} is no attribute of {name!r} that a file may set")
            vars(module)[key] = self._value(value)
        return module

    def _of_same(self, number: Any, found: Any) -> Module:
        if not isinstance(number, int) or not 0 <= number < len(self._modules):
            raise ValueError(f"there is no layer {number!r:.80} before this one")
        return self._modules[number]

    def _of_parameter(self, name: Any, found: dict[str, Any]) -> Tensor:
        return self._tensor(name, lambda array: Parameter(array, bool(found.get("trained", True))))

    def _of_buffer(self, name: Any, found: Any) -> Tensor:
        return self._tensor(name, Tensor)

    def _tensor(self, name: Any, make: Any) -> Tensor:
        if name not in self._tensors:  # a tied weight stays one
            self._tensors[name] = make(self._of_array(name, None))
        return self._tensors[name]

    def _of_array(self, name: Any, found: Any) -> np.ndarray:
        if not isinstance(name, str) or name not in self._arrays:
            raise ValueError(f"there is no array {name!r:.80}")
        self._used.add(name)
        return self._arrays[name]

    def _of_float(self, text: Any, found: Any) -> float:
        return float(text)

    def _of_dict(self, pairs: Any, found: Any) -> dict[Any, Any]:
        return {self._value(key): self._value(value) for key, value in pairs}

    def _of_tuple(self, parts: Any, found: Any) -> tuple[Any, ...]:
        return tuple(self._value(parts))

    def _of_frozenset(self, parts: Any, found: Any) -> frozenset[Any]:
        return frozenset(self._value(parts))

    def _of_set(self, parts: Any, found: Any) -> set[Any]:
        return set(self._value(parts))

    def _of_record(self, name: Any, found: dict[str, Any]) -> Any:
        if name not in RECORDS:
            raise ValueError(f"{name!r:.80} is no record that is known here")
        return RECORDS[name](*self._value(found["values"]))

    def _of_dtype(self, name: Any, found: Any) -> np.dtype:
        return np.dtype(str(name))

    def _of_function(self, name: Any, found: Any) -> Any:
        return named(name, object)

    def _of_partial(self, function: Any, found: dict[str, Any]) -> Any:
        return functools.partial(self._value(function), *self._value(found["args"]), **self._value(found["options"]))
