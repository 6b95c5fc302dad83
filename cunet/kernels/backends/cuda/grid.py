"""Kernels with an index space of their own, as CuPy's ElementwiseKernel."""

from __future__ import annotations

from typing import Any

from ...spec import Definition, GridSpec, single
from .elementwise import program_of
from .types import placeholders


def run(
    kernel: Definition, xp: Any, args: tuple[Any, ...], shape: tuple[int, ...] | None = None, threads: int | None = None
) -> Any:
    """Return the outputs: arrays that are given after the inputs, or new ones of `shape`."""
    spec = kernel.spec
    assert isinstance(spec, GridSpec)
    dtype = spec.dtype(args)
    ins, outs = list(args[: len(spec.ins)]), list(args[len(spec.ins) :])
    if not outs:
        outs = [xp.empty(shape, placeholders(dtype).get(p.type, p.type)) for p in spec.outs]
    if spec.space == ("row", "column"):
        ins.append(next(a.shape[-1] for p, a in zip(spec.params, args, strict=False) if not p.raw))
    if threads is None:
        program_of(kernel, xp, dtype)(*ins, *outs)
    elif threads:
        program_of(kernel, xp, dtype)(*ins, *outs, size=threads)
    return single(outs)
