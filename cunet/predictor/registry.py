"""What a file may name: layers of cunet.nn, functions of cunet, and what users registered."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

from .. import nn
from ..nn.module import Module
from ..nn.recurrent_dropout import VariationalRates
from ..system.public import origin

T = TypeVar("T", bound=Callable[..., Any])

#: Named tuples that layers keep.
RECORDS: dict[str, Callable[..., Any]] = {"VariationalRates": VariationalRates}
_registered: dict[str, Callable[..., Any]] = {}


def register_layer(name: str) -> Callable[[T], T]:
    """Let a layer class, or a function that stands between layers, be saved under a name: ``@register_layer("mine")``.

    What loads the file registers it too, under the same name: files name layers, they never bring any.

    Args:
        name: of the file's entry, in all programs that share files; not beginning with "cunet.".

    Raises:
        ValueError: something else is registered under it.
        TypeError: it is no class of a `Module` and no function.

    Example:
        >>> @cunet.register_layer("example.Scale")
        ... class Scale(nn.Module):
        ...     def __init__(self, factor=2.0):
        ...         self.factor = nn.Parameter(np.array([factor], np.float32))
        ...     def forward(self, x):
        ...         return x * self.factor
        >>> cunet.save_predictor(Scale(3.0), "scale.safetensors")
        >>> cunet.load_predictor("scale.safetensors")([[2.0]])
        array([[6.]], dtype=float32)
    """
    if not isinstance(name, str) or not name or name.startswith("cunet."):
        raise ValueError(f'register_layer: name must be a string, not beginning with "cunet.", got {name!r}')

    def register(layer: T) -> T:
        is_class = isinstance(layer, type)
        if not callable(layer) or (is_class and not issubclass(layer, Module)):  # type: ignore[arg-type]
            raise TypeError(f"register_layer: a class of a Module or a function is needed, got {layer!r:.80}")
        known = _registered.get(name)
        if known is not None and _place(known) != _place(layer):
            raise ValueError(f"register_layer: {name!r} is {_place(known)} already, got {_place(layer)}")
        _registered[name] = layer  # a notebook's cell may run again
        return layer

    return register


def _place(layer: Any) -> str:
    return f"{layer.__module__}.{getattr(layer, '__qualname__', layer)}"


def name_of(layer: Any) -> str | None:
    """Return the name under which a class or function is saved, None if it has none."""
    for name, known in _registered.items():
        if known is layer:
            return name
    name = getattr(layer, "__name__", "")
    if isinstance(layer, type):
        return f"cunet.nn.{name}" if getattr(nn, name, None) is layer else None
    module = sys.modules.get(getattr(layer, "__module__", ""))
    public = f"{layer.__module__}.{name}" if module is not None else ""
    return public if is_function(layer) and getattr(module, name, None) is layer else None


def is_function(found: Any) -> bool:
    """Tell whether something is a function of arrays of cunet's own."""
    return isinstance(found, FunctionType) and origin(found).startswith("cunet.ops.")


def named(name: Any, kind: type) -> Any:
    """Return the class of a Module (`kind` is type), or the function, of a name.

    Raises:
        ValueError: there is none.
    """
    found: Any = _registered.get(name) if isinstance(name, str) else None
    if found is None and isinstance(name, str):
        module, _, attribute = name.rpartition(".")
        if kind is type and module == "cunet.nn" and attribute in nn.__all__:
            found = getattr(nn, attribute)
        elif kind is not type and module in ("cunet", "cunet.functional", "cunet.linalg", "cunet.fft"):
            found = getattr(sys.modules[module], attribute, None)
            found = found if is_function(found) else None
    right = isinstance(found, type) and issubclass(found, Module) if kind is type else found is not None
    if not right or (kind is not type and isinstance(found, type)):
        raise ValueError(f"{name!r:.80} is no {'layer' if kind is type else 'function'} that is known here")
    return found
