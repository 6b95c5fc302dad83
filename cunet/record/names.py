"""What a function asks for by name, and whether a replay could do without asking."""

from __future__ import annotations

import dis
import sys
import types
from collections.abc import Iterator
from typing import Any

_SPEAKING = {"print", "input", "open"}
#: Arrays of a step that is recorded cannot be handed to the system: such a call would fail, not only be left out.
_WRITING = {"tofile", "save", "savez", "savez_compressed", "savetxt", "dump", "write", "writelines", "sendall"}
_DRAWING = {"default_rng", "RandomState", "SeedSequence"}  # of what is made anew there is no state to compare
#: Of Python's library what answers the same each time, and does nothing. Of `random` the state is compared.
_PURE = {
    "__future__", "_collections_abc", "abc", "array", "bisect", "builtins", "cmath", "collections", "contextlib",
    "copy", "dataclasses", "decimal", "enum", "fractions", "functools", "heapq", "itertools", "math", "numbers",
    "operator", "random", "re", "statistics", "string", "types", "typing",
}  # fmt: skip
#: Where objects come from that act, or answer, otherwise each time.
_ACTING = {
    "_contextvars", "_csv", "_io", "_queue", "asyncio", "contextvars", "io", "logging", "multiprocessing", "queue",
    "random", "socket", "sqlite3", "subprocess", "tempfile", "threading",
}  # fmt: skip


def names_in(code: types.CodeType) -> Iterator[str]:
    """Yield the names that code and the functions in it may look up in their module."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_in(constant)


def outward(function: types.FunctionType, names: list[str]) -> str:
    """Return what a function with these names in it does that a replay would not, or ""."""
    inside = function.__globals__
    spoken = sorted((_SPEAKING | _WRITING | _DRAWING) & set(names) - inside.keys())
    if spoken:
        return f"{function.__qualname__} calls {spoken[0]}, which a replay would not"
    asked = [_origin(inside[name]) for name in names if name in inside]
    if any(name in sys.stdlib_module_names and name not in inside for name in names):
        asked += _imported(function.__code__)
    for module in asked:
        if module in sys.stdlib_module_names and module not in _PURE:
            return f"{function.__qualname__} asks {module}, which a replay would not"
    return ""


def acts(value: object) -> bool:
    """Tell whether an object is of a kind that acts, or answers, otherwise each time; or a function that does."""
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
        return _origin(value) in sys.stdlib_module_names - _PURE
    return type(value).__module__.split(".")[0] in _ACTING


def _origin(value: Any) -> str:
    """Return the top of the module that something is, or that defines it."""
    name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return name.split(".")[0] if isinstance(name, str) else ""


def _imported(code: types.CodeType) -> list[str]:
    """Return the modules that code imports when it runs."""
    found = [str(i.argval).split(".")[0] for i in dis.get_instructions(code) if i.opname == "IMPORT_NAME"]
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return found + [module for part in inner for module in _imported(part)]
