"""The public face of a package: one statement of each name, `__all__` and `dir()` follow from it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

#: For each published function the module that defines it.
_ORIGINS: dict[Any, str] = {}


def publish(module: str, *others: str) -> tuple[list[str], Callable[[], list[str]]]:
    """Return `__all__` and `__dir__` of a module of re-exports: ``__all__, __dir__ = publish(__name__)`` at its end.

    Its public names are those of functions and classes that it imports (``from .adam import Adam as Adam``, which type
    checkers too read as public). Each function gets the module as its `__module__`, so that `help` and pickles name the
    place that users import it from; what an inner package published before keeps its own. Classes keep the module that
    defines them: `inspect.getsource` looks there for them.

    Args:
        module: name of the module.
        others: its public names of anything else: submodules, constants.
    """
    namespace = vars(sys.modules[module])
    exports = {n: v for n, v in namespace.items() if isinstance(v, (FunctionType, type)) and not n.startswith("_")}
    for value in exports.values():
        if isinstance(value, FunctionType):
            _adopt(value, module)
    names = sorted({*exports, *others})
    return names, lambda: [*names, *[name for name in namespace if name.startswith("__") and name not in names]]


def _adopt(function: FunctionType, module: str) -> None:
    """Have a function name the module as its own, but for one that another has published."""
    if function not in _ORIGINS:
        _ORIGINS[function] = function.__module__
        function.__module__ = module


def later(module: str, rooms: Mapping[str, str], otherwise: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return `__getattr__` of a package that loads some of its modules when they are first asked for.

    Args:
        module: name of the package.
        rooms: names that are loaded so, each with the module that it is of; "" for a module itself.
        otherwise: what answers for any other name.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 (a module's own)
        if name not in rooms:
            return otherwise(name)
        if not (room := rooms[name]):
            return importlib.import_module(f"{module}.{name}")
        value = getattr(importlib.import_module(f"{module}.{room}"), name)
        if isinstance(value, FunctionType):
            _adopt(value, module)
        setattr(sys.modules[module], name, value)  # so that it is not asked for again
        return value

    return __getattr__


def renamed(module: str, **names: str) -> Callable[[str], Any]:
    """Return `__getattr__` of a module of re-exports: its error for a name of old says the name of today."""

    def __getattr__(name: str) -> Any:  # noqa: N807 (a module's own)
        if name in names:
            raise AttributeError(f"there is no {module}.{name}; it is called {names[name]}", name=name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name, obj=sys.modules[module])

    return __getattr__


def origin(value: Any) -> str:
    """Return the name of the module that defines something, wherever it is published."""
    published = isinstance(value, FunctionType) and value in _ORIGINS
    return _ORIGINS[value] if published else getattr(value, "__module__", None) or ""
