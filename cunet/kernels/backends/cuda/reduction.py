"""Reductions: by CuPy's own kernels, or where those would be slow, as RawKernels made of the same text.

CuPy folds the columns of 65536 x 768 numbers in 24 blocks, and a struct over everything in one. Here a reduction over
the first or the last axes of contiguous arrays becomes a RawKernel: threads side by side read side by side, and where
there are few results each of them is folded in `parts`, in blocks of their own, whose running values a second launch
joins. Everything else is left to CuPy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...axes import folded_axes, reduced_shape
from ...grammar import Param
from ...spec import Definition, ReductionSpec, arithmetic, single
from . import tuning as settings
from .elementwise import signature
from .lanes import STATE_BYTES, lanes_of, vector_of
from .programs import program
from .recipes import Launch, Recipe, known
from .reduction_text import DEEP, LANES, Variant, text_of
from .types import c_type, on_device, placeholders, prelude


def run(kernel: Definition, xp: Any, args: tuple[Any, ...], axis: Any = None, keepdims: bool = False) -> Any:
    """Return the outputs, the axes `axis` folded away (kept with length 1 if `keepdims`)."""
    return known(kernel, xp, args, (axis, keepdims), lambda: _recipe(kernel, xp, args, axis, keepdims))(xp, args)


def _recipe(kernel: Definition, xp: Any, args: tuple[Any, ...], axis: Any, keepdims: bool) -> Callable[..., Any]:
    """Return what folds arguments like these."""
    spec = kernel.spec
    dtype = spec.dtype(args)
    types = placeholders(dtype)
    full = np.broadcast_shapes(*[a.shape for a in args if hasattr(a, "shape")])
    shape = reduced_shape(full, axis, keepdims)
    outs = [(shape, np.dtype(types.get(p.type, p.type))) for p in spec.outs]
    found = plan(kernel, xp, args, types, sorted(folded_axes(len(full), axis)))
    if found:
        rooms, launches = fold(kernel, xp, types, found)
        return Recipe(found.takes, outs, launches, rooms)
    program, options = program_of(kernel, xp, dtype), {"axis": axis if full else None, "keepdims": keepdims}

    def by_cupy(xp: Any, args: Sequence[Any]) -> Any:
        made = [xp.empty(*out) for out in outs]
        program(*args, *made, **options)  # CuPy returns only the first output and allocates the rest in vain: pass all
        return single(made)

    return by_cupy


def program_of(kernel: Definition, xp: Any, dtype: np.dtype) -> Any:
    """Return CuPy's kernel for data of `dtype`."""
    wide = arithmetic(dtype)

    def make() -> Any:
        *texts, state, preamble = device_text(reduction_of(kernel), wide)
        return xp.ReductionKernel(*texts, reduce_type=state, preamble=preamble)

    return program(kernel, xp, make, wide.char)


def device_text(spec: ReductionSpec, wide: np.dtype) -> tuple[str, ...]:
    """Return what CuPy is given for arithmetic type `wide`, in the order of `ReductionKernel`."""
    ins, outs = signature(spec.ins, wide), signature(spec.outs, wide)
    texts = (spec.map, spec.reduce, spec.post, spec.identity, spec.name, spec.state)
    return (ins, outs, *texts, prelude(wide) + spec.preamble)


def reduction_of(kernel: Definition) -> ReductionSpec:
    """Return the spec of a reduction."""
    assert isinstance(kernel.spec, ReductionSpec)
    return kernel.spec


def needs_cupy(spec: ReductionSpec) -> bool:
    """Tell whether the text of a reduction uses names that only CuPy's kernels know."""
    return any(re.search(r"\b_(in|out)_ind\b|\b_[jJi]\b", text) for text in (spec.map, spec.post))


class Partition(NamedTuple):
    """How a reduction is cut.

    Attributes:
        columns: the first axes are folded, else the last.
        length: values in each result; results: how many.
        kinds: of each argument: "all" (one value an element), "kept" (one a result), "folded" (one for each place along
            the folded axes), "one", "number".
        takes: for each argument what makes it one that a kernel takes, see `Recipe`.
        args: those that the arguments at hand become.
    """

    columns: bool
    length: int
    results: int
    kinds: tuple[str, ...]
    takes: list[Any]
    args: list[Any]


def plan(
    kernel: Definition, xp: Any, args: Sequence[Any], dtypes: dict[str, Any], axes: Sequence[int]
) -> Partition | None:
    """Return how to fold `args` over `axes`, or None where CuPy shall do it.

    Args:
        kernel: a reduction.
        xp: the array module.
        args: arrays and numbers.
        dtypes: what ``T`` and ``A`` stand for.
        axes: from 0, sorted.
    """
    spec = reduction_of(kernel)
    if any(p.raw or c_type(p.type) is None for p in spec.params) or needs_cupy(spec):
        return None
    shape = np.broadcast_shapes(*[a.shape for a in args if hasattr(a, "shape")])
    ndim, folded = len(shape), tuple(axes)
    kept = tuple(k for k in range(ndim) if k not in folded)
    last = folded == tuple(range(ndim - len(folded), ndim))
    if not folded or 0 in shape or not (last or folded == tuple(range(len(folded)))):
        return None
    found = [_placed(xp, p, a, dtypes, shape, folded, kept) for p, a in zip(spec.ins, args, strict=True)]
    if any(kind == "strided" for kind, _ in found):
        return None
    count, results = (math.prod(shape[k] for k in some) for some in (folded, kept))
    kinds, takes = zip(*found, strict=True)
    given = [a if take is None else take(a) for take, a in zip(takes, args, strict=True)]
    return Partition(not last, count, results, kinds, list(takes), given)


def _placed(
    xp: Any,
    p: Param,
    a: Any,
    dtypes: dict[str, Any],
    shape: tuple[int, ...],
    folded: Sequence[int],
    kept: Sequence[int],
) -> tuple[str, Callable[[Any], Any] | None]:
    """Return where the values of an argument lie, and what makes of it the argument that the kernel takes."""
    dtype = np.dtype(dtypes.get(p.type, p.type))
    if not on_device(a):
        return "number", dtype.type
    fits = p.type == "T" or a.dtype == dtype
    if a.size == 1:
        return "one", None if fits else lambda a: a.astype(dtype)
    full = (1,) * (len(shape) - a.ndim) + a.shape
    for kind, axes in (("kept", kept), ("folded", folded)):
        if all(n == 1 or k in axes for k, n in enumerate(full)):
            part = tuple(n if k in axes else 1 for k, n in enumerate(shape))
            if fits and a.flags.c_contiguous and full == part:
                return kind, None
            return kind, _stretching(xp, a.dtype if p.type == "T" else dtype, full, part)
    if full != shape or not a.flags.c_contiguous:
        return "strided", None
    return "all", None if fits else lambda a: a.astype(dtype)


def _stretching(xp: Any, dtype: np.dtype, full: tuple[int, ...], part: tuple[int, ...]) -> Callable[[Any], Any]:
    return lambda a: xp.ascontiguousarray(xp.broadcast_to(a.astype(dtype, copy=False).reshape(full), part))


def fold(kernel: Definition, xp: Any, dtypes: dict[str, Any], plan: Partition) -> tuple[list[int], list[Launch]]:
    """Return how a reduction is launched, once, or twice where its results are folded in parts, and bytes for parts."""
    limits, dtype = settings.tuning, dtypes["T"]
    blocks = -(-plan.results // LANES) if plan.columns else plan.results
    part = limits.part_down if plan.columns else limits.part_along
    parts = max(1, min(-(-plan.length // part), -(-limits.blocks // blocks))) if blocks < limits.blocks // 2 else 1
    vector = 1
    if not plan.columns:
        loaded = [a for kind, a in zip(plan.kinds, plan.args, strict=True) if kind in ("all", "folded")]
        vector = vector_of(dtype, plan.length, loaded)
    chunk = -(-plan.length // (parts * vector)) * vector
    parts = -(-plan.length // chunk)
    ins, outs = range(len(plan.kinds)), range(len(plan.kinds), len(plan.kinds) + len(kernel.spec.outs))
    whole = Variant(dtype, plan.columns, plan.kinds, True, parts == 1, vector)
    sizes = (plan.results, plan.length, chunk)
    if parts == 1:
        return [], [_launch(kernel, xp, whole, (*ins, *outs), sizes)]
    numbers = [k for k in ins if plan.kinds[k] == "number"]
    joining = Variant(dtype, True, plan.kinds, False, True, 1)
    return [parts * plan.results * STATE_BYTES], [
        _launch(kernel, xp, whole, (*ins, outs.stop), sizes),
        _launch(kernel, xp, joining, (*numbers, outs.stop, *outs), (plan.results, parts, parts)),
    ]


def _launch(
    kernel: Definition, xp: Any, variant: Variant, picks: tuple[int, ...], sizes: tuple[int, int, int]
) -> Launch:
    """Return the launch of one of the programs of a reduction; `sizes`: results, values of each, values of a part."""
    made = program(kernel, xp, lambda: xp.RawKernel(text_of(reduction_of(kernel), variant), kernel.name), *variant)
    limits, (results, count, chunk) = settings.tuning, sizes
    numbers: tuple[Any, ...] = tuple(map(np.int64, sizes))
    across = -(-count // chunk)
    if variant.columns:
        return Launch(made, (-(-results // LANES), across), (LANES, DEEP), picks, numbers)
    lanes = lanes_of(-(-chunk // variant.vector), limits.row_lanes)
    block = max(lanes, limits.block) if lanes <= 32 else lanes
    return Launch(made, (-(-results // (block // lanes)), across), (block,), picks, (*numbers, np.int32(lanes)))
