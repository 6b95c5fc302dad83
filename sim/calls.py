"""NumPy's functions under CuPy's rules: a name, a keyword or a type that CuPy does not take is refused here too."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

import cupy
import numpy as np

from .array import SCALARS, ndarray, unwrap, wrap
from .graph import do
from .linalg import batches_as_cupy
from .state import stats

#: Functions whose result has a shape that depends on the data: CuPy waits for the device inside.
SYNCING = {"argwhere", "bincount", "compress", "extract", "flatnonzero", "nonzero", "setdiff1d", "union1d", "unique"}
#: Functions that sum. CuPy and cuBLAS keep the sum of half types in float32 and round once; NumPy does not.
SUMMING = {"cumsum", "dot", "einsum", "inner", "matmul", "mean", "outer", "prod", "std", "sum", "tensordot", "var"}
#: Functions that may be called without a device array: they make one, or ask about types and shapes.
MAKING = {"arange", "broadcast_shapes", "can_cast", "eye", "full", "geomspace", "identity", "indices", "isscalar"}
MAKING |= {"linspace", "logspace", "meshgrid", "ones", "result_type", "tri", "zeros"}
#: Functions whose later arguments are widths and places, not data: CuPy reads them on the host.
PLACING = {"array_split", "dsplit", "hsplit", "pad", "repeat", "roll", "split", "tile", "vsplit"}


def refuse_host(x: Any) -> None:
    """Raise CuPy's error if `x` is a NumPy array, or a list or tuple that holds one."""
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    if type(x) in (tuple, list):
        for part in x:
            refuse_host(part)


def run(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a NumPy function on device arrays, silently, and count a launch unless it only made views."""
    for x in args[:1] if function.__name__ in PLACING else (*args, *kwargs.values()):
        refuse_host(x)
    plain = [unwrap(x) for x in args]
    with np.errstate(all="ignore"):  # a GPU does not warn
        result = do(function, *plain, **{name: unwrap(x) for name, x in kwargs.items()})
    out = kwargs.get("out")
    for x in (out, *args):
        if isinstance(x, ndarray) and result is x._a:  # astype(copy=False) and the like return the array itself
            stats.ops += x is out
            return x
    first = result[0] if isinstance(result, (tuple, list)) and result else result
    seen = None
    if isinstance(first, np.ndarray):
        arrays = [v for x in args for v in (x if isinstance(x, (tuple, list)) else (x,)) if isinstance(v, ndarray)]
        seen = next((x for x in arrays if np.may_share_memory(first, x._a)), None)
    stats.ops += seen is None
    return wrap(result, seen)


def _arrays(args: Any) -> list[np.ndarray]:
    """Return the NumPy arrays among `args`, and in lists and tuples among them."""
    flat = [a for x in args for a in (x if isinstance(x, (tuple, list)) else (x,))]
    return [a for a in flat if isinstance(a, np.ndarray)]


def _is_half(a: np.ndarray) -> bool:
    return a.dtype.name in ("float16", "bfloat16")


def half_in_float32(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a summing function that works on half types as CuPy's does (see `SUMMING`)."""

    @functools.wraps(function)
    def wide(*args: Any, **kwargs: Any) -> Any:
        floats = [a for a in _arrays(args) if a.dtype.kind in "fV"]
        dtype_given = kwargs.get("dtype") is not None or (name in ("sum", "prod", "mean", "cumsum") and len(args) > 2)
        if dtype_given or not floats or len({a.dtype for a in floats}) > 1 or not _is_half(floats[0]):
            return function(*args, **kwargs)
        out = kwargs.pop("out", None)
        up = [a.astype(np.float32) if isinstance(a, np.ndarray) and _is_half(a) else a for a in args]
        result = np.asarray(function(*up, **kwargs)).astype(floats[0].dtype)
        if out is None:
            return result
        out[...] = result
        return out

    return wide if name in SUMMING else function


def make_function(name: str, real: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """Return the device's function: NumPy's `plain` with the signature of CuPy's `real`."""
    known = _keywords(real)
    plain = half_in_float32(name, plain)
    plain = batches_as_cupy(plain) if name == "matmul" else plain

    @functools.wraps(plain)
    def function(*args: Any, **kwargs: Any) -> Any:
        if known is not None and not known.issuperset(kwargs):
            raise TypeError(f"cupy.{name}() takes no keyword {sorted(set(kwargs) - known)}")
        if name not in MAKING and not any(_has_device(x) for x in (*args, *kwargs.values())):
            raise TypeError(f"cupy.{name}: no device array among the arguments")
        if name in SYNCING:
            stats.sync(f"{name}()")
        return run(plain, args, kwargs)

    return function


def _has_device(x: Any) -> bool:
    return isinstance(x, ndarray) or (isinstance(x, (tuple, list)) and any(_has_device(v) for v in x))


@functools.cache
def _keywords(real: Callable[..., Any]) -> set[str] | None:
    """Return the keywords that CuPy's function takes; None: unknown, or any."""
    try:
        parameters = inspect.signature(real).parameters.values()
    except (TypeError, ValueError):  # a compiled method tells its signature in the first line of its text
        line = (getattr(real, "__doc__", None) or "").split("\n")[0]
        return set(re.findall(r"(\w+)(?:=|,|\))", line)) if "(" in line else None
    return None if any(p.kind is p.VAR_KEYWORD for p in parameters) else {p.name for p in parameters}


class ufunc:  # noqa: N801 (CuPy's name)
    """A function of single elements, with the few methods that CuPy has for it."""

    def __init__(self, name: str) -> None:
        self.name = self.__name__ = name
        self._plain: np.ufunc = getattr(np, name)
        self._real = getattr(cupy, name)
        self.nin, self.nout, self.nargs = self._real.nin, self._real.nout, self._real.nargs
        self.types = self._real.types

    def __repr__(self) -> str:
        return f"<ufunc 'cupy_{self.name}'>"

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind") -> Any:
        """Apply it; `out` and the arrays among `args` are on the device, as CuPy demands."""
        for x in (*args, out):
            if not isinstance(x, (ndarray, *SCALARS)) and x is not None and not (x is out and isinstance(x, tuple)):
                raise TypeError(f"Unsupported type {type(x)}")
        self._check_bfloat16(args)
        kwargs = {} if dtype is None else {"dtype": dtype}
        return run(self._plain, args, kwargs if out is None else kwargs | {"out": out, "casting": casting})

    def _check_bfloat16(self, args: tuple[Any, ...]) -> None:
        if any(isinstance(x, ndarray) and x.dtype.name == "bfloat16" for x in args) and "E" not in "".join(self.types):
            raise TypeError(f"Wrong type (bfloat16) of arguments for cupy_{self.name}")

    def outer(self, a: ndarray, b: ndarray) -> ndarray:
        """Apply it to all pairs of elements."""
        return self(a.reshape(a.shape + (1,) * b.ndim), b)  # type: ignore[attr-defined]

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        """Apply it in place at indices, which may repeat: atomically, in any order, for the types CuPy has."""
        if self.name not in _AT_TYPES:
            raise NotImplementedError(f"`cupy_{self.name}.at` is not supported yet")
        if a.dtype.name not in _AT_TYPES[self.name]:
            raise TypeError(f"cupy.{self.name}.at only supports {', '.join(_AT_TYPES[self.name])} as data type")
        if not isinstance(b, ndarray):
            stats.upload(f"a host value given to {self.name}.at")
        run(self._plain.at, (a, indices, b), {})

    def reduce(self, a: ndarray, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Fold an axis: only sums and products."""
        return self._as_method(a, {"add": "sum", "multiply": "prod"}, "reduce", axis, dtype, out, keepdims)

    def accumulate(self, a: ndarray, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """Return running sums or products."""
        return self._as_method(a, {"add": "cumsum", "multiply": "cumprod"}, "accumulate", axis, dtype, out)

    def _as_method(self, a: ndarray, names: dict[str, str], what: str, *args: Any) -> Any:
        if self.name not in names:
            raise NotImplementedError(f"`cupy_{self.name}.{what}` is not supported yet")
        return getattr(a, names[self.name])(*args)


_ADDED = ("int32", "int64", "float16", "float32", "float64", "uint32", "uint64")
_ORDERED = ("int32", "int64", "float32", "float64", "uint32", "uint64")
_AT_TYPES = {"add": _ADDED, "subtract": ("int32", "uint32"), "maximum": _ORDERED, "minimum": _ORDERED}
