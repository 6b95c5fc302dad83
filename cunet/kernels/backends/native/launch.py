"""Calls of compiled kernels: what Python hands over, and how much that may cost (a few microseconds)."""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ...spec import Definition, Warps, single
from . import text
from .status import refused, result

BITS = tuple(1 << k for k in range(32))
LIMIT = 4096  # shapes that are remembered
_OPERANDS = 32  # of a call, at most
Bytes = ctypes.c_uint8 * _OPERANDS  # c_char would end at the first 0
Packed = tuple[bytes, list[np.ndarray]]


class _Kernel(ctypes.Structure):
    _fields_ = [
        ("pieces", ctypes.c_void_p * 3),
        ("inputs", ctypes.c_int32), ("outputs", ctypes.c_int32), ("weight", ctypes.c_int32),
        ("letters", Bytes), ("raw", Bytes), ("factor", Bytes),
    ]  # fmt: skip


def addresses(library: Any, kernel: Definition, wide: np.dtype, names: Sequence[str]) -> Any:
    """Return where the functions of a kernel are, 0 for those that it lacks."""
    functions = [getattr(library, f"{text.symbol(kernel, wide)}_{name}", None) for name in names]
    found = [None if f is None else ctypes.cast(f, ctypes.c_void_p).value for f in functions]
    return (ctypes.c_void_p * len(names))(*found)


def flags(values: Sequence[Any]) -> Any:
    """Return a byte for each operand."""
    return Bytes(*(bool(v) for v in values))


class Host(Protocol):
    """What launchers ask of the backend."""

    threads: int

    def runtime(self, *besides: text.Unit) -> Any:
        """Return the library that runs compiled kernels; what comes `besides` is compiled with it."""

    def report(self, what: str, error: Exception) -> None:
        """Warn that NumPy has to do something, and why."""


class Launcher:
    """A compiled kernel for one dtype: its description in C, and how its arguments are packed."""

    def __init__(self, kernel: Definition, wide: np.dtype, native: Host) -> None:
        spec = kernel.spec
        self.name, self.wide, self.native, self.lead = spec.name, wide.char, native, kernel.lead
        self.letters = "".join(text.letter(p, wide) for p in spec.params)
        self.count = len(spec.ins)
        self.dtypes = [np.dtype(text.DTYPES[c]) for c in self.letters[self.count :]]
        self.out_mask = ((1 << len(spec.outs)) - 1) << self.count
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


class ElementwiseLauncher(Launcher):
    """An elementwise kernel."""

    def __init__(self, kernel: Definition, wide: np.dtype, library: Any, native: Host) -> None:
        super().__init__(kernel, wide, native)
        spec = kernel.spec
        self.described = _Kernel(
            addresses(library, kernel, wide, ("many", "few", "mixed")),
            len(spec.ins), len(spec.outs), self.weight(kernel),
            Bytes(*self.letters.encode()), flags([p.raw for p in spec.params]),
            Bytes(*(text.role(kernel, p) for p in spec.params)),
        )  # fmt: skip
        self.address = ctypes.addressof(self.described)
        self.launch = native.runtime().cunet_run
        self.raw = [p.raw for p in spec.ins]
        self.alike = not any(self.raw)
        self._shapes: dict[Any, tuple[int, ...]] = {}

    def weight(self, kernel: Definition) -> int:
        """Return the rough cost of an element, in tenths of nanoseconds."""
        return text.cost(kernel.spec, *kernel.spec.texts())

    def __call__(self, *args: Any) -> Any:
        """Return the outputs, or NotImplemented where NumPy has to do it."""
        packed = self.pack(*args)
        if packed is None:
            return NotImplemented
        if code := self.launch(packed[0]):
            return refused(code)
        outs = packed[1]
        return outs[0] if len(outs) == 1 else tuple(outs)

    def pack(self, *args: Any, shape: tuple[int, ...] | None = None, total: int = 0) -> Packed | None:
        """Return the call for the runtime and the outputs, yet to be filled; None where NumPy has to do it.

        Outputs have the `shape` that is given, for `total` indices, or that of the arguments.
        """
        lead = args[self.lead]
        lead_shape = lead.shape
        slots: list[Any] = []
        mask, alike = 0, self.alike
        for a, letter, bit in zip(args, self.letters, BITS, strict=False):
            if type(a) is np.ndarray:
                slots.append(id(a))
                mask |= bit
                if a.shape != lead_shape:
                    alike = False
            else:
                value = a if type(a) is float and letter in "fd" else self.number(a, letter)
                if value is None:
                    return None
                slots.append(value)
        if len(slots) != self.count:
            return None
        if shape is None:
            shape = lead_shape if alike else self._shape(args)
            total = lead.size if alike else math.prod(shape)
        outs = [np.empty(shape, dtype) for dtype in self.dtypes]
        slots += map(id, outs)
        mask |= self.out_mask
        try:
            return self.packer(mask, len(slots))(self.address, mask, total, self.native.threads, *slots), outs
        except (struct.error, OverflowError):
            return None

    def _shape(self, args: Sequence[Any]) -> tuple[int, ...]:
        """Return the shape of the outputs; remembered, because NumPy takes long to find it."""
        key = tuple([a.shape for a, raw in zip(args, self.raw, strict=True) if type(a) is np.ndarray and not raw])
        found = self._shapes.get(key)
        if found is None:
            if len(self._shapes) > LIMIT:
                self._shapes.clear()
            found = self._shapes[key] = np.broadcast_shapes(*key)
        return found


class GridLauncher(ElementwiseLauncher):
    """A grid kernel whose text counts warps; those over matrices are compiled for the loops of `recurrence` alone."""

    def __init__(self, kernel: Definition, wide: np.dtype, library: Any, native: Host) -> None:
        super().__init__(kernel, wide, library, native)
        self.warps = isinstance(kernel.attached.get("native"), Warps)

    def weight(self, kernel: Definition) -> int:
        """Return the rough cost of an index: a warp's is that of 512 elements."""
        return super().weight(kernel) * 512

    def __call__(self, *args: Any, shape: tuple[int, ...] | None = None, threads: int | None = None) -> Any:
        """Return the outputs, or NotImplemented where NumPy has to do it."""
        if not self.warps or shape is None or threads is None:
            return NotImplemented
        packed = self.pack(*args, shape=shape, total=threads // 32)
        if packed is None:
            return NotImplemented
        code = self.launch(packed[0])
        return refused(code) if code else single(packed[1])


class InplaceLauncher(ElementwiseLauncher):
    """A kernel that changes its last arguments."""

    def __call__(self, *args: Any) -> Any:
        """Run it; return None, or NotImplemented where NumPy has to do it."""
        if len(args) != len(self.letters) or not all(map(_writeable, args[self.count :])):
            return NotImplemented
        slots: list[Any] = []
        mask = 0
        for k, a in enumerate(args):
            if type(a) is np.ndarray and a.ndim:
                slots.append(id(a))
                mask |= 1 << k
            else:
                slots.append(float(a))
        packed = self.packer(mask, len(slots))(self.address, mask, args[-1].size, self.native.threads, *slots)
        code = self.launch(packed)
        return refused(code) if code else None


def _writeable(a: Any) -> bool:
    return type(a) is np.ndarray and a.ndim > 0 and a.flags.writeable


_STEP = struct.Struct("<QQqq").pack
_BYTES = bytes.__basicsize__ - 1  # from a bytes object to its bytes; `build.check_runtime` checks it


def together(packed: Sequence[Any], lead: np.ndarray, runtime: Any) -> bool:
    """Run packed calls on a block of the first axis of `lead` at a time; return whether they could be run."""
    steps = b""
    for call, _, *fold in packed:
        shape, first, end = fold or (None, 0, 0)
        steps += _STEP(id(call) + _BYTES, id(shape) + _BYTES if shape else 0, first, end)
    return not result(runtime.cunet_together(steps, len(packed), len(lead), lead.size))
