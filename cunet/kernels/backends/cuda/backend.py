"""The CUDA backend: what it runs for a kernel whose arguments are on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....device import array_module
from ...spec import Definition
from ..agreement import compare
from . import elementwise, grid, inplace, reduction, rowwise

_BY_KIND = {
    "elementwise": elementwise.run,
    "reduction": reduction.run,
    "rowwise": rowwise.run,
    "grid": grid.run,
    "inplace": inplace.run,
}


def run(kernel: Definition, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Run a call by what is attached for GPUs, else by what is made of the kernel's text; NotImplemented elsewhere."""
    xp = array_module(*args)
    if xp is np:
        return NotImplemented
    attached = kernel.attached.get("cuda")
    if attached is not None:
        result = attached(*args, **options)
        if result is not NotImplemented:
            return result
    by_kind: Any = _BY_KIND.get(kernel.spec.kind)
    if by_kind is None:
        return NotImplemented
    if not kernel.ours:
        _compare_once(kernel, xp, args, options, by_kind)
    return by_kind(kernel, xp, args, **options)


def _compare_once(kernel: Definition, xp: Any, args: tuple[Any, ...], options: dict[str, Any], by_kind: Any) -> None:
    """See whether a user's text and body agree, at the first call in a dtype."""
    lead = args[kernel.lead]
    key = ("compared", xp.__name__, (lead[0] if isinstance(lead, list) else lead).dtype.name)
    if key not in kernel.prepared:
        kernel.prepared[key] = True
        compare(kernel, args, options, lambda *a, **o: by_kind(kernel, xp, a, **o), "compiled for the GPU")
