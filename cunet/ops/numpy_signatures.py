"""Ops called with the arguments of NumPy's function of that name: other names, another order, and some more."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from . import array, cumulative, numpy_arithmetic, products, rearrange, reduce, rounding, selection, sorting
from .einsum import einsum
from .numpy_arguments import Unsupported, arrays_of, unsupported
from .numpy_calculus import CALCULUS
from .numpy_fft import FFT, SHIFTS
from .numpy_linalg import COMPOSED, LINALG
from .numpy_shapes import SHAPES
from .numpy_statistics import STATISTICS

Function = Callable[..., Any]


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
    static = {}
    for key, value in given.items():
        default = signature.parameters[key].default
        if key in known:
            static[key] = value
        elif not (value is default or (isinstance(value, (int, str)) and value == default)):
            raise Unsupported(f"{key}=")
    return own(*arrays, **static)


def _where(condition: Any, *choices: Any) -> Any:
    return selection.where(condition, *choices) if choices else np.nonzero(arrays_of(condition, "np.where"))


def _concatenate(
    arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Tensor:
    unsupported(out=out, casting=None if casting == "same_kind" else casting)
    y = array.concatenate(arrays, axis)
    return y if dtype is None else array.astype(y, dtype)


def _dot(a: Any, b: Any, out: Any = None) -> Tensor:
    unsupported(out=out)
    return products.dot(a, b)


def _einsum(*operands: Any, out: Any = None, optimize: Any = False, **others: Any) -> Any:
    """Ignore `optimize`: the op chooses the order of products itself."""
    unsupported(out=out, **others)
    if isinstance(operands[0], str):
        return einsum(*operands)
    subscripts = [_letters(axes) for axes in operands[1::2]]
    result = "->" + _letters(operands[-1]) if len(operands) % 2 else ""
    return einsum(",".join(subscripts) + result, *operands[: len(operands) // 2 * 2 : 2])


def _letters(axes: Any) -> str:
    """Return the subscripts of a list of axes."""
    return "".join("..." if axis is Ellipsis else chr(axis + (97 if axis < 26 else 39)) for axis in axes)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **others: Any) -> Tensor:
    low, high = others.pop("min", a_min), others.pop("max", a_max)
    unsupported(out=out, **others)
    return selection.clip(a, low, high)


def _sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Tensor:
    """Ignore `kind` and `stable`: the op's sort is stable."""
    unsupported(order=order)
    return sorting.sort(a, axis)


def _full_like(a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", *args: Any, **kwargs: Any) -> Any:
    if not isinstance(fill_value, Tensor):
        return np.full_like(arrays_of(a, "np.full_like"), fill_value, dtype, order, *args, **kwargs)
    unsupported(order=None if order in ("K", "C") else order, shape=kwargs.get("shape"))
    like = arrays_of(a, "np.full_like")
    return array.broadcast_to(array.astype(fill_value, dtype or like.dtype), like.shape)


def _ravel(a: Any) -> Tensor:
    return array.reshape(a, (-1,))


#: Functions whose arguments need arranging, called as NumPy's.
WRITTEN: dict[Function, Function] = {
    np.clip: _clip,
    np.concatenate: _concatenate,
    np.dot: _dot,
    np.einsum: _einsum,
    np.full_like: _full_like,
    np.inner: products.inner,
    np.sort: _sort,
    np.where: _where,
}

#: Functions that are the op of that name, but for keywords.
TRANSLATED: dict[Function, Function] = {
    np.amax: reduce.max,
    np.amin: reduce.min,
    np.around: rounding.round,
    np.broadcast_to: array.broadcast_to,
    np.cumprod: cumulative.cumprod,
    np.cumsum: cumulative.cumsum,
    np.diag: rearrange.diag,
    np.diagonal: rearrange.diagonal,
    np.diff: rearrange.diff,
    np.expand_dims: array.expand_dims,
    np.fix: rounding.trunc,
    np.flip: array.flip,
    np.hstack: rearrange.hstack,
    np.max: reduce.max,
    np.mean: reduce.mean,
    np.median: sorting.median,
    np.min: reduce.min,
    np.moveaxis: rearrange.moveaxis,
    np.nan_to_num: selection.nan_to_num,
    np.outer: products.outer,
    np.prod: reduce.prod,
    np.ravel: _ravel,
    np.repeat: array.repeat,
    np.reshape: array.reshape,
    np.roll: rearrange.roll,
    np.round: rounding.round,
    np.squeeze: array.squeeze,
    np.stack: array.stack,
    np.std: reduce.std,
    np.sum: reduce.sum,
    np.swapaxes: array.swapaxes,
    np.take_along_axis: sorting.take_along_axis,
    np.tensordot: products.tensordot,
    np.tile: array.tile,
    np.trace: rearrange.trace,
    np.transpose: array.transpose,
    np.tril: rearrange.tril,
    np.triu: rearrange.triu,
    np.var: reduce.var,
    np.vstack: rearrange.vstack,
}
TRANSLATED |= LINALG | FFT
WRITTEN |= SHAPES | CALCULUS | STATISTICS | numpy_arithmetic.FUNCTIONS | COMPOSED | SHIFTS
if hasattr(np, "astype"):  # from NumPy 2.1 on
    TRANSLATED[np.astype] = array.astype
