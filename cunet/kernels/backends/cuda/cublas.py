"""cuBLAS, called without CuPy: by its own handle, which also works while a stream is captured.

CuPy's wrappers set the stream of their handle in every call, which they refuse to do during a capture.
"""

from __future__ import annotations

import ctypes as c
import functools
import importlib
import sys
import threading
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
_FLOATS = tuple([c.byref(c.c_float(x)) for x in (0.0, 1.0)])  # factors are read on the host, during the call
_DOUBLES = tuple([c.byref(c.c_double(x)) for x in (0.0, 1.0)])
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


class Layout(NamedTuple):
    """How a matrix, or a batch of them, lies.

    Attributes:
        flipped: whether the columns lie one after the other, not the rows.
        leading: elements from one row (flipped: column) to the next.
        step: elements from one matrix of the batch to the next; 0: the same for all.
    """

    flipped: bool
    leading: int
    step: int


class Call(NamedTuple):
    """Products ``out = x @ y`` of arrays that lie in one way, as cuBLAS is given them; see `call_of`.

    Attributes:
        batch: how many.
        head: of the arguments: who is flipped, and sizes.
        x, y: type and layout.
        out: layout.
        compute: types of the arithmetic, by precision.
        double: whether factors of whole products are float64.
    """

    batch: int
    head: tuple[int, ...]
    x: tuple[int, ...]
    y: tuple[int, ...]
    out: tuple[int, ...]
    compute: dict[str, int]
    double: bool


def call_of(dtype: np.dtype, x: Layout, y: Layout, sizes: tuple[int, int, int], batch: int) -> Call:
    """Return the arguments for products of `dtype`.

    cuBLAS sees columns where rows lie, so it is given ``out.T = y.T @ x.T``.

    Args:
        dtype: of x and y.
        x, y: how they lie; rows of the result lie one after the other, and so do its matrices.
        sizes: rows of x, columns of y, length of the sums; none of them 0.
        batch: how many.
    """
    rows, columns, length = sizes
    kind, double = _TYPES[dtype.name], dtype.char == "d"
    compute = dict.fromkeys(_COMPUTE, _COMPUTE_DOUBLE if double else _COMPUTE["ieee"])
    of_x, of_y, of_out = (
        (m.leading, m.step)[: 1 + (batch > 1)] for m in (x, y, Layout(False, columns, rows * columns))
    )
    return Call(
        batch,
        (int(y.flipped), int(x.flipped), columns, rows, length),
        (kind, *of_x),
        (kind, *of_y),
        of_out,
        _COMPUTE if kind == 0 else compute,
        double,
    )


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
        self._gemm, self._batched = library.cublasGemmEx, library.cublasGemmStridedBatchedEx
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
        self._check(name, getattr(self._library, name)(*arguments))

    def _check(self, name: str, status: int) -> None:
        if status == _NOT_SUPPORTED:
            raise NotSupported
        if status:
            raise RuntimeError(f"{name}: cuBLAS answers with status {status}")

    def _follow(self, stream: int) -> None:
        """Work on a stream; streams share no room, since what they do may overlap."""
        if stream not in self._rooms:
            self._rooms[stream] = self._xp.cuda.alloc(WORKSPACE)
        self._stream = None
        self._call("cublasSetStream_v2", self._handle, stream)
        self._call("cublasSetWorkspace_v2", self._handle, self._rooms[stream].ptr, WORKSPACE)  # SetStream took it away
        self._stream = stream

    def multiply(self, call: Call, x: Any, y: Any, out: Any, add: bool, precision: str) -> None:
        """Write ``x @ y`` into `out`, or `add` it.

        Args:
            call: what `call_of` made of how x and y lie.
            x, y: arrays of one dtype.
            out: contiguous, of that dtype, or float32 beside half types.
            add: whether out keeps what it has.
            precision: "ieee" or "tf32", of float32.

        Raises:
            NotSupported: cuBLAS has no kernel for them.
            RuntimeError: cuBLAS answers with another status.
        """
        stream = self._xp.cuda.get_current_stream().ptr
        if stream != self._stream:
            self._follow(stream)
        zero, one = _DOUBLES if call.double else _FLOATS
        keep, to = one if add else zero, (_type(out.dtype), *call.out)
        head = (self._handle, *call.head, one, y.data.ptr, *call.y, x.data.ptr, *call.x, keep, out.data.ptr, *to)
        if call.batch == 1:
            status = self._gemm(*head, call.compute[precision], _DEFAULT)
        else:
            status = self._batched(*head, call.batch, call.compute[precision], _DEFAULT)
        if status:
            self._check("cublasGemmEx" if call.batch == 1 else "cublasGemmStridedBatchedEx", status)


class _Handles(threading.local):
    """Handles of a thread, by library and device."""

    def __init__(self) -> None:
        self.known: dict[Any, Handle] = {}


_handles = _Handles()


def handle(xp: Any) -> Handle | None:
    """Return this thread's handle on the current device; None where there is no library."""
    found = _library if _library is not _UNKNOWN else library(xp)
    if found is None:
        return None
    key = (found, xp.cuda.get_device_id())
    known = _handles.known.get(key)
    if known is None:
        known = _handles.known[key] = Handle(found, xp)
    return known


@functools.cache
def _type(dtype: np.dtype) -> int:
    return _TYPES[dtype.name]


def has(dtype: np.dtype) -> bool:
    """Tell whether products of a dtype are made here."""
    return dtype.name in _TYPES
