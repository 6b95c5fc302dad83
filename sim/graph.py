"""CUDA graphs: what a stream is given while it captures is not done but noted, and done by each launch of the graph.

A GPU keeps addresses in a graph, and nothing that lies there. So memory that was asked for during the capture is full
of NaN again before each launch, as if others had used it in between.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import cupy
import numpy as np

from .state import stats

UNSUPPORTED, INVALIDATED = 900, 901  # cudaErrorStreamCaptureUnsupported, cudaErrorStreamCaptureInvalidated
#: Functions for which CuPy calls cuBLAS or cuSOLVER, if any of their arrays are floating.
BY_LIBRARIES = {"dot", "einsum", "inner", "matmul", "tensordot", "vdot"}
BY_LIBRARIES |= {"cholesky", "det", "eigh", "eigvalsh", "inv", "lstsq", "pinv", "qr", "slogdet", "solve", "svd"}


class Allocators(threading.local):
    """What gives memory: `here`, in this thread, or else `everywhere`; None: the default pool."""

    here: Any = None
    everywhere: Any = None

    def current(self, default: Any) -> Any:
        """Return the function that gives memory; `default` is the pool for which None stands."""
        return self.here or Allocators.everywhere or default.malloc

    def are_private(self) -> bool:
        """Tell whether memory comes from a pool that the program made for itself."""
        from .cuda import default_pool

        return getattr(self.current(default_pool), "__self__", default_pool) is not default_pool


allocators = Allocators()


class Graph:
    """What a stream captured; see `cupy.cuda.Graph`.

    Attributes:
        work: what a launch does, in order.
        kernels: name and arguments by value of each kernel of the program among it.
        made: memory that was asked for during the capture.
        invalid: whether something was tried that a capture forbids.
    """

    def __init__(self) -> None:
        self.work: list[Callable[[], Any]] = []
        self.kernels: list[tuple[str, tuple[bytes, ...]]] = []
        self.made: list[np.ndarray] = []
        self.invalid = False
        self.thread = threading.get_ident()

    def launch(self, stream: Any = None) -> None:
        """Do again what was captured, with what lies now where it lay then."""
        if stats.graph is not None:
            stats.graph.refuse("a launch of a graph")
        stats.graphs += 1
        launches = stats.launches
        for a in self.made:
            poison(a)
        with np.errstate(all="ignore"):
            for step in self.work:
                step()
        stats.launches = launches

    def upload(self, stream: Any = None) -> None:
        """Bring the graph to the device, which the first launch does otherwise."""

    def refuse(self, what: str) -> None:
        """Raise CUDA's error for what no stream does while it captures, and give the capture up."""
        self.invalid = True
        error = cupy.cuda.runtime.CUDARuntimeError(UNSUPPORTED)
        error.add_note(f"simulated device: {what} during a capture")
        raise error

    def own(self, a: np.ndarray) -> None:
        """Note memory that was asked for.

        Raises:
            RuntimeError: it would be of a pool that others use too: they would be given it as soon as the program lets
                go of the array, and CUDA says nothing of that.
        """
        if a.size and not allocators.are_private():
            self.invalid = True
            raise RuntimeError("simulated device: memory from the default pool is asked for during a capture")
        self.made.append(a)

    def note(self, step: Callable[[], Any]) -> None:
        """Leave a step to launches."""
        self.work.append(step)

    def call(self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Return what a function of NumPy would return, of elements that launches compute.

        It is run for the shape of its result, and what it wrote is put back; a result that is a view is one already.
        """
        held = arrays_in((args, kwargs))
        if getattr(function, "__name__", "") in BY_LIBRARIES and any(a.dtype.kind not in "biu" for a in held):
            self.invalid = True
            raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
        before = [a.copy() for a in held]
        try:
            found = _as_arrays(function(*args, **kwargs))
        finally:
            for a, values in zip(held, before, strict=True):
                if a.flags.writeable:
                    a[...] = values
        results = arrays_in(found)
        new = [k for k, a in enumerate(results) if not any(np.may_share_memory(a, h) for h in held)]
        if not new and "out" not in kwargs and found is not None:
            return found
        for k in new:
            self.own(results[k])
            poison(results[k])

        def again() -> None:
            values = arrays_in(_as_arrays(function(*args, **kwargs)))
            for k in new:
                results[k][...] = values[k]

        self.note(again)
        return found


def poison(a: np.ndarray) -> None:
    """Fill memory with NaN (integers: -1), so that reading what was never written shows."""
    if a.flags.c_contiguous:
        a.reshape(-1).view(np.uint8)[...] = 0xFF
    elif a.size:
        a[...] = np.frombuffer(b"\xff" * a.itemsize, a.dtype)[0]


def poisoned(shape: Any, dtype: Any = float, order: str = "C") -> np.ndarray:
    """Return memory full of NaN (integers: -1), so that reading what was never written shows."""
    a = np.empty(shape, dtype, "F" if order == "F" else "C")
    poison(a.T if order == "F" else a)
    if stats.graph is not None:
        stats.graph.own(a)
    return a


def arrays_in(value: Any) -> list[np.ndarray]:
    """Return NumPy's arrays in nested tuples, lists and dicts."""
    if isinstance(value, np.ndarray):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return [a for part in parts for a in arrays_in(part)]


def _as_arrays(value: Any) -> Any:
    """Return a result with 0-d arrays in place of NumPy's scalars, which have no memory."""
    if isinstance(value, np.generic):
        return np.asarray(value)
    if isinstance(value, (tuple, list)):
        parts = [_as_arrays(v) for v in value]
        return parts if isinstance(value, list) else tuple(parts)
    return value


def do(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return ``function(*args, **kwargs)`` on memory of the device, now, or in each launch if a stream captures."""
    graph = stats.graph
    return function(*args, **kwargs) if graph is None else graph.call(function, args, kwargs)
