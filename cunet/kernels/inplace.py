"""Kernels that change arrays in place: the step of an optimiser over flat buffers.

On a device the gradients lie where backward left them: the addresses of up to 32 are arguments of the kernel, so none
of them is copied, and nothing is uploaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..device import array_module
from .backends import native
from .backends.cuda import common
from .kernel import Elementwise

MOST = 32  # gradients of one launch
THREADS = 256


class Update(Elementwise):
    """A kernel that changes its outputs in place, such as the step of an optimiser over flat buffers."""

    in_place = True
    block = 32768  # elements: a block of five float32 arrays and its scratch stay in a core's cache

    def __init__(self, body: Callable[..., Any], ins: str, outs: str, operation: str, scratch: int) -> None:
        super().__init__(body, ins, outs, operation)
        self.scratch = scratch

    def __call__(self, *args: Any) -> None:  # type: ignore[override]
        """Update the last arguments, contiguous 1-D arrays of one length, from those before them.

        Arguments of type ``A`` are Python numbers, or 0-d arrays on the GPU that are read there. On the GPU the first
        argument, the gradient, may be a list of arrays that belong to the others one after the other.
        """
        xp = array_module(args[-1])
        if xp is np:
            call = native.active and self.for_cpu(args[-1])
            if not (call and call.update(args, native.threads)):
                self._in_blocks(args)
            return
        gradients = args[0] if isinstance(args[0], list) else [args[0]]
        launch(self, xp, gradients, args[1 : len(self.ins)], args[len(self.ins) :])

    def _in_blocks(self, args: Sequence[Any]) -> None:
        size, dtype = args[-1].size, args[-1].dtype
        arrays = [p.type == "T" for p in (*self.ins, *self.outs)]
        values: list[Any] = [a if is_array else float(a) for a, is_array in zip(args, arrays, strict=True)]
        scratch = [np.empty(min(size, self.block), dtype) for _ in range(self.scratch)]
        with np.errstate(all="ignore"):
            for start in range(0, size, self.block):
                part = slice(start, min(start + self.block, size))
                parts = [a[part] if is_array else a for a, is_array in zip(values, arrays, strict=True)]
                self.body(*parts, *[s[: part.stop - start] for s in scratch])


def update(ins: str, outs: str, operation: str, *, scratch: int) -> Callable[[Callable[..., Any]], Update]:
    """Make a kernel of a NumPy function ``body(*ins, *outs, *scratch)`` that changes `outs` in place.

    Args:
        ins, outs: parameter lists of types ``T`` and ``A``; each array is float32 or float64.
        operation: the CUDA body; reads the old values of the outputs and assigns the new.
        scratch: how many arrays of the outputs' size the body gets to keep intermediate results in. It is
            called for one block of the arrays at a time, and allocates nothing.
    """
    return lambda body: Update(body, ins, outs, operation, scratch)


def launch(kernel: Update, xp: Any, gradients: Sequence[Any], scalars: Sequence[Any], arrays: Sequence[Any]) -> None:
    """Update flat arrays from gradients that belong to them one after the other.

    Args:
        kernel: whose text is launched.
        xp: the array module.
        gradients: of one dtype.
        scalars: numbers, or arrays of one number that the kernel reads.
        arrays: contiguous, 1-D, all of the gradients' size together, float32 or float64.
    """
    start, wide = 0, arrays[0].dtype
    read = tuple([common.on_device(a) for a in scalars])
    scalars = [a.astype(wide, copy=False) if array else wide.type(a) for a, array in zip(scalars, read, strict=True)]
    for first in range(0, len(gradients), MOST):
        some = [xp.ascontiguousarray(g) for g in gradients[first : first + MOST] if common.on_device(g)]
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


def _text(kernel: Update, wide: np.dtype, dtype: np.dtype, count: int, read: tuple[bool, ...]) -> str:
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
        f"{common.types(wide, dtype)}\n"
        f'extern "C" __global__ __launch_bounds__({THREADS}) void {kernel.name}({", ".join(params)}) {{\n'
        f"  const long long _at = (long long)blockIdx.x * {THREADS} + threadIdx.x;\n"
        f"  if (_at < end{count - 1}_) {{\n    {body}\n  }}\n}}\n"
    )
