"""cuBLAS, called without CuPy: by its own handle, which also works while a stream is captured.

CuPy's wrappers set the stream of their handle in every call, which they refuse to do during a capture.
"""

from __future__ import annotations

import ctypes as c
import importlib
import sys
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_UNKNOWN = object()
_library: Any = _UNKNOWN  # what `library` returns, once it was asked

WORKSPACE = 32 << 20  # bytes for each stream: what NVIDIA advises for sm_90, the most that any architecture wants

# cudaDataType_t; cublasComputeType_t; cublasMath_t; cublasGemmAlgo_t
_TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}
_COMPUTE = {"ieee": 68, "tf32": 77}
_COMPUTE_DOUBLE = 70
_KEEP_SUMS_WIDE = 16  # parts of a long sum of half types meet in float32, not in half
_DEFAULT = -1
_NOT_SUPPORTED = 15

_int, _wide, _pointer = c.c_int, c.c_longlong, c.c_void_p
_GEMM = [_pointer, *[_int] * 5, _pointer, *[_pointer, _int, _int] * 2, _pointer, _pointer, *[_int] * 4]
_BATCHED = [_pointer, *[_int] * 5, _pointer, *[_pointer, _int, _int, _wide] * 2]
_BATCHED += [_pointer, _pointer, _int, _int, _wide, *[_int] * 3]
_SIGNATURES: dict[str, list[Any]] = {
    "cublasCreate_v2": [_pointer],
    "cublasDestroy_v2": [_pointer],
    "cublasSetStream_v2": [_pointer, _pointer],
    "cublasSetWorkspace_v2": [_pointer, _pointer, c.c_size_t],
    "cublasSetMathMode": [_pointer, _int],
    "cublasGemmEx": _GEMM,
    "cublasGemmStridedBatchedEx": _BATCHED,
}


class Operand(NamedTuple):
    """A matrix, or a batch of them, as cuBLAS takes it.

    Attributes:
        array: where it begins, and its dtype.
        flipped: whether the columns lie one after the other, not the rows.
        leading: elements from one row (flipped: column) to the next.
        step: elements from one matrix of the batch to the next; 0: the same for all.
    """

    array: Any
    flipped: bool
    leading: int
    step: int


def library(xp: Any) -> Any:
    """Return cuBLAS with its signatures declared, the one that CuPy works with; None where it is not found."""
    global _library
    if _library is _UNKNOWN:
        _library = _found(xp)
    return _library


def _found(xp: Any) -> Any:
    try:  # NVIDIA's wheels, conda's packages, the toolkit: wherever CuPy 14 looks
        path = importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib("cublas").abs_path
    except Exception:
        path = f"libcublas.so.{xp.cuda.runtime.runtimeGetVersion() // 1000}"
    try:
        return declared(c.CDLL(path))
    except (OSError, AttributeError):
        return None


def declared(found: Any) -> Any:
    """Return a library with the signatures of what is called here."""
    for name, arguments in _SIGNATURES.items():
        function = getattr(found, name)
        function.argtypes, function.restype = arguments, _int
    return found


class NotSupported(Exception):
    """cuBLAS has no kernel for such operands."""


class Handle:
    """A handle of cuBLAS on one device, for one thread, with room to work in for each stream."""

    def __init__(self, library: Any, xp: Any) -> None:
        self._library, self._xp = library, xp
        self._handle = c.c_void_p()
        self._stream: int | None = None
        self._rooms: dict[int, Any] = {}
        self._call("cublasCreate_v2", c.byref(self._handle))
        self._call("cublasSetMathMode", self._handle, _KEEP_SUMS_WIDE)

    def __del__(self) -> None:
        """Give it back, unless CUDA may be gone already."""
        if self._handle and not sys.is_finalizing():
            self._library.cublasDestroy_v2(self._handle)

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status == _NOT_SUPPORTED:
            raise NotSupported
        if status:
            raise RuntimeError(f"{name}: cuBLAS answers with status {status}")

    def _follow(self, stream: int) -> None:
        """Work on a stream; streams share no room, since what they do may overlap."""
        if stream == self._stream:
            return
        if stream not in self._rooms:
            self._rooms[stream] = self._xp.cuda.alloc(WORKSPACE)
        self._stream = None
        self._call("cublasSetStream_v2", self._handle, stream)
        self._call("cublasSetWorkspace_v2", self._handle, self._rooms[stream].ptr, WORKSPACE)  # SetStream took it away
        self._stream = stream

    def multiply(
        self, x: Operand, y: Operand, out: Operand, sizes: Sequence[int], batch: int, add: bool, precision: str
    ) -> None:
        """Write ``x @ y`` into `out`, or `add` it.

        cuBLAS sees columns where rows lie, so it is given ``out.T = y.T @ x.T``.

        Args:
            x, y: of one dtype.
            out: rows lie one after the other; of that dtype, or float32 beside half types.
            sizes: rows of x, columns of y, length of the sums; none of them 0.
            batch: how many products.
            add: whether out keeps what it has.
            precision: "ieee" or "tf32", of float32.

        Raises:
            NotSupported: cuBLAS has no kernel for them.
            RuntimeError: cuBLAS answers with another status.
        """
        self._follow(self._xp.cuda.get_current_stream().ptr)
        double = x.array.dtype.char == "d"
        number = c.c_double if double else c.c_float
        one, rest = number(1.0), number(float(add))
        kind, kind_out = _TYPES[x.array.dtype.name], _TYPES[out.array.dtype.name]
        compute = _COMPUTE_DOUBLE if double else _COMPUTE[precision if kind == 0 else "ieee"]
        rows, columns, length = sizes
        head = (self._handle, int(y.flipped), int(x.flipped), columns, rows, length, c.byref(one))
        steps = [(m.step,) if batch > 1 else () for m in (y, x, out)]
        places = [(m.array.data.ptr, k, m.leading) for m, k in ((y, kind), (x, kind), (out, kind_out))]
        (left, right, result), (of_left, of_right, of_result) = places, steps
        many = (batch,) if batch > 1 else ()
        name = "cublasGemmStridedBatchedEx" if batch > 1 else "cublasGemmEx"
        given = (*left, *of_left, *right, *of_right, c.byref(rest), *result, *of_result, *many)
        self._call(name, *head, *given, compute, _DEFAULT)


_local = threading.local()


def handle(xp: Any) -> Handle | None:
    """Return this thread's handle on the current device; None where there is no library."""
    found = library(xp)
    if found is None:
        return None
    handles: dict[Any, Handle] = _local.__dict__.setdefault("handles", {})
    key = (found, xp.cuda.get_device_id())
    if key not in handles:
        handles[key] = Handle(found, xp)
    return handles[key]


def has(dtype: np.dtype) -> bool:
    """Tell whether products of a dtype are made here."""
    return dtype.name in _TYPES
