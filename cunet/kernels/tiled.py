"""Kernels that follow each other on the same rows, run tile by tile: on a block of rows at a time.

A norm reads its input for the statistics, and again to apply them. Of long arrays the second reading comes from memory,
which takes longer than the arithmetic. Block by block of the first axis it comes from the cache::

    with Tiled(x) as run:
        mean, var, rstd = run(moments, x, eps, axis=(1,), keepdims=True)
        y = run(normalize, x, mean, rstd, weight, bias)

Results are filled when the ``with`` block ends: inside they may be handed on and reshaped, not read.
"""

from __future__ import annotations

import functools
from types import TracebackType
from typing import Any

import numpy as np

from ..device import standing
from .backends.numpy import tuning as settings
from .dispatch import Deferred, Kernel, defer, observed, run_deferred
from .spec import PrimitiveSpec, single


class Tiled:
    """Calls kernels like functions, but on a CPU and for long arrays only when the ``with`` block ends.

    Args:
        lead: an array of the shape that the data have. Arrays of as many axes and of its length along the first
            are cut along the first axis. A reduction over that axis is run at once. None: all are run at once.

    Attributes:
        waits: whether calls wait for the end of the block.
    """

    def __init__(self, lead: Any) -> None:
        self._lead = lead
        self.waits = type(lead) is np.ndarray and lead.ndim > 1 and len(lead) > 1 and lead.size >= settings.tuning.long
        self.waits = self.waits and not standing.get()  # of Tensors in place of arrays, which only listeners see
        self._calls: list[Deferred] = []

    def __enter__(self) -> Tiled:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Fill all results."""
        if kind is None:
            self._finish()

    def __call__(self, kernel: Kernel, *args: Any, **options: Any) -> Any:
        """Return what the kernel returns, to be filled later."""
        if self.waits:
            call = defer(kernel, args, options)
            if call is not None and not (self._calls and self._calls[-1].backend is not call.backend):
                self._calls.append(call)
                return single(call.outs)
            self._finish()  # what it reads must be there
        return kernel(*args, **options)

    def _finish(self) -> None:
        calls, self._calls = self._calls, []
        if calls:
            # Seen from outside as one call of all these kernels.
            name = "+".join(call.kernel.name for call in calls)
            args = tuple([a for call in calls for a in call.args])
            observed(_Named(name), args, {}, functools.partial(run_deferred, calls, self._lead))


class _Named(Kernel):
    """What listeners are told of kernels that run tile by tile."""

    def __init__(self, name: str) -> None:
        def body() -> None:
            """Stand for the kernels."""

        body.__name__ = name
        super().__init__(PrimitiveSpec(body))
