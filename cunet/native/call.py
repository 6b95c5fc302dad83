"""Calls of compiled kernels: what Python hands over, and how much that may cost (a few microseconds)."""

from __future__ import annotations

import ctypes
import math
import re
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import text

_MATHS = re.compile(r"\b(exp|expm1|log|log1p|tanh|erf|erfc|normcdf|pow|sin|cos|softmax_join|moments_join|philox4x64)\b")
_BITS = tuple(1 << k for k in range(32))
_LIMIT = 4096  # shapes that are remembered
_shapes: dict[Any, tuple[int, ...]] = {}


_Bytes = ctypes.c_uint8 * 32  # c_char would end at the first 0


class _Kernel(ctypes.Structure):
    _fields_ = [
        ("many", ctypes.c_void_p), ("few", ctypes.c_void_p),
        ("inputs", ctypes.c_int32), ("outputs", ctypes.c_int32), ("weight", ctypes.c_int32),
        ("letters", _Bytes), ("raw", _Bytes), ("loose", _Bytes),
    ]  # fmt: skip


class _Reduction(ctypes.Structure):
    _fields_ = [
        ("start", ctypes.c_void_p), ("fold", ctypes.c_void_p), ("halve", ctypes.c_void_p), ("finish", ctypes.c_void_p),
        ("inputs", ctypes.c_int32), ("outputs", ctypes.c_int32), ("fields", ctypes.c_int32), ("weight", ctypes.c_int32),
        ("letters", _Bytes), ("number", _Bytes),
    ]  # fmt: skip


def _address(library: Any, name: str) -> int | None:
    function = getattr(library, name, None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value


def _flags(values: Sequence[Any]) -> Any:
    return _Bytes(*(bool(v) for v in values))


def _weight(kernel: Any, *texts: str) -> int:
    calls = len(_MATHS.findall(" ".join(texts)))
    return len(kernel.ins) + len(kernel.outs) + 5 * calls + 2 * "".join(texts).count("/")


class _Compiled:
    """A kernel for one dtype: its description in C, and how its arguments are packed."""

    def __init__(self, kernel: Any, wide: np.dtype, runtime: Any) -> None:
        self.name = kernel.name
        self.wide = wide.char
        params = (*kernel.ins, *kernel.outs)
        self.letters = "".join(text.letter(p, wide) or "" for p in params)
        self.dtypes = [np.dtype(text.DTYPES[c]) for c in self.letters[len(kernel.ins) :]]
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
        symbol = text.symbol(kernel, wide)
        self.described = _Kernel(
            _address(library, f"{symbol}_many"), _address(library, f"{symbol}_few"),
            len(kernel.ins), len(kernel.outs), _weight(kernel, kernel.operation) * (512 if kernel.per_thread else 1),
            _Bytes(*self.letters.encode()), _flags([p.raw for p in params]),
            _flags([p.type != "T" and not p.raw and p in kernel.ins for p in params]),
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
                    return NotImplemented
                slots.append(value)
        if len(slots) != self.count:
            return NotImplemented
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
            packed = self.packer(mask, len(slots))(self.address, mask, total, threads, *slots)
        except (struct.error, OverflowError):
            return NotImplemented
        if self.run(packed):
            return NotImplemented
        return outs[0] if len(outs) == 1 else tuple(outs)

    def _shape(self, args: Sequence[Any]) -> tuple[int, ...]:
        """Return the shape of the outputs; remembered, because NumPy takes long to find it."""
        key = tuple([a.shape for a, raw in zip(args, self.raw, strict=True) if type(a) is np.ndarray and not raw])
        found = _shapes.get(key)
        if found is None:
            if len(_shapes) > _LIMIT:
                _shapes.clear()
            found = _shapes[key] = np.broadcast_shapes(*key)
        return found


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
        symbol = text.symbol(kernel, wide)
        numbers = [re.search(rf"\b{p.name}\b", kernel.post) for p in kernel.ins]
        self.described = _Reduction(
            *(_address(library, f"{symbol}_{part}") for part in ("start", "fold", "halve", "finish")),
            len(kernel.ins), len(kernel.outs), max(1, len(text.fields(kernel) or ())),
            _weight(kernel, kernel.map, kernel.reduce), _Bytes(*self.letters.encode()), _flags(numbers),
        )  # fmt: skip
        self.address = ctypes.addressof(self.described)
        self.run = runtime.cunet_reduce
        self.count = len(kernel.ins)
        self.out_mask = ((1 << len(kernel.outs)) - 1) << self.count
        self._plans: dict[Any, Any] = {}

    def __call__(self, args: Sequence[Any], lead: np.ndarray, axis: Any, keepdims: bool, threads: int) -> Any:
        """Return the outputs, or NotImplemented where NumPy has to do it."""
        shape = lead.shape
        key = (shape, axis, keepdims)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plan(shape, axis, keepdims)
            if len(self._plans) > _LIMIT:
                self._plans.clear()
            self._plans[key] = plan
        if not plan or len(args) != self.count:
            return NotImplemented
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
                    return NotImplemented
                slots.append(value)
        outs = [np.empty(out_shape, dtype) for dtype in self.dtypes]
        slots += map(id, outs)
        mask |= self.out_mask
        packed = self.packer(mask, len(slots))(self.address, mask, len(shape), threads, *slots)
        if self.run(packed, axes, first, end):
            return NotImplemented
        return outs[0] if len(outs) == 1 else tuple(outs)

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
