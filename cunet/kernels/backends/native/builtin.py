"""Calls of kernels and products as builtin functions of CPython that our own compiler made: see ``builtin.cpp``.

ctypes makes an object of each argument, and packing them in Python takes longer than a small kernel. A builtin reads
them where they lie. It needs a CPython whose objects begin as in all its releases: a count of references, and the type;
elsewhere (PyPy, debug and free-threaded builds) launchers stay what is called.
"""

from __future__ import annotations

import ctypes as c
import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

_OBJECTS = (np.ndarray, float, int, bool, np.float32, np.float64, tuple, None, True, False, "axis", "keepdims")
#: Functions of CPython, and before them one of NumPy's, in the order of `Python` in the runtime.
_FUNCTIONS = (
    "PyCFunction_NewEx", "PyObject_Vectorcall", "PyTuple_New", "PyTuple_Size", "PyTuple_GetItem", "PyTuple_SetItem",
    "Py_IncRef", "Py_DecRef", "PyFloat_AsDouble", "PyLong_AsDouble", "PyLong_AsLongLong", "PyLong_AsUnsignedLongLong",
    "PyLong_AsVoidPtr", "PyErr_Occurred", "PyErr_Clear", "PyEval_SaveThread", "PyEval_RestoreThread",
)  # fmt: skip
_NEW_ARRAY = 93  # PyArray_New in NumPy's table of functions
#: The builtin functions in the runtime: by kind of kernel, and of products.
_WHICH = {"elementwise": 0, "inplace": 1, "reduction": 2, "product": 3}


@functools.cache
def numpys_functions() -> Any:
    """Return NumPy's table of functions: the addresses of its C interface, in its order."""
    address = c.PYFUNCTYPE(c.c_void_p, c.py_object, c.c_char_p)(("PyCapsule_GetPointer", c.pythonapi))
    table = address(np._core._multiarray_umath._ARRAY_API, None)  # type: ignore[attr-defined]
    return c.cast(table, c.POINTER(c.c_void_p))


def supported() -> bool:
    """Tell whether objects lie in memory here as the builtins expect."""
    known = sys.implementation.name == "cpython" and not getattr(sys, "abiflags", "?")  # "d": debug, "t": no lock
    return known and object.__basicsize__ == 16 and all(hasattr(c.pythonapi, name) for name in _FUNCTIONS)


def start(runtime: Any, threads: c.c_int64) -> None:
    """Hand the runtime what it needs to make builtins, where that can be; `threads` shall share a call."""
    if not supported():
        return
    functions = [c.cast(getattr(c.pythonapi, name), c.c_void_p).value for name in _FUNCTIONS]
    found = [*map(id, _OBJECTS), c.addressof(threads), numpys_functions()[_NEW_ARRAY], *functions]
    samples = np.zeros(1), 1.5, (1,)
    if runtime.cunet_python((c.c_void_p * len(found))(*found), *[c.c_void_p(id(sample)) for sample in samples]):
        runtime.builtin = c.PYFUNCTYPE(c.py_object, c.c_int, c.py_object)(("cunet_builtin", runtime))


def of(launcher: Callable[..., Any], which: str, runtime: Any, address: int = 0) -> Any:
    """Return what is called for a launcher: a builtin function, or itself where there is none.

    Args:
        launcher: what does that of which the builtin thinks that it is not plain.
        which: the kind of kernel, or "product".
        runtime: the library.
        address: of the kernel's description.
    """
    make = getattr(runtime, "builtin", None)
    return launcher if make is None or which not in _WHICH else make(_WHICH[which], (address, launcher))
