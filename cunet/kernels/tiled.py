"""Kernels that follow each other on the same rows, run on a block of rows at a time.

A norm reads its input for the statistics, and again to apply them. Of long arrays the second reading comes from memory,
which takes longer than the arithmetic. Block by block of the first axis it comes from the cache::

    with Together(x) as run:
        mean, var, rstd = run(moments, x, eps, axis=(1,), keepdims=True)
        y = run(normalize, x, mean, rstd, weight, bias)

Results are filled when the ``with`` block ends: inside they may be handed on and reshaped, not read.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import numpy as np

from .backends import native
from .backends.numpy import blocks
from .kernel import Elementwise, Reduction

LONG = 65536  # elements; less stays in the cache anyway


class Together:
    """Calls kernels like functions, but on a CPU and for long arrays only when the ``with`` block ends.

    Args:
        lead: an array of the shape that the data have. Arrays of as many axes and of its length along the first
            are cut along the first axis. A reduction over that axis is run at once. None: all are run at once.

    Attributes:
        waits: whether calls wait for the end of the block.
    """

    def __init__(self, lead: Any) -> None:
        self._lead = lead
        least = LONG if native.active and native.threads else blocks.THREADED
        self.waits = type(lead) is np.ndarray and lead.ndim > 1 and len(lead) > 1 and lead.size >= least
        self._calls: list[tuple[Any, Any, Any, list[np.ndarray], Any]] = []

    def __enter__(self) -> Together:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Fill all results."""
        if kind is None:
            self._finish()

    def __call__(self, kernel: Elementwise | Reduction, *args: Any, **axes: Any) -> Any:
        """Return what the kernel returns, to be filled later."""
        if self.waits:
            call = native.active and kernel.for_cpu(args[kernel._lead])
            packed = call.pack(args, args[kernel._lead], native.threads, **axes) if call else None
            outs = packed[1] if packed else None if call else blocks.outputs(kernel, args, **axes)
            if outs and not (self._calls and (self._calls[-1][-1] is None) != (packed is None)):
                self._calls.append((kernel, args, axes, outs, packed))
                return outs[0] if len(outs) == 1 else tuple(outs)
            self._finish()  # what it reads must be there
        return kernel(*args, **axes)

    def _finish(self) -> None:
        calls, self._calls = self._calls, []
        if not calls:
            return
        if calls[0][-1] is not None:  # then all are
            if native.run_together([packed for *_, packed in calls], self._lead):
                return
        elif blocks.rows([(kernel.body, args, axes, outs) for kernel, args, axes, outs, _ in calls], self._lead):
            return
        for kernel, args, axes, outs, _ in calls:
            results = kernel(*args, **axes)
            for out, result in zip(outs, results if isinstance(results, tuple) else (results,), strict=True):
                out[...] = result
