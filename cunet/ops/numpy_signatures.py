"""Ops called with the arguments of NumPy's function of that name: other names, another order, and some more."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from . import array, linalg, products, reduce, selection

Function = Callable[..., Any]


class Unsupported(Exception):
    """An argument that the op does not take."""


def arrays_of(tree: Any) -> Any:
    """Put the arrays of Tensors into nested lists, tuples and dicts."""
    if isinstance(tree, Tensor):
        return tree.data
    if isinstance(tree, dict):
        return {key: arrays_of(value) for key, value in tree.items()}
    return type(tree)(map(arrays_of, tree)) if type(tree) in (list, tuple) else tree


_signature = functools.cache(inspect.signature)


def has_op(function: Function) -> bool:
    """Tell whether there is an op for a function of NumPy."""
    return function in WRITTEN or function in TRANSLATED


def run_op(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run the op for a function of NumPy: arrays by position, all others by name.

    Raises:
        Unsupported: an argument that the op does not take.
    """
    if function in WRITTEN:
        return WRITTEN[function](*args, **kwargs)
    own = TRANSLATED[function]
    signature, known = _signature(function), _signature(own).parameters
    given = signature.bind(*args, **kwargs).arguments
    arrays = [given.pop(key) for key in list(given)[: 2 if "b" in signature.parameters else 1]]
    if function in _REDUCTIONS and given.get("dtype") is not None:
        arrays = [array.astype(x, given.pop("dtype")) for x in arrays]
    static = {}
    for key, value in given.items():
        default = signature.parameters[key].default
        ours = {"indices_or_sections": "sections"}.get(key, key)
        if ours in known:
            static[ours] = value
        elif not (value is default or (isinstance(value, (int, str)) and value == default)):
            raise Unsupported(f"{key}=")
    return own(*arrays, **static)


def _unsupported(**given: Any) -> None:
    for key, value in given.items():
        if value is not None:
            raise Unsupported(f"{key}=")


def _where(condition: Any, *choices: Any) -> Any:
    return selection.where(condition, *choices) if choices else np.nonzero(arrays_of(condition))


def _concatenate(
    arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Tensor:
    _unsupported(out=out, casting=None if casting == "same_kind" else casting)
    y = array.concatenate(arrays, axis)
    return y if dtype is None else array.astype(y, dtype)


def _dot(a: Any, b: Any, out: Any = None) -> Tensor:
    _unsupported(out=out)
    return products.dot(a, b)


def _einsum(*operands: Any, out: Any = None, optimize: Any = False, **others: Any) -> Any:
    """Ignore `optimize`: the op chooses the order of products itself."""
    _unsupported(out=out, **others)
    if not isinstance(operands[0], str):
        raise Unsupported("subscripts in lists")
    return linalg.einsum(*operands)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **others: Any) -> Tensor:
    low, high = others.pop("min", a_min), others.pop("max", a_max)
    _unsupported(out=out, **others)
    return selection.clip(a, low, high)


def _pad(x: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = 0, **others: Any) -> Tensor:
    if mode != "constant":
        raise Unsupported(f"mode={mode!r}")
    _unsupported(**others)
    if np.ndim(constant_values):
        raise Unsupported("constant_values= of more than one number")
    return array.pad(x, pad_width, constant_values)


def _full_like(a: Any, fill_value: Any, *args: Any, **kwargs: Any) -> Any:
    if isinstance(fill_value, Tensor):
        raise Unsupported("Tensor to fill with; use cunet.broadcast_to")
    return np.full_like(arrays_of(a), fill_value, *args, **kwargs)


def _ravel(a: Any) -> Tensor:
    return array.reshape(a, (-1,))


def _moveaxis(a: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    # The axes of an array whose axis k has length k tell where each went.
    return array.transpose(a, np.moveaxis(np.empty(tuple(range(a.ndim))), source, destination).shape)


def _split(ary: Any, sections: Any, axis: int = 0) -> list[Tensor]:
    return list(array.split(ary, sections, axis))


def _vstack(tup: Any) -> Tensor:
    return array.concatenate([array.reshape(x, (1, -1)) if x.ndim < 2 else x for x in map(_lifted, tup)])


def _hstack(tup: Any) -> Tensor:
    parts = [array.reshape(x, (1,)) if x.ndim < 1 else x for x in map(_lifted, tup)]
    return array.concatenate(parts, axis=0 if parts[0].ndim == 1 else 1)


def _lifted(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x)


#: Functions whose arguments need arranging, called as NumPy's.
WRITTEN: dict[Function, Function] = {
    np.clip: _clip,
    np.concatenate: _concatenate,
    np.dot: _dot,
    np.einsum: _einsum,
    np.full_like: _full_like,
    np.inner: products.inner,
    np.pad: _pad,
    np.where: _where,
}

#: Functions that compute in the dtype they are given.
_REDUCTIONS: dict[Function, Function] = {
    np.amax: reduce.max,
    np.amin: reduce.min,
    np.cumsum: reduce.cumsum,
    np.max: reduce.max,
    np.mean: reduce.mean,
    np.min: reduce.min,
    np.prod: reduce.prod,
    np.std: reduce.std,
    np.sum: reduce.sum,
    np.var: reduce.var,
}

#: Functions that are the op of that name, but for keywords.
TRANSLATED: dict[Function, Function] = _REDUCTIONS | {
    np.broadcast_to: array.broadcast_to,
    np.diagonal: array.diagonal,
    np.expand_dims: array.expand_dims,
    np.flip: array.flip,
    np.hstack: _hstack,
    np.moveaxis: _moveaxis,
    np.outer: products.outer,
    np.ravel: _ravel,
    np.repeat: array.repeat,
    np.reshape: array.reshape,
    np.split: _split,
    np.squeeze: array.squeeze,
    np.stack: array.stack,
    np.swapaxes: array.swapaxes,
    np.tensordot: products.tensordot,
    np.tile: array.tile,
    np.transpose: array.transpose,
    np.vstack: _vstack,
}
if hasattr(np, "astype"):  # from NumPy 2.1 on
    TRANSLATED[np.astype] = array.astype
