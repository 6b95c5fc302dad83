"""What modules are given: plain arrays take the dtype of the weights, and what is no array is named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from ..autograd.tensor import Tensor, as_array, wrap
from ..device import is_array, is_floating
from ..system.messages import foreign
from .parameter import Parameter


class _Module(Protocol):
    def members(self) -> Iterable[tuple[str, Any]]: ...


def dtype_of(module: _Module) -> np.dtype | None:
    """Return the dtype that a module computes in, that of its first floating parameter; None if it has none."""
    return _dtype_in(module.members(), {id(module)})


def _dtype_in(members: Iterable[tuple[Any, Any]], seen: set[int]) -> np.dtype | None:
    """Search as `Module.parameters` does, but no further than the first: this runs at each call with plain arrays."""
    for _, value in members:
        if isinstance(value, Parameter):
            if is_floating(value.dtype):
                return value.dtype
            continue
        if isinstance(value, (int, float, str)):
            continue
        if isinstance(value, (list, tuple)):
            below: Iterable[tuple[Any, Any]] = enumerate(value)
        elif isinstance(value, dict):
            below = value.items()
        elif hasattr(value, "members") and id(value) not in seen:
            seen.add(id(value))
            below = value.members()
        else:
            continue
        dtype = _dtype_in(below, seen)
        if dtype is not None:
            return dtype
    return None


def in_dtype_of(
    module: _Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call with plain floating arrays in the dtype of the module."""
    dtype, cast = None, {}
    for a in (*args, *kwargs.values()):
        if isinstance(a, Tensor) or not is_array(a) or not is_floating(a.dtype):
            continue
        dtype = dtype or dtype_of(module)
        if dtype is None:
            break
        if a.dtype is not dtype and a.dtype != dtype and id(a) not in cast:
            cast[id(a)] = a.astype(dtype)
    if not cast:
        return args, kwargs
    # By identity: one array given twice, as query and key, stays one array.
    return tuple([cast.get(id(a), a) for a in args]), {name: cast.get(id(a), a) for name, a in kwargs.items()}


def as_input(layer: object, x: Any, weight: Tensor | None, name: str = "x") -> Any:
    """Return what a layer is given as what it computes with: a Tensor, or an array in the dtype of its weight.

    Arrays, lists and numbers take the weight's dtype. A Tensor keeps its own, unless it holds integers or flags. Where
    there is no weight all keep theirs.

    Raises:
        TypeError: it is no array of real numbers.
    """
    if isinstance(x, Tensor):
        if weight is None or x._data.dtype is weight._data.dtype or x._data.dtype.kind not in "iub":
            return x
        return wrap(x._data.astype(weight.dtype))
    if type(x) is np.ndarray and weight is not None and x.dtype is weight._data.dtype:
        return x
    who = type(layer).__name__
    if isinstance(x, tuple) and any(is_array(part) or isinstance(part, (Tensor, tuple)) for part in x):
        raise TypeError(
            f"{who}: {name} must be one array, got a tuple of {len(x)}; recurrent layers return (output, state) and "
            "attention (output, weights): pass the first alone"
        )
    if not is_array(x) and not isinstance(x, (list, tuple, int, float, np.generic)):
        raise TypeError(f"{who}: {name} must be an array, got {foreign(x)}")
    try:
        array = as_array(x)
    except TypeError as error:
        raise TypeError(f"{who}: {name}: {error}") from None
    if array.dtype.kind == "c":
        raise TypeError(f"{who}: {name} must hold real numbers, got {array.dtype}")
    return array if weight is None else array.astype(weight.dtype, copy=False)
