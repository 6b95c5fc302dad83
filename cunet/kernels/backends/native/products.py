"""Matrix products by NumPy's own BLAS in threads of ours: see ``products.cpp``."""

from __future__ import annotations

import ctypes as c
from typing import Any

import numpy as np

from ....system import cpu
from .backend import native

_UNKNOWN = object()
_run: Any = _UNKNOWN


def bound() -> Any:
    """Return the runtime's function for products, or None where NumPy has a BLAS that is not known here."""
    global _run
    if _run is _UNKNOWN:
        library, found = native.runtime(), cpu.openblas() or {}
        if library is None or not {"sgemm", "dgemm"} <= found.keys():
            _run = None
            return None
        functions = [c.cast(found[name], c.c_void_p) for name in ("sgemm", "dgemm", "get", "set")]
        if library.cunet_blas(*functions):
            raise OSError("pthread_atfork failed")
        library.cunet_product.argtypes = [c.c_uint64, c.c_uint64, c.c_uint64, c.c_int]
        _run = library.cunet_product
    return _run


def product(x: np.ndarray, y: np.ndarray) -> Any:
    """Return ``x @ y`` for two matrices, or NotImplemented where NumPy has to do it."""
    run = _run if _run is not _UNKNOWN else bound()
    if run is None:
        return NotImplemented
    z = np.empty((x.shape[0], y.shape[1]), x.dtype)
    return NotImplemented if run(id(x), id(y), id(z), native.threads) else z
