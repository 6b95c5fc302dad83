"""The NumPy backend: it can run everything, by the kernels' own bodies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....device import is_array, is_half
from ....system.cpu import keep_memory
from ....system.quiet import IGNORED, errors, quiet
from ...axes import reduced_shape
from ...spec import Definition, InplaceSpec, KernelSpec, single
from . import blocks
from . import tuning as settings

keep_memory()
_WIDE = frozenset({np.dtype(np.float32), np.dtype(np.float64)})  # what is computed as it is


def run(kernel: Definition, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Run a call by what is attached for NumPy, or by the body, in blocks where that is faster.

    A primitive's own body serves other arrays too, and is left to the dispatcher.
    """
    attached = kernel.attached.get("numpy")
    if attached is not None and isinstance(args[kernel.lead], np.ndarray):
        result = attached(*args, **options)
        if result is not NotImplemented:
            return result
    by_kind = _BY_KIND.get(kernel.spec.kind)
    return NotImplemented if by_kind is None else by_kind(kernel, args, options)


def body(kernel: Definition, args: Sequence[Any], options: dict[str, Any]) -> Any:
    """Run the NumPy body: silently, and in float32 for half types."""
    spec, lead = kernel.spec, args[kernel.lead]
    wide = type(lead) is np.ndarray and lead.dtype in _WIDE
    dtype = lead.dtype if wide else spec.dtype(args)
    token = errors.set(IGNORED)
    try:
        if wide or not is_half(dtype):
            return spec.body(*args, **options)
        args = [
            a.astype(np.float32) if param.type == "T" and hasattr(a, "dtype") else a
            for param, a in zip(spec.params, args, strict=False)
        ]
        result = spec.body(*args, **options)
        if isinstance(result, tuple):
            return tuple(r.astype(dtype) if p.type == "T" else r for p, r in zip(spec.outs, result, strict=True))
        return result.astype(dtype) if spec.outs[0].type == "T" else result
    finally:
        errors.reset(token)


def _elementwise(kernel: Definition, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    spec, lead = kernel.spec, args[kernel.lead]
    if type(lead) is np.ndarray and lead.size >= settings.tuning.long and lead.dtype.char in "fd" and cuttable(spec):
        result = blocks.cut(spec.body, args, lead, [lead.dtype] * len(spec.outs))
        if result is not NotImplemented:
            return result
    return body(kernel, args, options)


def cuttable(spec: KernelSpec) -> bool:
    """Tell whether a body works element by element: those with integers may look along an axis."""
    return all(p.type in ("T", "A") and not p.raw for p in spec.params)


def _reduction(kernel: Definition, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    axes = {"axis": options.get("axis"), "keepdims": options.get("keepdims", False)}
    lead = args[kernel.lead]
    if type(lead) is np.ndarray and lead.size >= settings.tuning.threaded:
        outs = outputs(kernel, args, axes)
        if outs is not None and blocks.rows([blocks.Call(kernel.spec.body, args, axes, outs)], lead):
            return single(outs)
    return body(kernel, args, axes)


def _rowwise(kernel: Definition, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Run the body, which calls other kernels; it knows rows of one axis by itself."""
    axes = options.get("axes", 1)
    return kernel.spec.body(*args) if axes == 1 else kernel.spec.body(*args, axes=axes)


def _grid(kernel: Definition, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Run the body; it is told the shape of what it returns, or writes into arrays that are given."""
    given = args[len(kernel.spec.ins) :]
    result = body(kernel, args, {"shape": options["shape"]} if "shape" in options else {})
    if given and is_half(given[0].dtype):  # computed in float32, returned as new arrays
        blocks.fill(given, result)
        return single(given)
    return result


def _inplace(kernel: Definition, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    spec = kernel.spec
    assert isinstance(spec, InplaceSpec)
    size, dtype, step = args[-1].size, args[-1].dtype, settings.tuning.inplace
    arrays = [p.type == "T" for p in spec.params]
    values: list[Any] = [a if array else float(a) for a, array in zip(args, arrays, strict=True)]
    scratch = [np.empty(min(size, step), dtype) for _ in range(spec.scratch)]
    with quiet():
        for start in range(0, size, step):
            part = slice(start, min(start + step, size))
            parts = [a[part] if array else a for a, array in zip(values, arrays, strict=True)]
            spec.body(*parts, *[s[: part.stop - start] for s in scratch])


_BY_KIND: dict[str, Callable[[Definition, tuple[Any, ...], dict[str, Any]], Any]] = {
    "elementwise": _elementwise,
    "reduction": _reduction,
    "rowwise": _rowwise,
    "grid": _grid,
    "inplace": _inplace,
}


def outputs(kernel: Definition, args: Sequence[Any], axes: dict[str, Any]) -> list[np.ndarray] | None:
    """Return arrays for the outputs of a kernel's NumPy body, or None where only NumPy knows what these are."""
    spec, lead = kernel.spec, args[kernel.lead]
    known = type(lead) is np.ndarray and lead.dtype.char in "fd" and all(p.type in "TA" for p in spec.outs)
    params = list(zip(spec.ins, args, strict=False))
    if not known or any(p.type in "TA" and getattr(a, "dtype", lead.dtype) != lead.dtype for p, a in params):
        return None
    shape = np.broadcast_shapes(*[a.shape for p, a in params if is_array(a) and not p.raw])
    if axes:
        shape = reduced_shape(shape, axes.get("axis"), axes.get("keepdims", False))
    return [np.empty(shape, lead.dtype) for _ in spec.outs]


def deferred(kernel: Definition, args: Sequence[Any], options: dict[str, Any]) -> tuple[blocks.Call, Any] | None:
    """Return a call yet to be run with others, tile by tile, and its outputs; None if it cannot wait."""
    lead = args[kernel.lead]
    outs = outputs(kernel, args, options) if getattr(lead, "size", 0) >= settings.tuning.threaded else None
    return None if outs is None else (blocks.Call(kernel.spec.body, args, options, outs), outs)


def run_tiled(prepared: Sequence[tuple[blocks.Call, Any]], lead: np.ndarray) -> bool:
    """Run deferred calls on a block of the first axis of `lead` at a time; return whether they could be cut."""
    return blocks.rows([call for call, _ in prepared], lead)
