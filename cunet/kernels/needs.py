"""Which kernels and hand-written functions a function may call, as far as the names in its code tell."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Iterable, Iterator
from functools import partial
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from .backends.native import functions, native
from .dispatch import Kernel
from .spec import Definition, Plainly

Need = Definition | str
#: Where the library's functions are looked into: the engine would lead everywhere.
_FOLLOWED = (
    "cunet.ops.", "cunet.nn.",
    *(f"cunet.kernels.backends.native.{name}" for name in ("convolution", "pooling", "products", "recurrence")),
)  # fmt: skip
#: Whose kernels take the place of NumPy while a step is recorded, and not before.
_RECORDED = "cunet.kernels.capture"
#: What is looked into.
LOOKED_INTO = (Kernel, FunctionType, type, partial)
_known: weakref.WeakKeyDictionary[Any, tuple[list[Need], list[Need]]] = weakref.WeakKeyDictionary()


def needs(roots: Iterable[Any]) -> list[Need]:
    """Return the library's kernels, and names of hand-written functions, that may be run; ways back come last.

    Args:
        roots: functions, classes whose methods count, and kernels.
    """
    soon, later = _soon_and_later(roots)
    return [*soon, *later]


def _soon_and_later(roots: Iterable[Any]) -> tuple[list[Need], list[Need]]:
    """Return what `needs` does: what is run forward, and what ways back run besides."""
    found = [_known.get(root) or _known.setdefault(root, _needs_of(root)) for root in dict.fromkeys(roots)]
    soon, later = (dict.fromkeys(need for pair in found for need in pair[back]) for back in (False, True))
    return list(soon), [need for need in later if need not in soon]


def compile_ahead(roots: Iterable[Any], char: str, at_once: bool = False) -> None:
    """Compile in the background what `needs` finds, for float32 ("f") or float64 ("d"); see `Native.expect`."""
    for later, found in enumerate(_soon_and_later(roots)):
        names = [need for need in found if isinstance(need, str)] if char in "fd" else []
        kernels = [need for need in found if not isinstance(need, str)]
        native.expect(kernels, char, at_once, [functions.unit(name, char) for name in names], bool(later))


def _needs_of(root: Any) -> tuple[list[Need], list[Need]]:
    """Return what is run by the code of `root` itself, and by functions that are made within, such as vjps."""
    home = str(getattr(root, "__module__", "")).partition(".")[0]
    found: tuple[list[Need], list[Need]] = ([], [])
    seen: set[int] = set()
    queues: tuple[list[Any], list[Any]] = ([root], [])
    while queues[0] or queues[1]:
        later = not queues[0]
        value = queues[later].pop(0)
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, str) or (isinstance(value, Kernel) and value.ours and value.spec.module != _RECORDED):
            found[later].append(value)
        for inner, other in _named_by(value, home):
            queues[later or inner].append(other)
    return found


def _named_by(value: Any, home: str) -> Iterator[tuple[bool, Any]]:
    """Yield what something names: first what its own code does (False), then what functions within it do (True)."""
    others: list[Any] = []
    if isinstance(value, Kernel):
        body = value.body if value.spec.kind in ("primitive", "rowwise") else None  # what is compiled has no need of it
        attached = value.attached.get("native")
        others = [body, attached.function if isinstance(attached, Plainly) else attached]
    elif isinstance(value, partial):
        others = [value.func, *value.keywords.values()]
    elif isinstance(value, type) and _is_followed(value.__module__, home):
        others = [_function_of(part) for base in value.__mro__ for part in vars(base).values()]
    elif isinstance(value, FunctionType):
        function = inspect.unwrap(value)
        if _is_followed(function.__globals__.get("__name__", ""), home):
            others = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
            yield from _named_in(function.__code__, function.__globals__, False)
    yield from ((False, other) for other in others if isinstance(other, LOOKED_INTO))


def _named_in(code: CodeType, names: dict[str, Any], inner: bool) -> Iterator[tuple[bool, Any]]:
    for name in code.co_names:
        value = names.get(name)
        if isinstance(value, ModuleType) and value.__name__.startswith("cunet"):
            members = (getattr(value, other, None) for other in code.co_names)
            yield from ((inner, member) for member in members if isinstance(member, LOOKED_INTO))
        elif isinstance(value, LOOKED_INTO):
            yield inner, value
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _named_in(constant, names, True)
        elif isinstance(constant, str) and constant in functions.SOURCES:
            yield inner, constant


def _function_of(part: Any) -> Any:
    """Return the function in a property, a static method or a class method."""
    if isinstance(part, property):
        return part.fget
    return part.__func__ if isinstance(part, (staticmethod, classmethod)) else part


def _is_followed(module: str, home: str) -> bool:
    """Tell whether to look into what a module defines: the user's own code, and the library's where ops are made."""
    return module.startswith(_FOLLOWED) if module.startswith("cunet.") else module.partition(".")[0] == home


def _is_filled(cell: CellType) -> bool:
    try:
        return bool(cell.cell_contents) or True
    except ValueError:  # a function that names itself, not yet made
        return False
