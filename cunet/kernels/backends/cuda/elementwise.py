"""Elementwise kernels for CuPy's ElementwiseKernel, which most of them are run by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...grammar import Param
from ...spec import Definition, GridSpec, KernelSpec, arithmetic
from . import broadcast
from . import tuning as settings
from .programs import program
from .recipes import known
from .types import prelude


def run(kernel: Definition, xp: Any, args: tuple[Any, ...]) -> Any:
    """Return the outputs: row by row where that is faster, else by CuPy's own kernel.

    Arrays for the outputs may follow the inputs, and be some of them.
    """
    lead = args[kernel.lead]
    if getattr(lead, "size", 0) < settings.tuning.broadcast or len(args) > len(kernel.spec.ins):
        made = kernel.prepared.get((xp, getattr(lead, "dtype", None)))
        return (made or program_of(kernel, xp, kernel.spec.dtype(args)))(*args)
    return known(kernel, xp, args, None, lambda: _recipe(kernel, xp, args))(xp, args)


def _recipe(kernel: Definition, xp: Any, args: tuple[Any, ...]) -> Callable[[Any, Sequence[Any]], Any]:
    """Return what runs arguments like these."""
    dtype = kernel.spec.dtype(args)
    plan = broadcast.plan(kernel, args)
    if plan:
        return broadcast.recipe(kernel, xp, dtype, plan, args)
    made = program_of(kernel, xp, dtype)
    return lambda xp, args: made(*args)


def program_of(kernel: Definition, xp: Any, dtype: np.dtype) -> Any:
    """Return CuPy's kernel for data of `dtype`."""
    found = kernel.prepared.get((xp, dtype))
    if found is None:
        wide = arithmetic(dtype)

        def make() -> Any:
            ins, outs, operation, preamble = device_text(kernel.spec, wide)
            return xp.ElementwiseKernel(ins, outs, operation, kernel.name, preamble=preamble)

        found = kernel.prepared[xp, dtype] = program(kernel, xp, make, wide.char)
    return found


def signature(params: Sequence[Param], wide: np.dtype, suffix: str = "") -> str:
    """Write parameters for CuPy: ``A`` as a concrete type, ``T`` names with `suffix`."""
    parts = []
    for p in params:
        kind = wide.name if p.type == "A" else p.type
        name = p.name + suffix if p.type == "T" and not p.raw else p.name
        parts.append(f"{'raw ' * p.raw}{kind} {name}")
    return ", ".join(parts)


#: Begins the body of a kernel over matrices; `width` is its last input.
_MATRIX = "const long long row = (long long)i / width, column = (long long)i - row * width;\n"


def device_text(spec: KernelSpec, wide: np.dtype) -> tuple[str, str, str, str]:
    """Return what CuPy is given for arithmetic type `wide`: inputs, outputs, operation, preamble.

    Each ``T`` parameter ``x`` is passed as ``x_`` and stands in the body as a variable of type ``A``.
    """
    matrix = isinstance(spec, GridSpec) and spec.space == ("row", "column")
    ins = (*spec.ins, Param("", "int64", "width")) if matrix else spec.ins
    loads = "".join(f"const A {p.name} = (A){p.name}_; " for p in spec.ins if p.type == "T" and not p.raw)
    stores = [p.name for p in spec.outs if p.type == "T" and not p.raw]
    declare = "".join(f"A {name}; " for name in stores)
    write = "".join(f" {name}_ = (T){name};" for name in stores)
    body = _MATRIX * matrix + spec.texts()[0].rstrip().rstrip(";")
    return (
        signature(ins, wide, "_"),
        signature(spec.outs, wide, "_"),
        f"{loads}{declare}{body};{write}",
        prelude(wide) + spec.preamble,
    )
