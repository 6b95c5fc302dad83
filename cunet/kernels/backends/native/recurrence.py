"""Loops over time in the runtime: see ``recurrence.cpp``."""

from __future__ import annotations

import ctypes as c
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...spec import Definition
from . import products
from .backend import native
from .functions import admit, lies_well
from .recorder import called
from .status import result

_MOST = 16  # operands of a kernel


class _Place(c.Structure):
    _fields_ = [("data", c.c_void_p), ("step", c.c_int64), ("row", c.c_int64)]


class _Recurrence(c.Structure):
    _fields_ = [
        ("kernel", c.c_void_p), ("letter", c.c_int32), ("operands", c.c_int32),
        ("product_first", c.c_int32), ("threads", c.c_int32),
        ("steps", c.c_int64), ("batch", c.c_int64), ("width", c.c_int64), ("running", c.c_void_p),
        ("source", _Place), ("target", _Place), ("mask", _Place), ("extra", _Place), ("masked", _Place),
        ("weight", c.c_void_p), ("inner", c.c_int64), ("outer", c.c_int64), ("operand", _Place * _MOST),
    ]  # fmt: skip


def _place(a: np.ndarray | None) -> Any:
    """Say where the rows of an array of shape (T, N, ...), (N, ...) or (...) lie."""
    if a is None:
        return _Place()
    step, row = (0,) * (3 - a.ndim) + a.strides[:-1]
    return _Place(a.ctypes.data, step, row)


def _lies_in_rows(a: np.ndarray) -> bool:
    """Tell whether the rows of an array can be read, and written, where they are."""
    return lies_well(a) and (a.shape[-1] <= 1 or a.strides[-1] == a.itemsize)


def run(
    kernel: Definition,
    args: Sequence[Any],
    factors: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    running: Sequence[int],
    product_first: bool,
    mask: np.ndarray | None,
    extra: np.ndarray | None,
) -> bool:
    """Go through all steps; return whether that could be done.

    Args:
        kernel: of one step, and what it takes and writes, as arrays of shape (T, N, ...) in the order of the loop, or
            (N, ...) where it is the same array in every step.
        args: its inputs and outputs.
        factors: ``(x, w, y)`` of the product ``y = x @ w`` in every step.
        running: how many rows there are in each step.
        product_first: whether the product comes before the kernel.
        mask: shape (N, ...) or None: what x is multiplied by, or y where the kernel comes first.
        extra: shape (N, ...) or (...), or None: what is added to y.
    """
    x, weight, y = factors
    arrays = [a for a in (*args, *factors, mask, extra) if a is not None]
    usable = native.active and all(map(_lies_in_rows, arrays)) and admit(*arrays) is not None
    made = usable and all(a.size for a in arrays) and native.prepare(kernel, x.dtype.char)
    launcher = made and native.launcher(kernel, x.dtype.char)
    if not launcher or not products.bound() or not weight.flags.c_contiguous or len(args) >= _MOST:
        return False
    if any(a.strides[-2] < a.shape[-1] * a.itemsize for a in (x, y)):  # BLAS wants rows one behind the other
        return False
    width = c.c_int64(weight.shape[not product_first])
    places = [*map(_place, args), _Place(c.addressof(width), 0, 0)]
    masked = np.empty(x.shape[-2:], x.dtype) if mask is not None and product_first else None
    counts = (c.c_int64 * len(running))(*running)
    call = _Recurrence(
        launcher.described.pieces[0], ord(x.dtype.char), len(places), product_first, native.threads,
        len(running), y.shape[-2], width.value, c.addressof(counts),
        *map(_place, (x, y, mask, extra, masked)), weight.ctypes.data, *weight.shape, (_Place * _MOST)(*places),
    )  # fmt: skip
    outs = len(kernel.spec.ins)
    named = {"source": x, "target": y, "mask": mask, "extra": extra, "masked": masked, "weight": weight}
    factor = [(getattr(_Recurrence, key).offset, a, key in ("target", "masked")) for key, a in named.items()]
    step = [(_operand_at(k), a, k >= outs) for k, a in enumerate(args)]
    given = factor + step if product_first else step + factor  # what the first writes, the second may read
    beside = [(_Recurrence.running.offset, bytes(counts)), (_operand_at(len(args)), bytes(width))]
    recur = native.runtime().cunet_recur
    result(products.with_panels(x.dtype.char, lambda: called(recur, bytes(call), given, beside)))
    return True


def _operand_at(k: int) -> int:
    return int(_Recurrence.operand.offset) + k * c.sizeof(_Place)
