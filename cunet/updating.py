"""The step of an optimiser on a device: flat buffers beside gradients that lie where backward left them.

The addresses of up to 32 gradients are arguments of the kernel, so none of them is copied, and nothing is uploaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import rowtext

MOST = 32  # gradients of one launch
THREADS = 256


def update(kernel: Any, xp: Any, gradients: Sequence[Any], scalars: Sequence[Any], arrays: Sequence[Any]) -> None:
    """Update flat arrays from gradients that belong to them one after the other.

    Args:
        kernel: a `cunet.kernels.Update`.
        xp: the array module.
        gradients: of one dtype.
        scalars: numbers, or arrays of one number that the kernel reads.
        arrays: contiguous, 1-D, all of the gradients' size together, float32 or float64.
    """
    start, wide = 0, arrays[0].dtype
    read = tuple([rowtext.on_device(a) for a in scalars])
    scalars = [a.astype(wide, copy=False) if array else wide.type(a) for a, array in zip(scalars, read, strict=True)]
    for first in range(0, len(gradients), MOST):
        some = [xp.ascontiguousarray(g) for g in gradients[first : first + MOST] if rowtext.on_device(g)]
        ends = np.cumsum([g.size for g in some]).tolist()
        size, count = ends[-1], 1 << (len(some) - 1).bit_length()
        variant = (some[0].dtype, count, read)
        program, _ = kernel._device(
            xp, wide, lambda xp, _, v=variant: xp.RawKernel(_text(kernel, wide, *v), kernel.name), *variant
        )
        pairs = [v for g, end in zip(some, ends, strict=True) for v in (g, np.int64(end))]
        pairs += [some[-1], np.int64(size)] * (count - len(some))
        parts = [a[start : start + size] for a in arrays]
        if size:
            program((-(-size // THREADS),), (THREADS,), (*pairs, *scalars, *parts))
        start += size


def _text(kernel: Any, wide: np.dtype, dtype: np.dtype, count: int, read: tuple[bool, ...]) -> str:
    gradient, scalars, outs = kernel.ins[0].name, kernel.ins[1:], kernel.outs
    params = [f"const G* g{k}_, long long end{k}_" for k in range(count)]
    params += [f"const A* {p.name}_" if array else f"A {p.name}" for p, array in zip(scalars, read, strict=True)]
    params += [f"A* {p.name}_" for p in outs]
    lines = [f"const A {p.name} = {p.name}_[0];" for p, array in zip(scalars, read, strict=True) if array]
    lines += ["const G* _from = g0_;", "long long _before = 0;"]
    lines += [f"if (_at >= end{k - 1}_) {{ _from = g{k}_; _before = end{k - 1}_; }}" for k in range(1, count)]
    lines += [f"const A {gradient} = (A)_from[_at - _before];", *(f"A {p.name} = {p.name}_[_at];" for p in outs)]
    lines += [kernel.operation.rstrip().rstrip(";") + ";", *(f"{p.name}_[_at] = {p.name};" for p in outs)]
    body = "\n    ".join(lines)
    return (
        f"{rowtext.types(wide, dtype)}\n"
        f'extern "C" __global__ __launch_bounds__({THREADS}) void {kernel.name}({", ".join(params)}) {{\n'
        f"  const long long _at = (long long)blockIdx.x * {THREADS} + threadIdx.x;\n"
        f"  if (_at < end{count - 1}_) {{\n    {body}\n  }}\n}}\n"
    )
