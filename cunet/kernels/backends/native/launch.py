"""Calls of compiled kernels: what Python hands over, and how much that may cost (a few microseconds)."""

from __future__ import annotations

import ctypes
import math
import re
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import elementwise

_MATHS = re.compile(r"\b(exp|expm1|log|log1p|tanh|erf|erfc|normcdf|pow|sin|cos|softmax_join|moments_join|philox4x64)\b")
_BITS = tuple(1 << k for k in range(32))
_LIMIT = 4096  # shapes that are remembered
_shapes: dict[Any, tuple[int, ...]] = {}


_Bytes = ctypes.c_uint8 * 32  # c_char would end at the first 0


class _Kernel(ctypes.Structure):
    _fields_ = [
        ("pieces", ctypes.c_void_p * 3),
        ("inputs", ctypes.c_int32), ("outputs", ctypes.c_int32), ("weight", ctypes.c_int32),
        ("letters", _Bytes), ("raw", _Bytes), ("loose", _Bytes),
    ]  # fmt: skip


class _Reduction(ctypes.Structure):
    _fields_ = [
        ("functions", ctypes.c_void_p * 11),
        ("inputs", ctypes.c_int32), ("outputs", ctypes.c_int32), ("weight", ctypes.c_int32),
        ("letters", _Bytes), ("late", _Bytes), ("loose", _Bytes),
    ]  # fmt: skip


#: The functions of a reduction, in the order of `Folding` in the runtime.
_FOLDING = (
    "first_start", "start", "first_fold_many", "first_fold_few", "fold_many", "fold_few", "found", "finish",
    "rows_many", "rows_few", "rows_mixed",
)  # fmt: skip


def _addresses(library: Any, kernel: Any, wide: np.dtype, names: Sequence[str]) -> Any:
    functions = [getattr(library, f"{elementwise.symbol(kernel, wide)}_{name}", None) for name in names]
    found = [None if f is None else ctypes.cast(f, ctypes.c_void_p).value for f in functions]
    return (ctypes.c_void_p * len(names))(*found)


def _flags(values: Sequence[Any]) -> Any:
    return _Bytes(*(bool(v) for v in values))


def _weight(kernel: Any, *texts: str) -> int:
    calls = len(_MATHS.findall(" ".join(texts)))
    return (len(kernel.ins) + len(kernel.outs)) // 2 + 5 * calls + "".join(texts).count("/")


class _Compiled:
    """A kernel for one dtype: its description in C, and how its arguments are packed."""

    def __init__(self, kernel: Any, wide: np.dtype, runtime: Any) -> None:
        self.name = kernel.name
        self.wide = wide.char
        params = (*kernel.ins, *kernel.outs)
        self.letters = "".join(elementwise.letter(p, wide) or "" for p in params)
        self.dtypes = [np.dtype(elementwise.DTYPES[c]) for c in self.letters[len(kernel.ins) :]]
        self._packers: dict[int, Any] = {}
        self.address = 0

    def packer(self, mask: int, count: int) -> Any:
        """Return the function that packs a call of `count` arguments, of which those in `mask` are objects."""
        key = mask << 6 | count
        found = self._packers.get(key)
        if found is None:
            kinds = ("Q" if mask >> k & 1 else {"f": "d", "d": "d"}.get(c, "Q" if c in "L?" else "q")
                     for k, c in enumerate(self.letters[:count]))  # fmt: skip
            found = self._packers[key] = struct.Struct("<QQqq" + "".join(kinds)).pack
        return found

    def number(self, a: Any, letter: str) -> Any:
        """Return an argument that is no array as a plain number, or None where NumPy must decide on its type."""
        if letter in "fd":
            if type(a) is int or type(a) is bool or (isinstance(a, np.generic) and a.dtype.char == letter):
                return float(a)
            return None
        return int(a) if isinstance(a, (int, np.integer, np.bool_)) else None


class ElementwiseCall(_Compiled):
    """An elementwise kernel, to be called with the arguments of the kernel."""

    def __init__(self, kernel: Any, wide: np.dtype, library: Any, runtime: Any) -> None:
        super().__init__(kernel, wide, runtime)
        params = (*kernel.ins, *kernel.outs)
        self.described = _Kernel(
            _addresses(library, kernel, wide, ("many", "few", "mixed")),
            len(kernel.ins), len(kernel.outs), _weight(kernel, kernel.operation) * (512 if kernel.per_thread else 1),
            _Bytes(*self.letters.encode()), _flags([p.raw for p in params]),
            _Bytes(*(elementwise.loose_of(kernel, p) for p in params)),
        )  # fmt: skip
        self.address = ctypes.addressof(self.described)
        self.run = runtime.cunet_run
        self.raw = [p.raw for p in kernel.ins]
        self.count = len(kernel.ins)
        self.alike = not any(self.raw)
        self.out_mask = ((1 << len(kernel.outs)) - 1) << self.count
        self.per_thread = kernel.per_thread

    def __call__(self, args: Sequence[Any], lead: np.ndarray, threads: int) -> Any:
        """Return the outputs, or NotImplemented where NumPy has to do it."""
        packed = self.pack(args, lead, threads)
        if packed is None or self.run(packed[0]):
            return NotImplemented
        outs = packed[1]
        return outs[0] if len(outs) == 1 else tuple(outs)

    def pack(self, args: Sequence[Any], lead: np.ndarray, threads: int) -> tuple[bytes, list[np.ndarray]] | None:
        """Return the call for the runtime and the outputs, yet to be filled; None where NumPy has to do it."""
        shape = lead.shape
        slots: list[Any] = []
        mask, alike = 0, self.alike
        for a, letter, bit in zip(args, self.letters, _BITS, strict=False):
            if type(a) is np.ndarray:
                slots.append(id(a))
                mask |= bit
                if a.shape != shape:
                    alike = False
            elif type(a) is float and letter in "fd":
                slots.append(a)
            else:
                value = self.number(a, letter)
                if value is None:
                    return None
                slots.append(value)
        if len(slots) != self.count:
            return None
        if self.per_thread:
            total = -(-lead.size // (32 * self.per_thread))
        elif alike:
            total = lead.size
        else:
            shape = self._shape(args)
            total = math.prod(shape)
        outs = [np.empty(shape, dtype) for dtype in self.dtypes]
        slots += map(id, outs)
        mask |= self.out_mask
        try:
            return self.packer(mask, len(slots))(self.address, mask, total, threads, *slots), outs
        except (struct.error, OverflowError):
            return None

    def _shape(self, args: Sequence[Any]) -> tuple[int, ...]:
        """Return the shape of the outputs; remembered, because NumPy takes long to find it."""
        key = tuple([a.shape for a, raw in zip(args, self.raw, strict=True) if type(a) is np.ndarray and not raw])
        found = _shapes.get(key)
        if found is None:
            if len(_shapes) > _LIMIT:
                _shapes.clear()
            found = _shapes[key] = np.broadcast_shapes(*key)
        return found


class StepCall(ElementwiseCall):
    """A kernel that writes into rows of other widths: compiled for the loops of `recurrence` alone."""

    def __call__(self, args: Sequence[Any], lead: np.ndarray, threads: int) -> Any:
        """Leave single calls to NumPy."""
        return NotImplemented


class UpdateCall(ElementwiseCall):
    """A kernel that changes its last arguments."""

    def update(self, args: Sequence[Any], threads: int) -> bool:
        """Run it; return whether it could be run."""
        slots: list[Any] = []
        mask = 0
        for k, a in enumerate(args):
            if type(a) is np.ndarray and a.ndim:
                slots.append(id(a))
                mask |= 1 << k
            else:
                slots.append(float(a))
        if any(not a.flags.writeable for a in args[len(self.raw) :]):
            return False
        packed = self.packer(mask, len(slots))(self.address, mask, args[-1].size, threads, *slots)
        return not self.run(packed)


class ReductionCall(_Compiled):
    """A reduction, to be called with the arguments of the kernel."""

    def __init__(self, kernel: Any, wide: np.dtype, library: Any, runtime: Any) -> None:
        super().__init__(kernel, wide, runtime)
        folds = [kernel.cpu.first.map, *kernel.cpu.second[:2]] if kernel.cpu else [kernel.map, kernel.reduce]
        self.described = _Reduction(
            _addresses(library, kernel, wide, _FOLDING), len(kernel.ins), len(kernel.outs), _weight(kernel, *folds),
            _Bytes(*self.letters.encode()), _flags([elementwise.late(kernel, p) for p in kernel.ins]),
            _Bytes(*(elementwise.loose_of(kernel, p) for p in kernel.ins)),
        )  # fmt: skip
        self.address = ctypes.addressof(self.described)
        self.run = runtime.cunet_reduce
        self.count = len(kernel.ins)
        self.out_mask = ((1 << len(kernel.outs)) - 1) << self.count
        self._plans: dict[Any, Any] = {}

    def __call__(self, args: Sequence[Any], lead: np.ndarray, threads: int, axis: Any, keepdims: bool) -> Any:
        """Return the outputs, or NotImplemented where NumPy has to do it."""
        packed = self.pack(args, lead, threads, axis, keepdims)
        if packed is None or self.run(packed[0], *packed[2:]):
            return NotImplemented
        outs = packed[1]
        return outs[0] if len(outs) == 1 else tuple(outs)

    def pack(
        self, args: Sequence[Any], lead: np.ndarray, threads: int, axis: Any = None, keepdims: bool = False
    ) -> Any:
        """Return the call, the outputs, yet to be filled, the shape as bytes and the range of axes; None: NumPy's."""
        shape = lead.shape
        key = (shape, axis, keepdims)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plan(shape, axis, keepdims)
            if len(self._plans) > _LIMIT:
                self._plans.clear()
            self._plans[key] = plan
        if not plan or len(args) != self.count:
            return None
        out_shape, axes, first, end = plan
        slots: list[Any] = []
        mask = 0
        for a, letter, bit in zip(args, self.letters, _BITS, strict=False):
            if type(a) is np.ndarray:
                slots.append(id(a))
                mask |= bit
            else:
                value = a if type(a) is float and letter in "fd" else self.number(a, letter)
                if value is None:
                    return None
                slots.append(value)
        outs = [np.empty(out_shape, dtype) for dtype in self.dtypes]
        slots += map(id, outs)
        mask |= self.out_mask
        return self.packer(mask, len(slots))(self.address, mask, len(shape), threads, *slots), outs, axes, first, end

    def _plan(self, shape: tuple[int, ...], axis: Any, keepdims: bool) -> Any:
        """Return the shape of the outputs and the range of axes to fold; () if these are no neighbours."""
        ndim = len(shape)
        given = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        if any(not -ndim <= k < ndim for k in given):
            return ()
        axes = sorted({k % ndim for k in given})
        if not axes or axes[-1] - axes[0] + 1 != len(axes):
            return ()
        first, end = axes[0], axes[-1] + 1
        middle = (1,) * len(axes) if keepdims else ()
        return (*shape[:first], *middle, *shape[end:]), struct.pack(f"<{ndim}q", *shape), first, end


_STEP = struct.Struct("<QQqq").pack
_BYTES = bytes.__basicsize__ - 1  # from a bytes object to its bytes; `cunet.native` checks it


def together(packed: Sequence[Any], lead: np.ndarray, runtime: Any) -> bool:
    """Run packed calls on a block of the first axis of `lead` at a time; return whether they could be run."""
    steps = b""
    for call, _, *fold in packed:
        shape, first, end = fold or (None, 0, 0)
        steps += _STEP(id(call) + _BYTES, id(shape) + _BYTES if shape else 0, first, end)
    return not runtime.cunet_together(steps, len(packed), len(lead), lead.size)
