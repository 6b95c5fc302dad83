"""Operands of one call, brought together."""

from __future__ import annotations

from typing import Any

from ..autograd.mapped import Mapped
from ..autograd.tensor import Tensor, beside
from ..device import Array, array_module, is_array


def lifted(x: Any, *others: Any) -> Any:
    """Return a Tensor, or what stands for one: what is neither becomes one, that can meet `others`."""
    return x if isinstance(x, (Tensor, Mapped)) else Tensor(beside(x, *others))


def alike(*operands: Any) -> list[Array]:
    """Return operands as arrays of the dtype that NumPy would compute them in."""
    xp = array_module(*operands)
    dtype = xp.result_type(*operands)
    return [a.astype(dtype, copy=False) if is_array(a) else xp.full((), a, dtype) for a in operands]


def converted(x: Array, dtype: Any) -> Array:
    """Return the elements in the dtype to compute in; None: their own."""
    return x if dtype is None else x.astype(dtype, copy=False)


def like_gradient(gy: Array, a: Any) -> Array:
    """Return an array of the dtype of `gy`; NumPy makes numbers of arrays of no axis."""
    a = a if is_array(a) else array_module(gy).asarray(a)
    return a if a.dtype == gy.dtype else a.astype(gy.dtype)
