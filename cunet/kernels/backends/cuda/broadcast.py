"""Elementwise kernels of many elements, run row by row as rowwise kernels are.

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
from ...grammar import Param
from ...spec import Definition, KernelSpec
from . import tuning as settings
from .recipes import Recipe
from .rowwise import Shape, Text, launch, taking
from .types import c_type, placeholders


class InRows(NamedTuple):
    """An elementwise kernel as one over rows: the text, the shapes of rows and of values for them."""

    text: Text
    shape: Shape
    kept: tuple[int, ...]


def recipe(kernel: Definition, xp: Any, dtype: np.dtype, plan: InRows, args: Sequence[Any]) -> Recipe:
    """Return what runs an elementwise kernel that works in rows, for arguments like these."""
    types = placeholders(dtype)
    takes = [taking(xp, p, a, types, plan.kept) for p, a in zip(plan.text.ins, args, strict=True)]
    given = [a if take is None else take(a) for take, a in zip(takes, args, strict=True)]
    full = args[kernel.lead].shape
    outs = [(full, types[p.type]) for p in plan.text.outs]
    return Recipe(takes, outs, [launch(kernel, xp, dtype, plan.text, given, plan.shape)])


def fits(spec: KernelSpec) -> bool:
    """Tell whether an elementwise kernel may work in rows: its text asks for no index, its outputs are of the data."""
    plain = all(not p.raw and c_type(p.type) for p in spec.ins) and all(p.type in "TA" for p in spec.outs)
    plain = plain and not {"count", "j", "at"} & {p.name for p in spec.params}
    return plain and not re.search(r"\bi\b", spec.texts()[0])


def _axes(a: Any, full: tuple[int, ...]) -> list[int]:
    """Return the axes of the shape `full` along which an array differs."""
    return [k + len(full) - a.ndim for k, n in enumerate(a.shape) if n > 1]


def plan(kernel: Definition, args: Sequence[Any]) -> InRows | None:
    """Return how to cut arguments into rows, or None where CuPy's own kernel does."""
    if getattr(args[kernel.lead], "size", 0) < settings.tuning.broadcast or not fits(kernel.spec):
        return None
    arrays = [a for a in args if is_array(a)]
    full = np.broadcast_shapes(*[a.shape for a in arrays])
    if any(a.shape == full and not a.flags.c_contiguous for a in arrays):
        return None
    data = [a for p, a in zip(kernel.spec.ins, args, strict=True) if p.type == "T"]
    if any(not is_array(a) or a.shape != full for a in data):
        return None
    parts = [a for a in arrays if a.shape != full and a.size > 1]
    return _in_rows(kernel, args, full, parts) if parts else _flat(kernel, args, full)


def _in_rows(kernel: Definition, args: Sequence[Any], full: tuple[int, ...], parts: Sequence[Any]) -> InRows | None:
    """Return how to cut arguments of which `parts` are broadcast.

    Rows are as long as may be, where the arrays that are no values for rows have one value for each place in a row.
    """
    sizes = [math.prod(full[k:]) for k in range(len(full))]
    uses = [(_axes(a, full), a.size) for a in parts]
    cuts = [k for k in range(1, len(full)) if all(u[-1] < k or (u[0] >= k and n == sizes[k]) for u, n in uses)]
    if not cuts:
        return None
    cut, limits = cuts[0], settings.tuning
    rows, length = math.prod(full[:cut]), math.prod(full[cut:])
    if length < limits.narrow_row or (rows < limits.few_rows and length > limits.wide_row):
        return None
    return _cut_at(kernel, args, full, cut, Shape(rows, length, rows * length))


def _flat(kernel: Definition, args: Sequence[Any], full: tuple[int, ...]) -> InRows | None:
    """Return how to cut arrays of one shape into rows that a block loads at once."""
    lead, limits = args[kernel.lead], settings.tuning
    if lead.size < limits.flat:
        return None
    length = limits.block * limits.held * (16 // lead.dtype.itemsize)
    return _cut_at(kernel, args, full, 0, Shape(-(-lead.size // length), length, lead.size))


def _cut_at(kernel: Definition, args: Sequence[Any], full: tuple[int, ...], cut: int, shape: Shape) -> InRows | None:
    """Return the plan where the axes from `cut` on make a row; None for arrays of integers, one value an element."""
    ins, spec = [], kernel.spec
    for p, a in zip(spec.ins, args, strict=True):
        place, kind = "", p.type
        if is_array(a) and a.shape != full:
            place = "row" if a.size == 1 or _axes(a, full)[-1] < cut else "col"
        if place == "col" and kind != "A":  # which are loaded several at once, as numbers to compute with
            if kind != "bool":
                return None
            kind = "A"
        ins.append(Param(place, kind, p.name))
        if not place and is_array(a) and p.type not in "TA":
            return None
    outs = tuple([Param("", p.type, p.name) for p in spec.outs])
    text = Text(spec.name, tuple(ins), outs, f"each({spec.texts()[0].strip().rstrip(';')})", spec.preamble)
    return InRows(text, shape, full[:cut] + (1,) * (len(full) - cut))
