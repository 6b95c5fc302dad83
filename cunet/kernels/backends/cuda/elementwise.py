"""Elementwise kernels of many elements, run row by row on a device as those of `cunet.rowwise` are.

Where arrays are broadcast along rows or across them, CuPy would find the place of every argument by a few divisions in
each element, which costs more than the memory does; where none is, it would load one element a thread, of two bytes in
half types, instead of sixteen bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ....device import is_array
from . import common
from .rowwise import BLOCK, HELD, Shape, Spec, Text, launch, prepared

LONG = 1 << 17  # elements from which broadcast arrays are worth a kernel of their own
FLAT = 1 << 22  # the same where nothing is broadcast: below that a call costs the host more than the device
FEW, WIDE, NARROW = 256, 8192, 16  # rows fewer than that are not wider; none are narrower


class Plan(NamedTuple):
    """An elementwise kernel as one over rows: the text, the shapes of rows and of values for them."""

    text: Text
    shape: Shape
    kept: tuple[int, ...]


def run(kernel: Any, xp: Any, dtype: np.dtype, how: Plan, args: Sequence[Any]) -> Any:
    """Return the outputs of an elementwise kernel that works in rows."""
    types = {"T": dtype, "A": np.dtype(np.float64 if dtype == np.float64 else np.float32)}
    given = [prepared(xp, p, a, types, how.kept) for p, a in zip(how.text.ins, args, strict=True)]
    full = args[kernel._lead].shape
    outs = [xp.empty(full, types[p.type]) for p in how.text.outs]
    launch(kernel, xp, dtype, how.text, given, outs, how.shape)
    return outs[0] if len(outs) == 1 else tuple(outs)


def fits(kernel: Any) -> bool:
    """Tell whether an elementwise kernel may work in rows: its text asks for no index, its outputs are of the data."""
    plain = all(not p.raw and common.c_type(p.type) for p in kernel.ins) and all(p.type in "TA" for p in kernel.outs)
    plain = plain and not {"count", "j", "at"} & {p.name for p in (*kernel.ins, *kernel.outs)}
    return plain and not kernel.in_place and not kernel.per_thread and not re.search(r"\bi\b", kernel.operation)


def _axes(a: Any, full: tuple[int, ...]) -> list[int]:
    """Return the axes of the shape `full` along which an array differs."""
    return [k + len(full) - a.ndim for k, n in enumerate(a.shape) if n > 1]


def plan(kernel: Any, args: Sequence[Any]) -> Plan | None:
    """Return how to cut arguments into rows, or None where CuPy's own kernel does."""
    if getattr(args[kernel._lead], "size", 0) < LONG:
        return None
    arrays = [a for a in args if is_array(a)]
    full = np.broadcast_shapes(*[a.shape for a in arrays])
    parts = [a for a in arrays if a.shape != full and a.size > 1]
    if any(a.shape == full and not a.flags.c_contiguous for a in arrays):
        return None
    data = [a for p, a in zip(kernel.ins, args, strict=True) if p.type == "T"]
    if any(not is_array(a) or a.shape != full for a in data):
        return None
    if not parts:
        return _flat(kernel, args, full)
    # Rows as long as may be, of whose places the arrays that are no values for rows have one value each.
    sizes = [math.prod(full[k:]) for k in range(len(full))]
    uses = [(_axes(a, full), a.size) for a in parts]
    cuts = [k for k in range(1, len(full)) if all(u[-1] < k or (u[0] >= k and n == sizes[k]) for u, n in uses)]
    if not cuts:
        return None
    cut = cuts[0]
    rows, length = math.prod(full[:cut]), math.prod(full[cut:])
    if length < NARROW or (rows < FEW and length > WIDE):
        return None
    return _cut_at(kernel, args, full, cut, Shape(rows, length, rows * length))


def _flat(kernel: Any, args: Sequence[Any], full: tuple[int, ...]) -> Plan | None:
    """Return how to cut arrays of one shape into rows that a block loads at once."""
    lead = args[kernel._lead]
    if lead.size < FLAT:
        return None
    length = BLOCK * HELD * (16 // lead.dtype.itemsize)
    return _cut_at(kernel, args, full, 0, Shape(-(-lead.size // length), length, lead.size))


def _cut_at(kernel: Any, args: Sequence[Any], full: tuple[int, ...], cut: int, shape: Shape) -> Plan | None:
    """Return the plan where the axes from `cut` on make a row; None for arrays of integers, one value an element."""
    ins = []
    for p, a in zip(kernel.ins, args, strict=True):
        place = ""
        if is_array(a) and a.shape != full:
            place = "row" if a.size == 1 or _axes(a, full)[-1] < cut else "col"
        ins.append(Spec(p.name, p.type, place))
        if not place and is_array(a) and p.type not in "TA":
            return None
    outs = tuple([Spec(p.name, p.type, "") for p in kernel.outs])
    text = Text(kernel.name, tuple(ins), outs, f"each({kernel.operation.strip().rstrip(';')})", kernel.preamble)
    return Plan(text, shape, full[:cut] + (1,) * (len(full) - cut))
