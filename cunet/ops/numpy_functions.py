"""NumPy's functions on Tensors: each runs the op of its name, so that code written for arrays differentiates.

Where there is no such op, or it does not take a keyword, NumPy computes on the arrays of the Tensors and gives an
array; while a gradient is recorded, which that array would not have, it is refused. What gives no numbers of its own
(comparisons, shapes, indices) gives an array always.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..autograd.op import is_op
from ..autograd.tape import is_recording
from ..autograd.tensor import Tensor
from ..device import is_array
from . import array, cumulative, linalg, math, numpy_arithmetic, pairwise, reduce, rounding, selection, trigonometry
from .numpy_arguments import Unsupported, arrays_of
from .numpy_signatures import has_op, run_op

Function = Callable[..., Any]

UFUNCS: dict[np.ufunc, Function] = {
    np.absolute: selection.abs,
    np.add: math.add,
    np.arccos: trigonometry.arccos,
    np.arccosh: trigonometry.arccosh,
    np.arcsin: trigonometry.arcsin,
    np.arcsinh: trigonometry.arcsinh,
    np.arctan: trigonometry.arctan,
    np.arctan2: pairwise.arctan2,
    np.arctanh: trigonometry.arctanh,
    np.ceil: rounding.ceil,
    np.cos: trigonometry.cos,
    np.cosh: trigonometry.cosh,
    np.divide: math.divide,
    np.divmod: rounding.divmod,
    np.exp: math.exp,
    np.exp2: math.exp2,
    np.expm1: math.expm1,
    np.fabs: selection.abs,
    np.floor: rounding.floor,
    np.floor_divide: rounding.floor_divide,
    np.hypot: pairwise.hypot,
    np.log: math.log,
    np.log10: math.log10,
    np.log1p: math.log1p,
    np.log2: math.log2,
    np.logaddexp: pairwise.logaddexp,
    np.matmul: linalg.matmul,
    np.maximum: selection.maximum,
    np.minimum: selection.minimum,
    np.multiply: math.multiply,
    np.negative: math.negative,
    np.power: math.power,
    np.reciprocal: math.reciprocal,
    np.remainder: rounding.remainder,
    np.rint: rounding.round,
    np.sign: rounding.sign,
    np.sin: trigonometry.sin,
    np.sinh: trigonometry.sinh,
    np.sqrt: math.sqrt,
    np.square: math.square,
    np.subtract: math.subtract,
    np.tan: trigonometry.tan,
    np.tanh: math.tanh,
    np.trunc: rounding.trunc,
}
UFUNCS |= numpy_arithmetic.UFUNCS

#: What a method of a ufunc computes; its axis is the first if none is given.
METHODS: dict[tuple[np.ufunc, str], Function] = {
    (np.add, "reduce"): reduce.sum,
    (np.add, "accumulate"): cumulative.cumsum,
    (np.multiply, "accumulate"): cumulative.cumprod,
    (np.multiply, "reduce"): reduce.prod,
    (np.maximum, "reduce"): reduce.max,
    (np.minimum, "reduce"): reduce.min,
}

_CONSTANT_UFUNCS = (
    "equal greater greater_equal isfinite isinf isnan less less_equal logical_and logical_not logical_or logical_xor "
    "not_equal signbit"
)
_CONSTANT_FUNCTIONS = (
    "all allclose any argmax argmin argpartition argsort argwhere array2string array_equal array_equiv "
    "array_repr array_str can_cast common_type count_nonzero digitize empty_like flatnonzero iscomplex iscomplexobj "
    "isclose isin isneginf isposinf isreal isrealobj lexsort may_share_memory min_scalar_type nanargmax nanargmin ndim "
    "nonzero ones_like result_type searchsorted shape shares_memory size tril_indices_from triu_indices_from zeros_like"
)
CONSTANT = {getattr(np, name) for name in f"{_CONSTANT_UFUNCS} {_CONSTANT_FUNCTIONS}".split()}
CONSTANT.add(np.linalg.matrix_rank)

#: What to write instead of functions that have no op.
INSTEAD = {
    "np.insert": "use cunet.concatenate",
    "np.multiply.outer": "use cunet.outer",
    "np.resize": "use cunet.tile",
    "np.unique": "use cunet.sort",
}


def array_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do what `Tensor.__array_ufunc__` promises."""
    name = f"np.{ufunc.__name__}" + (f".{method}" if method != "__call__" else "")
    if any(isinstance(out, Tensor) for out in kwargs.get("out") or ()):
        raise TypeError(f"{name}: out must be an array, got a Tensor; assign the result, or write into its .data")
    call = ufunc if method == "__call__" else getattr(ufunc, method)
    if ufunc in CONSTANT:
        return call(*arrays_of(inputs, name), **kwargs)
    own = UFUNCS.get(ufunc) if method == "__call__" else METHODS.get((ufunc, method))
    if own is None or (not is_op(own) and _complex(inputs)):
        return _values(name, call, inputs, kwargs, INSTEAD.get(name, "cunet has no op of that name"))
    given = {key: value for key, value in kwargs.items() if value is not None and value is not True}
    dtype = given.pop("dtype", None)
    static = {} if method == "__call__" else {"axis": kwargs.get("axis", 0)}
    if kwargs.get("keepdims") and method == "reduce":
        static["keepdims"] = True
    if others := sorted(given.keys() - static.keys() - {"keepdims"}):
        return _values(name, call, inputs, kwargs, f"the op of that name takes no {others[0]}=")
    if dtype is not None:
        inputs = tuple(array.astype(x, dtype) if isinstance(x, Tensor) or is_array(x) else x for x in inputs)
    return own(*inputs, **static)


def array_function(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do what `Tensor.__array_function__` promises."""
    name = f"np{function.__module__.removeprefix('numpy')}.{function.__name__}"
    if function in CONSTANT:
        return function(*arrays_of(args, name), **arrays_of(kwargs, name))
    if not has_op(function) or _complex(args):
        return _values(name, function, args, kwargs, INSTEAD.get(name, "cunet has no op of that name"))
    try:
        return run_op(function, args, kwargs)
    except Unsupported as argument:
        return _values(name, function, args, kwargs, f"the op of that name takes no {argument}")


def _values(name: str, function: Function, args: Any, kwargs: Any, instead: str) -> Any:
    """Run NumPy's own function on the arrays of Tensors, unless a gradient would be lost."""
    if is_recording() and (_wants_gradient(args) or _wants_gradient(kwargs)):
        raise TypeError(
            f"{name} would lose the gradient of a Tensor: {instead}; where values alone are meant give it x.detach()"
        )
    return function(*arrays_of(args, name), **arrays_of(kwargs, name))


def _complex(args: Any) -> bool:
    """Tell whether an argument is a Tensor of complex numbers, as arithmetic without a gradient makes some.

    What is made of ops knows real numbers alone: to it the conjugate would be the number.
    """
    return any(isinstance(a, Tensor) and a.dtype.kind == "c" for a in args)


def _wants_gradient(tree: Any) -> bool:
    if isinstance(tree, Tensor):
        return tree.requires_grad
    if isinstance(tree, Mapping):
        return any(map(_wants_gradient, tree.values()))
    return isinstance(tree, (list, tuple)) and any(map(_wants_gradient, tree))
