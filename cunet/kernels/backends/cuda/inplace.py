"""Kernels that change arrays in place: the step of an optimiser over flat buffers.

The gradients lie where backward left them: the addresses of up to 32 are arguments of the kernel, so none of them is
copied, and nothing is uploaded.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...spec import Definition
from . import tuning as settings
from .programs import program
from .types import on_device, types


def run(kernel: Definition, xp: Any, args: tuple[Any, ...]) -> None:
    """Update the last arguments from those before them; see `cunet.kernels.kinds.inplace`."""
    count = len(kernel.spec.ins)
    gradients = args[0] if isinstance(args[0], list) else [args[0]]
    launch(kernel, xp, gradients, args[1:count], args[count:])


def launch(
    kernel: Definition, xp: Any, gradients: Sequence[Any], scalars: Sequence[Any], arrays: Sequence[Any]
) -> None:
    """Update flat arrays from gradients that belong to them one after the other.

    Args:
        kernel: whose text is launched.
        xp: the array module.
        gradients: of one dtype.
        scalars: numbers, or arrays of one number that the kernel reads.
        arrays: contiguous, 1-D, all of the gradients' size together, float32 or float64.
    """
    start, wide, most = 0, arrays[0].dtype, settings.tuning.gradients
    read = tuple([on_device(a) for a in scalars])
    scalars = [a.astype(wide, copy=False) if array else wide.type(a) for a, array in zip(scalars, read, strict=True)]
    for first in range(0, len(gradients), most):
        some = [xp.ascontiguousarray(g) for g in gradients[first : first + most] if on_device(g)]
        key = ("launch", xp, wide, some[0].dtype, read, settings.tuning, *[g.size for g in some])
        found = kernel.prepared.get(key)
        if found is None:
            found = kernel.prepared[key] = _launch_of(kernel, xp, wide, some, read)
        made, grid, block, ends, spare = found
        size = int(ends[-1])
        pairs = itertools.chain.from_iterable(zip((*some, *some[-1:] * spare), ends, strict=True))
        parts = arrays if size == arrays[0].size else [a[start : start + size] for a in arrays]
        if size:
            made(grid, block, (*pairs, *scalars, *parts))
        start += size


def _launch_of(
    kernel: Definition, xp: Any, wide: np.dtype, some: Sequence[Any], read: tuple[bool, ...]
) -> tuple[Any, tuple[int], tuple[int], list[np.int64], int]:
    """Return program, grid, block, where each gradient ends, and how often the last one stands for none."""
    count, threads = 1 << (len(some) - 1).bit_length(), settings.tuning.threads
    ends = list(np.cumsum([g.size for g in some], dtype=np.int64))
    spare = count - len(some)
    variant = (wide, some[0].dtype, count, read)
    made = program(kernel, xp, functools.partial(_made, kernel, xp, *variant), *variant)
    return made, (-(-int(ends[-1]) // threads),), (threads,), ends + ends[-1:] * spare, spare


def _made(kernel: Definition, xp: Any, wide: np.dtype, dtype: np.dtype, count: int, read: tuple[bool, ...]) -> Any:
    return xp.RawKernel(text_of(kernel, wide, dtype, count, read), kernel.name)


def text_of(kernel: Definition, wide: np.dtype, dtype: np.dtype, count: int, read: tuple[bool, ...]) -> str:
    """Return the CUDA text for `count` gradients of `dtype`; scalars that are `read` are arrays of one number."""
    spec, threads = kernel.spec, settings.tuning.threads
    gradient, scalars, outs = spec.ins[0].name, spec.ins[1:], spec.outs
    params = [f"const G* g{k}_, long long end{k}_" for k in range(count)]
    params += [f"const A* {p.name}_" if array else f"A {p.name}" for p, array in zip(scalars, read, strict=True)]
    params += [f"A* {p.name}_" for p in outs]
    lines = [f"const A {p.name} = {p.name}_[0];" for p, array in zip(scalars, read, strict=True) if array]
    lines += ["const G* _from = g0_;", "long long _before = 0;"]
    lines += [f"if (_at >= end{k - 1}_) {{ _from = g{k}_; _before = end{k - 1}_; }}" for k in range(1, count)]
    lines += [f"const A {gradient} = (A)_from[_at - _before];", *(f"A {p.name} = {p.name}_[_at];" for p in outs)]
    lines += [spec.texts()[0].rstrip().rstrip(";") + ";", *(f"{p.name}_[_at] = {p.name};" for p in outs)]
    body = "\n    ".join(lines)
    return (
        f"{types(wide, dtype)}\n"
        f'extern "C" __global__ __launch_bounds__({threads}) void {kernel.name}({", ".join(params)}) {{\n'
        f"  const long long _at = (long long)blockIdx.x * {threads} + threadIdx.x;\n"
        f"  if (_at < end{count - 1}_) {{\n    {body}\n  }}\n}}\n"
    )
