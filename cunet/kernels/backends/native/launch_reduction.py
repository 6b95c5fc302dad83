"""Calls of compiled reductions."""

from __future__ import annotations

import ctypes
import struct
from typing import Any

import numpy as np

from ...spec import Definition
from . import text
from .launch import BITS, LIMIT, Bytes, Host, Launcher, addresses, flags
from .status import refused


class _Reduction(ctypes.Structure):
    _fields_ = [
        ("functions", ctypes.c_void_p * 11),
        ("inputs", ctypes.c_int32), ("outputs", ctypes.c_int32), ("weight", ctypes.c_int32),
        ("lead", ctypes.c_int32), ("letters", Bytes), ("post_only", Bytes), ("factor", Bytes),
    ]  # fmt: skip


#: The functions of a reduction, in the order of `Folding` in the runtime.
_FOLDING = (
    "first_start", "start", "first_fold_many", "first_fold_few", "fold_many", "fold_few", "between", "finish",
    "rows_many", "rows_few", "rows_mixed",
)  # fmt: skip


class ReductionLauncher(Launcher):
    """A reduction."""

    def __init__(self, kernel: Definition, wide: np.dtype, library: Any, native: Host) -> None:
        super().__init__(kernel, wide, native)
        spec, passes = kernel.spec, text.two_pass(kernel)
        folds = [passes.first.map, *passes.second[:2]] if passes else spec.texts()[:2]
        self.described = _Reduction(
            addresses(library, kernel, wide, _FOLDING), len(spec.ins), len(spec.outs), text.cost(spec, *folds),
            self.lead, Bytes(*self.letters.encode()), flags([text.post_only(kernel, p) for p in spec.ins]),
            Bytes(*(text.role(kernel, p) for p in spec.ins)),
        )  # fmt: skip
        self.address = ctypes.addressof(self.described)
        self.launch = native.runtime().cunet_reduce
        self._plans: dict[Any, Any] = {}

    def __call__(self, *args: Any, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the outputs, or NotImplemented where NumPy has to do it."""
        packed = self.pack(*args, axis=axis, keepdims=keepdims)
        if packed is None:
            return NotImplemented
        if code := self.launch(packed[0], *packed[2:]):
            return refused(code)
        outs = packed[1]
        return outs[0] if len(outs) == 1 else tuple(outs)

    def pack(self, *args: Any, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the call, the outputs, yet to be filled, the shape as bytes and the range of axes; None: NumPy's."""
        shape = args[self.lead].shape
        key = (shape, axis, keepdims)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plan(shape, axis, keepdims)
            if len(self._plans) > LIMIT:
                self._plans.clear()
            self._plans[key] = plan
        if not plan or len(args) != self.count:
            return None
        out_shape, axes, first, end = plan
        slots: list[Any] = []
        mask = 0
        for a, letter, bit in zip(args, self.letters, BITS, strict=False):
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
        call = self.packer(mask, len(slots))(self.address, mask, len(shape), self.native.threads, *slots)
        return call, outs, axes, first, end

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
