"""A cuBLAS that computes with NumPy, and looks at what it is given as a careful one would.

Its functions stand for those of the C library: they check that the caller has declared the types of the header, convert
by them as ctypes does, and answer with a status. Arguments that cuBLAS refuses give the status it gives; what it would
take silently, and read or write the wrong memory, raises.
"""

from __future__ import annotations

import ctypes as c
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from .state import stats

SUCCESS, NOT_INITIALIZED, INVALID_VALUE, NOT_SUPPORTED = 0, 1, 7, 15
_DTYPES = {0: np.dtype("f"), 1: np.dtype("d"), 2: np.dtype("e"), 14: np.dtype(ml_dtypes.bfloat16)}
#: (type of A and B, type of C, compute type), of those that are used here.
_SUPPORTED = {(0, 0, 68), (0, 0, 77), (1, 1, 70), (2, 2, 68), (2, 0, 68), (14, 14, 68), (14, 0, 68)}
_TF32, _DOUBLE = 77, 70
_LEAST_WORKSPACE = 4 << 20

# As in cublas_api.h; void** and pointers to numbers are addresses here too.
_handle, _address, _i, _ll = c.c_void_p, c.c_void_p, c.c_int, c.c_longlong
_SHAPE = [_handle, _i, _i, _i, _i, _i, _address]
_HEADER: dict[str, list[Any]] = {
    "cublasCreate_v2": [_address],
    "cublasDestroy_v2": [_handle],
    "cublasSetStream_v2": [_handle, _address],
    "cublasSetWorkspace_v2": [_handle, _address, c.c_size_t],
    "cublasSetMathMode": [_handle, _i],
    "cublasGemmEx": [*_SHAPE, _address, _i, _i, _address, _i, _i, _address, _address, _i, _i, _i, _i],
    "cublasGemmStridedBatchedEx": [
        *_SHAPE, *(_address, _i, _i, _ll), *(_address, _i, _i, _ll), _address, *(_address, _i, _i, _ll), _i, _i, _i
    ],
}  # fmt: skip


class Matrix(NamedTuple):
    """One of A, B and C as it was given: columns lie one after the other."""

    address: int
    kind: int
    leading: int
    step: int = 0


class Function:
    """A function of the library: `argtypes` and `restype` are the caller's to declare."""

    def __init__(self, name: str, run: Callable[..., int]) -> None:
        self.__name__, self._run = name, run
        self.argtypes: list[Any] | None = None
        self.restype: Any = None

    def __call__(self, *arguments: Any) -> int:
        header = _HEADER[self.__name__]
        if self.argtypes != header or self.restype is not c.c_int:
            raise TypeError(f"{self.__name__}: the declared types are not those of the header")
        if len(arguments) != len(header):
            raise TypeError(f"{self.__name__}: takes {len(header)} arguments, got {len(arguments)}")
        return self._run(*[_value(kind, a) for kind, a in zip(header, arguments, strict=True)])


def _value(kind: Any, argument: Any) -> Any:
    """Return the number that a C function would see."""
    if hasattr(argument, "_obj"):  # of byref
        return c.addressof(argument._obj)
    number = argument.value if isinstance(argument, c._SimpleCData) else argument
    if kind(number).value not in (number, number or None):
        raise OverflowError(f"{number} does not fit into {kind.__name__}, which ctypes would cut off silently")
    return number or 0


class _State:
    """What a handle knows."""

    def __init__(self) -> None:
        self.stream: int | None = None
        self.workspace = 0
        self.mode = 0


class Library:
    """Stands for what ``ctypes.CDLL("libcublas.so")`` returns.

    Attributes:
        calls: (name, transa, transb, m, n, k, batch, compute type) of each product, the newest last; tests clear it.
        refusing: statuses to answer products with from now on, first come first.
    """

    def __init__(self) -> None:
        self.handles: dict[int, _State] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.refusing: list[int] = []
        for name in _HEADER:
            setattr(self, name, Function(name, getattr(self, "_" + name.removeprefix("cublas").removesuffix("_v2"))))

    def _Create(self, address: int) -> int:  # noqa: N802 (cuBLAS's names)
        number = len(self.handles) + 1
        self.handles[number] = _State()
        c.c_void_p.from_address(address).value = number
        return SUCCESS

    def _Destroy(self, handle: int) -> int:  # noqa: N802
        return NOT_INITIALIZED if self.handles.pop(handle, None) is None else SUCCESS

    def _SetStream(self, handle: int, stream: int) -> int:  # noqa: N802
        state = self.handles[handle]
        state.stream, state.workspace = stream, 0
        return SUCCESS

    def _SetWorkspace(self, handle: int, address: int, size: int) -> int:  # noqa: N802
        if address % 256:
            return INVALID_VALUE
        self.handles[handle].workspace = size
        return SUCCESS

    def _SetMathMode(self, handle: int, mode: int) -> int:  # noqa: N802
        self.handles[handle].mode = mode
        return SUCCESS

    def _GemmEx(self, *given: Any) -> int:  # noqa: N802
        head, (b, of_a, ld_a), (b_, of_b, ld_b) = given[:7], given[7:10], given[10:13]
        beta, (at, of_c, ld_c), compute, _ = given[13], given[14:17], given[17], given[18]
        matrices = Matrix(b, of_a, ld_a), Matrix(b_, of_b, ld_b), Matrix(at, of_c, ld_c)
        return self._product("GemmEx", head, matrices, beta, 1, compute)

    def _GemmStridedBatchedEx(self, *given: Any) -> int:  # noqa: N802
        matrices = Matrix(*given[7:11]), Matrix(*given[11:15]), Matrix(*given[16:20])
        return self._product("GemmStridedBatchedEx", given[:7], matrices, given[15], given[20], given[21])

    def _product(
        self, name: str, head: tuple[int, ...], matrices: tuple[Matrix, ...], beta: int, batch: int, compute: int
    ) -> int:
        handle, transa, transb, m, n, k, alpha = head
        a, b, out = matrices
        if self.refusing:
            return self.refusing.pop(0)
        shapes = (k, m) if transa else (m, k), (n, k) if transb else (k, n), (m, n)
        if min(m, n, k, batch) < 0 or {transa, transb} - {0, 1}:
            return INVALID_VALUE
        if any(x.leading < max(1, rows) for x, (rows, _) in zip(matrices, shapes, strict=True)):
            return INVALID_VALUE
        if a.kind != b.kind or (a.kind, out.kind, compute) not in _SUPPORTED:
            return NOT_SUPPORTED
        self._check(handle, matrices, shapes, batch)
        number: Any = c.c_double if compute == _DOUBLE else c.c_float
        scale, keep = (number.from_address(x).value for x in (alpha, beta))
        x, y, z = (_seen(one, shape, batch) for one, shape in zip(matrices, shapes, strict=True))
        x, y = x.swapaxes(1, 2) if transa else x, y.swapaxes(1, 2) if transb else y
        work = functools.partial(_multiply, x, y, z, scale, keep, compute)
        work() if stats.graph is None else stats.graph.note(work)
        stats.ops += 1
        self.calls.append((name, transa, transb, m, n, k, batch, compute))
        return SUCCESS

    def _check(self, handle: int, matrices: tuple[Matrix, ...], shapes: tuple[Any, ...], batch: int) -> None:
        """Raise for what cuBLAS would do wrongly without a word."""
        from .cuda import get_current_stream

        state, out = self.handles[handle], matrices[2]
        if state.stream != get_current_stream().ptr:
            raise RuntimeError("cuBLAS works on another stream than the current one")
        if state.workspace < _LEAST_WORKSPACE:
            raise RuntimeError("cuBLAS would allocate a workspace, which a capture forbids")
        if batch > 1 and abs(out.step) < out.leading * (shapes[2][1] - 1) + shapes[2][0]:
            raise RuntimeError("the products of a batch are written over each other")
        for x in matrices:
            if not x.address or x.address % _DTYPES[x.kind].itemsize:
                raise RuntimeError(f"no address for {_DTYPES[x.kind]}: {x.address}")


def _seen(x: Matrix, shape: tuple[int, int], batch: int) -> np.ndarray:
    """Return the matrices of a batch (batch, rows, columns) where they lie."""
    dtype, (rows, columns) = _DTYPES[x.kind], shape
    size = dtype.itemsize
    if 0 in shape or not batch:
        return np.empty((batch, *shape), dtype)
    count = (batch - 1) * x.step + (columns - 1) * x.leading + rows
    memory = np.frombuffer(_bytes(count * size).from_address(x.address), dtype)
    strides = (x.step * size, size, x.leading * size)
    return np.lib.stride_tricks.as_strided(memory, (batch, rows, columns), strides, writeable=True)


def _multiply(x: np.ndarray, y: np.ndarray, z: np.ndarray, scale: float, keep: float, compute: int) -> None:
    wide = np.float64 if compute == _DOUBLE else np.float32
    x, y = (_rounded(p.astype(wide), compute) for p in (x, y))
    with np.errstate(all="ignore"):
        total = wide(scale) * (x @ y)
        z[...] = total if keep == 0 else total + wide(keep) * z.astype(wide)


def _rounded(x: np.ndarray, compute: int) -> np.ndarray:
    """Return factors as tensor cores take them: for TF32 rounded to 11 bits."""
    if compute != _TF32:
        return x
    bits = x.view(np.uint32)
    return np.where(np.isfinite(x), ((bits + 0x1000) & 0xFFFFE000).view(np.float32), x)


library = Library()


@functools.cache
def _bytes(count: int) -> Any:
    """Return the type of so many bytes: each type is a reference cycle, so there is one."""
    return c.c_char * count
