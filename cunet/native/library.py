"""Compiled code that is written by hand: functions of a C++ file, compiled for float32 or float64 at first use."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np

from .. import native

_C = {"f": "float", "d": "double"}
_lock = threading.Lock()
_functions: dict[tuple[str, str], Any] = {}


def function(name: str, files: tuple[str, ...], char: str) -> Any:
    """Return the C function `name` of `files`, one text, whose ``T`` is of type `char`; None: NumPy has to do it."""
    if not native.active or char not in _C:
        return None
    key = (name, char)
    with _lock:
        if key not in _functions:
            _functions[key] = None if native.runtime() is None else _load(name, files, char)
    return _functions[key]


def _load(name: str, files: tuple[str, ...], char: str) -> Any:
    from . import build, text

    source = f"typedef {_C[char]} T;\n" + "".join((text.HERE / file).read_text(encoding="utf-8") for file in files)
    (error,) = build.compile_all([source])
    try:
        if error is not None:
            raise error
        found = getattr(build.load(source), name)
    except (build.CompileError, OSError) as problem:
        native.report(files[-1], problem)
        return None
    found.argtypes = [ctypes.c_char_p]
    return found


def parallel() -> int:
    """Return the address of the function that shares work with the threads of compiled kernels."""
    return ctypes.cast(native.runtime().cunet_parallel, ctypes.c_void_p).value or 0


def address(a: np.ndarray | None) -> int:
    """Return where the elements of an array lie; 0 for None."""
    return 0 if a is None else a.__array_interface__["data"][0]


def strides(a: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Return an array of the same elements whose strides are whole elements, and these strides."""
    if not a.flags.aligned or any(s % a.itemsize for s in a.strides):
        a = a.copy()
    return a, [s // a.itemsize for s in a.strides]
