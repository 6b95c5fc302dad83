"""Code that is written by hand in C++: functions that are compiled for float32 or float64 at first use."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

from ....system.locks import ForkSafeLock
from . import text
from .backend import native

_C = {"f": "float", "d": "double"}
_lock = ForkSafeLock()
_functions: dict[tuple[str, str], Any] = {}

#: The functions, and the files that make the text of each.
SOURCES = {
    "cunet_convolve": ("tuning.h", "conv.h", "conv_image.h", "conv_blocking.h", "conv.cpp", "conv_weight.cpp"),
    "cunet_pool": ("tuning.h", "pool.cpp"),
    "cunet_panels": ("panels.h", "panels.cpp"),
}


def function(name: str, char: str) -> Any:
    """Return a C function with ``T`` of type `char` ("f" or "d"), or None where NumPy has to do its work."""
    if not native.active or char not in _C:
        return None
    key = (name, char)
    with _lock:
        if key not in _functions:
            _functions[key] = None if native.runtime(unit(name, char)) is None else _load(name, char)
    return _functions[key]


@functools.cache
def unit(name: str, char: str) -> text.Unit:
    """Return what compiles a function for float32 ("f") or float64 ("d")."""
    from . import compiler

    speed = compiler.SLOW if name == "cunet_convolve" else ""
    return text.single(f"{name}_{char}", speed + f"typedef {_C[char]} T;\n" + text.source(*SOURCES[name]))


def _load(name: str, char: str) -> Any:
    from . import ahead, compiler

    wanted = unit(name, char)
    (error,) = ahead.compile_now([wanted])
    try:
        if error is not None:
            raise error
        found = getattr(compiler.load(wanted.text()), name)
    except (compiler.CompileError, OSError) as problem:
        native.report(f"function {name!r}", problem)
        return None
    found.argtypes = [ctypes.c_char_p]
    return found


def parallel() -> int:
    """Return the address of the function that shares work with the threads of compiled kernels."""
    return ctypes.cast(native.runtime().cunet_parallel, ctypes.c_void_p).value or 0


def address(a: np.ndarray | None) -> int:
    """Return where the elements of an array lie; 0 for None."""
    return 0 if a is None else a.__array_interface__["data"][0]


def admit(*arrays: Any, written: np.ndarray | None = None) -> list[Any] | None:
    """Return arrays of the same elements that C++ can read, or None where NumPy has to do it: the door to all of it.

    All must be of NumPy's own class and of one dtype in this machine's byte order. What is not aligned, or lies at
    fractions of an element, is copied; strides are as they may be.

    Args:
        arrays: None among them stays None; the first must be an array.
        written: what C++ writes into: contiguous, and in no memory of the others.
    """
    dtype = getattr(arrays[0], "dtype", None)
    given = [a for a in (*arrays, written) if a is not None]
    if any(type(a) is not np.ndarray or a.dtype is not dtype and a.dtype != dtype for a in given):
        return None
    if dtype is None or not dtype.isnative:
        return None
    if written is not None:
        flags = written.flags
        if not (flags.aligned and flags.c_contiguous and flags.writeable):
            return None
        if any(a is not None and np.may_share_memory(a, written) for a in arrays):
            return None
    return [a if a is None or lies_well(a) else a.copy() for a in arrays]


def lies_well(a: np.ndarray) -> bool:
    """Tell whether all elements lie where C++ may read them."""
    flags, size = a.flags, a.itemsize
    return flags.aligned and (flags.c_contiguous or not any([s % size for s in a.strides]))
