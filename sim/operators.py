"""Gives the array type its operators, and those methods and attributes that both CuPy and NumPy have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy
import numpy as np

from . import calls
from .array import SCALARS, ndarray, wrap

BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
UNARY = {"neg": "negative", "abs": "absolute", "invert": "invert", "pos": "positive"}


def complete(functions: Any) -> None:
    """Finish `ndarray`; `functions` is the namespace that holds the device's functions."""
    for short, name in BINARY.items():
        own = getattr(functions, name)
        setattr(ndarray, f"__{short}__", _binary(own, lambda own, x, y: own(x, y)))
        setattr(ndarray, f"__r{short}__", _binary(own, lambda own, x, y: own(y, x)))
        setattr(ndarray, f"__i{short}__", _binary(own, lambda own, x, y: own(x, y, out=x)))
    for short, name in COMPARISONS.items():
        setattr(ndarray, f"__{short}__", _binary(getattr(functions, name), _compare))
    for short, name in UNARY.items():
        setattr(ndarray, f"__{short}__", _unary(getattr(functions, name)))
    for name in dir(cupy.ndarray):
        if not name.startswith("_") and name not in vars(ndarray) and hasattr(np.ndarray, name):
            is_method = callable(getattr(np.ndarray, name))
            setattr(ndarray, name, _method(name) if is_method else _attribute(name))


def _binary(own: Any, apply: Callable[[Any, ndarray, Any], Any]) -> Callable[[ndarray, Any], Any]:
    """Return an operator; it gives way to other types by the rules that CuPy follows (NEP 13)."""

    def operator(self: ndarray, other: Any) -> Any:
        if isinstance(other, (ndarray, np.ndarray, *SCALARS)):
            return apply(own, self, other)
        theirs = getattr(type(other), "__array_ufunc__", own)
        priority = getattr(other, "__array_priority__", 0)
        if theirs is None or (theirs is own and priority > ndarray.__array_priority__):
            return NotImplemented
        if theirs is own:
            raise TypeError(f"Unsupported type {type(other)}")
        return apply(getattr(np, own.__name__), self, other)  # NumPy asks both sides

    return operator


def _unary(own: Any) -> Callable[[ndarray], Any]:
    return lambda self: own(self)


def _compare(own: Any, x: ndarray, y: Any) -> Any:
    return own(x, y.item() if isinstance(y, np.ndarray) and y.ndim == 0 else y)


def _method(name: str) -> Any:
    function = calls.make_function(name, getattr(cupy.ndarray, name), getattr(np.ndarray, name))

    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = name
    return method


def _attribute(name: str) -> property:
    def read(self: ndarray) -> Any:
        value = getattr(self._a, name)
        return wrap(value, self) if isinstance(value, np.ndarray) else value

    return property(read)
