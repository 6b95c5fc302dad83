"""What modules are given: plain arrays take the dtype of the weights, and what is no array is named."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.mapped import Mapped
from ..autograd.tensor import Tensor, as_array, wrap
from ..device import is_array, is_floating
from ..system.messages import foreign


def dtype_of(module: Any) -> np.dtype | None:
    """Return the dtype in which a module wants data, that of the first floating array of its state; None for none.

    A model that begins with a scaler wants float64: what the scaler makes of the data then takes the weights' dtype.
    """
    return next((tensor.dtype for _, tensor in module._tensors(state=True) if is_floating(tensor.dtype)), None)


def as_input(layer: object, x: Any, weight: Tensor | None, name: str = "x") -> Any:
    """Return what a layer is given as what it computes with: a Tensor, or an array in the dtype of its weight.

    Arrays, lists and numbers take the weight's dtype, and so do Tensors that hold integers or flags, or are float64 and
    need no gradient: they were made of NumPy's data. Other Tensors keep theirs, and all do where there is no weight.

    Raises:
        TypeError: it is no array of real numbers.
    """
    if isinstance(x, Tensor):
        if weight is None or x._requires_grad:
            return x
        dtype = x._data.dtype
        if dtype is weight._data.dtype or dtype.kind not in "iubf":
            return x
        wide = dtype.kind != "f" or dtype.itemsize > 4
        return wrap(x._data.astype(weight.dtype, copy=False)) if wide else x
    if type(x) is np.ndarray and weight is not None and x.dtype is weight._data.dtype:
        return x
    if isinstance(x, Mapped):
        if weight is None or x.requires_grad or (is_floating(x.dtype) and x.dtype.itemsize <= 4):
            return x
        return x.astype(weight.dtype, copy=False)
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


def agreeing(*arrays: Any) -> list[Any]:
    """Return what a loss or a distance is given, plain floating arrays in the dtype of the first floating Tensor."""
    tensor = next((a for a in arrays if isinstance(a, Tensor) and is_floating(a.dtype)), None)
    if tensor is None:
        return list(arrays)
    return [a.astype(tensor.dtype, copy=False) if is_array(a) and is_floating(a.dtype) else a for a in arrays]
