"""What modules are given: plain arrays take the dtype of the weights, and what is no array is named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from ..autograd.tensor import Tensor, as_array, wrap
from ..device import is_array, is_floating
from ..system.messages import foreign


class _HasParameters(Protocol):
    def parameters(self) -> Iterable[Tensor]: ...


def dtype_of(module: _HasParameters) -> np.dtype | None:
    """Return the dtype that a module computes in, that of its first floating parameter; None if it has none."""
    for parameter in module.parameters():
        if is_floating(parameter.dtype):
            return parameter.dtype
    return None


def in_dtype_of(
    module: _HasParameters, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call with plain floating arrays in the dtype of the module."""
    for a in args:
        if type(a) is not Tensor:
            break
    else:
        if not kwargs:
            return args, kwargs
    plain = {id(a): a for a in (*args, *kwargs.values()) if is_array(a) and is_floating(a.dtype)}
    dtype = dtype_of(module) if plain else None
    if dtype is None or all(a.dtype == dtype for a in plain.values()):
        return args, kwargs
    # By identity: one array given twice, as query and key, stays one array.
    cast = {key: a.astype(dtype, copy=False) for key, a in plain.items()}
    return tuple([cast.get(id(a), a) for a in args]), {name: cast.get(id(a), a) for name, a in kwargs.items()}


def as_input(layer: object, x: Any, weight: Tensor | None, name: str = "x") -> Any:
    """Return what a layer is given as what it computes with: a Tensor, or an array in the dtype of its weight.

    Arrays, lists and numbers take the weight's dtype. A Tensor keeps its own, unless it holds integers or flags. Where
    there is no weight all keep theirs.

    Raises:
        TypeError: it is no array of real numbers.
    """
    if isinstance(x, Tensor):
        if weight is None or x._data.dtype.kind not in "iub":
            return x
        return wrap(x._data.astype(weight.dtype))
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
