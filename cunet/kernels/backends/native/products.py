"""Matrix products by NumPy's own BLAS in threads of ours: see ``products.cpp``."""

from __future__ import annotations

import ctypes as c
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ....system import cpu
from . import functions
from .backend import native
from .status import NEEDS_PANELS, refused


@functools.cache
def bound() -> Any:
    """Return the runtime's function for products, or None where NumPy has a BLAS that is not known here."""
    library, found = native.runtime(), cpu.openblas() or {}
    if library is None or not {"sgemm", "dgemm"} <= found.keys():
        return None
    bind = c.PYFUNCTYPE(c.c_int, *[c.c_void_p] * 4)(("cunet_blas", library))  # no builtin runs meanwhile
    if bind(*[c.cast(found[name], c.c_void_p) for name in ("sgemm", "dgemm", "get", "set")]):
        raise OSError("pthread_atfork failed")
    library.cunet_product.argtypes = [c.c_uint64, c.c_uint64, c.c_uint64, c.c_int]
    return library.cunet_product


def bind_if_started() -> None:
    """Let builtins multiply from now on, if there is a runtime that has them."""
    if native.started():
        bound()


def product(x: np.ndarray, y: np.ndarray) -> Any:
    """Return ``x @ y`` for two matrices or stacks of them, or NotImplemented where NumPy has to do it."""
    run = bound()
    try:
        lead = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    except ValueError:
        return NotImplemented
    if run is None:
        return NotImplemented
    z = np.empty((*lead, x.shape[-2], y.shape[-1]), x.dtype)
    code = with_panels(x.dtype.char, lambda: run(id(x), id(y), id(z), native.threads))
    return refused(code) if code else z


def with_panels(char: str, run: Callable[[], int]) -> int:
    """Return what a function of the runtime returns; if it asks for panels, load them and call it again."""
    code = run()
    if code != NEEDS_PANELS:
        return code
    found, put_out = (c.c_void_p * 2)(), functions.function("cunet_panels", char)
    if put_out is not None:
        put_out.argtypes = [c.c_void_p]
        put_out(found)
    take = native.runtime().cunet_have_panels
    take.argtypes = [c.c_int, c.c_void_p, c.c_void_p]
    take(ord(char), *found)
    return run()
