"""Kernels with an index space of their own, as CuPy's ElementwiseKernel."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ....random.generator import Counted
from ...grammar import Param
from ...spec import Definition, GridSpec, arithmetic, single
from .elementwise import device_text, program_of
from .types import c_type, placeholders


def run(
    kernel: Definition, xp: Any, args: tuple[Any, ...], shape: tuple[int, ...] | None = None, threads: int | None = None
) -> Any:
    """Return the outputs: arrays that are given after the inputs, or new ones of `shape`.

    A number may be given as a `Counted`, which the kernel reads where it lies.
    """
    spec = kernel.spec
    assert isinstance(spec, GridSpec)
    dtype = spec.dtype(args)
    ins, outs = list(args[: len(spec.ins)]), list(args[len(spec.ins) :])
    if not outs:
        outs = [xp.empty(shape, placeholders(dtype).get(p.type, p.type)) for p in spec.outs]
    if spec.space == ("row", "column"):
        ins.append(next(a.shape[-1] for p, a in zip(spec.params, args, strict=False) if not p.raw))
    if Counted not in map(type, ins):
        made = program_of(kernel, xp, dtype)
    else:
        made = _reading(kernel, xp, dtype, tuple([k for k, a in enumerate(ins) if type(a) is Counted]))
        ins = [part for a in ins for part in ((a.array, np.uint64(a.offset)) if type(a) is Counted else (a,))]
    if threads is None:
        made(*ins, *outs)
    elif threads:
        made(*ins, *outs, size=threads)
    return single(outs)


def _reading(kernel: Definition, xp: Any, dtype: np.dtype, counted: tuple[int, ...]) -> Any:
    """Return CuPy's kernel for data of `dtype` that reads some of its numbers, and adds an offset to each."""
    found = kernel.prepared.get((xp, dtype, counted))
    if found is None:
        ins, first = [], ""
        for k, p in enumerate(kernel.spec.ins):
            if k in counted:
                ins += [Param("raw", p.type, f"{p.name}_there"), Param("", p.type, f"{p.name}_more")]
                first += f"const {c_type(p.type)} {p.name} = {p.name}_there[0] + {p.name}_more;\n"
            else:
                ins.append(p)
        spec = dataclasses.replace(kernel.spec, ins=tuple(ins), operation=first + kernel.spec.texts()[0])  # type: ignore[call-arg]
        *texts, preamble = device_text(spec, arithmetic(dtype))
        found = kernel.prepared[xp, dtype, counted] = xp.ElementwiseKernel(*texts, kernel.name, preamble=preamble)
    return found
