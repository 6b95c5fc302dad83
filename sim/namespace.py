"""The module that stands in for ``cupy``: what cunet gets as `xp` while the simulated device is installed.

A name exists here only if the real CuPy has it. Types and constants are NumPy's own (as in CuPy), functions are
NumPy's under CuPy's rules (`calls`), kernels are executed from their CUDA text (`launch`).
"""

from __future__ import annotations

import sys as _sys
import types as _types
from typing import Any

import cupy as _cupy
import numpy as _np

from . import calls as _calls
from . import cuda, operators
from .array import ndarray, unwrap, upload, wrap
from .calls import ufunc
from .graph import do as _do
from .graph import poisoned
from .launch import ElementwiseKernel, RawKernel, RawModule, ReductionKernel
from .linalg import INSTEAD as _INSTEAD
from .state import stats as _stats

__version__ = _cupy.__version__
__all__ = ["ElementwiseKernel", "RawKernel", "RawModule", "ReductionKernel", "cuda", "ndarray", "ufunc"]


def array(
    obj: Any,
    dtype: Any = None,
    copy: bool | None = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    """Make a device array of what NumPy can read: an upload, unless `obj` is on the device."""
    if not isinstance(obj, ndarray):
        values = _np.array(unwrap(obj), dtype=dtype, order=order, ndmin=ndmin)  # type: ignore[call-overload]
        if values.dtype.kind not in "biufc" and values.dtype.name != "bfloat16":
            raise ValueError(f"Unsupported dtype {values.dtype}")
        return upload(values)
    a = _do(_np.array, obj._a, dtype=dtype, copy=copy or None, order=order, ndmin=ndmin)
    shared = _np.may_share_memory(a, obj._a)
    _stats.ops += not shared
    return obj if a is obj._a else wrap(a, obj if shared else None)


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> ndarray:
    """Make a device array, without a copy where `a` is one."""
    return array(a, dtype, copy or False, order or "K")


def asanyarray(a: Any, dtype: Any = None, order: Any = None, *, blocking: bool = False) -> ndarray:
    """Do what `asarray` does."""
    return asarray(a, dtype, order)


def ascontiguousarray(a: ndarray, dtype: Any = None) -> ndarray:
    """Return the array in C order, a copy only if it is not."""
    return array(a, dtype, False, "C", ndmin=1)


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> _np.ndarray:
    """Copy a device array to the host; NumPy's stay as they are."""
    return a.get(order=order, out=out) if isinstance(a, ndarray) else _np.asarray(a)


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Return poisoned memory."""
    return wrap(poisoned(shape, dtype, order))


def empty_like(
    prototype: ndarray, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> ndarray:
    """Return poisoned memory of the shape, dtype and order of an array."""
    like = _np.empty_like(prototype._a, dtype, order, shape=shape)  # type: ignore[call-overload]
    return wrap(poisoned(like.shape, like.dtype, "F" if like.flags.fnc else "C"))


def get_array_module(*args: Any) -> Any:
    """Return this module if a device array is among `args`, else NumPy."""
    return _sys.modules[__name__] if any(isinstance(a, ndarray) for a in args) else _np


def get_default_memory_pool() -> cuda.MemoryPool:
    """Return the pool that arrays come from."""
    return cuda.default_pool


def get_default_pinned_memory_pool() -> cuda.PinnedMemoryPool:
    """Return the pool of page-locked host memory."""
    return cuda.default_pinned_pool


def is_available() -> bool:
    """Tell that there is a device."""
    return True


class _Part:
    """A sub-namespace such as ``linalg``."""

    def __init__(self, real: Any, plain: Any) -> None:
        self.__name__ = real.__name__.replace("cupy", __name__, 1)
        self._real, self._plain = real, plain

    def __getattr__(self, name: str) -> Any:
        return _lookup(name, self._real, self._plain)


def _lookup(name: str, real_module: Any, numpy_module: Any) -> Any:
    """Return the device's version of a name; AttributeError where CuPy or NumPy has none."""
    real, plain = getattr(real_module, name), getattr(numpy_module, name)
    if isinstance(plain, _types.ModuleType):
        return _Part(real, plain)
    if real is plain or not callable(plain) or isinstance(plain, type):
        return real
    if isinstance(real, _cupy.ufunc) and isinstance(plain, _np.ufunc) and numpy_module is _np:
        return ufunc(name)
    return _calls.make_function(name, real, _INSTEAD.get(plain, plain))


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    found = globals()[name] = _lookup(name, _cupy, _np)
    return found


operators.complete(_sys.modules[__name__])
