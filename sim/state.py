"""How the simulated device is set (`options`), and what it counts (`stats`)."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Options:
    """Settings, from the environment at import.

    Attributes:
        block: threads per block of reductions, and of elementwise kernels (``CUNET_SIM_BLOCK``, 1 or 32). With
            1 a reduction is a plain left fold. With 32 it is CuPy's real tree, and threads and blocks run in
            reverse, so that a kernel that is right in one order only is found out.
        nvrtc: architectures for which NVRTC compiles every source too (``CUNET_SIM_NVRTC``, such as ``80,90``).
        sources: a file in which all sources are noted that CuPy would compile (``CUNET_SIM_SOURCES``).
        gpu_floats: round as a GPU does (``CUNET_SIM_FLOATS=gpu``): products and sums are contracted to fused ones
            wherever g++ sees that it can, and float32 kernels flush subnormal numbers to 0, as CuPy's options have it.
        flags: further flags for g++ (``CUNET_SIM_FLAGS``), such as ``-g -fsanitize=address``.
        cache: the folder of compiled kernels (``CUNET_SIM_CACHE``), private to the user.
    """

    def __init__(self) -> None:
        env = os.environ.get
        self.block = int(env("CUNET_SIM_BLOCK", "1"))
        self.nvrtc = tuple(a for a in env("CUNET_SIM_NVRTC", "").split(",") if a)
        self.sources = env("CUNET_SIM_SOURCES", "")
        self.gpu_floats = _one_of("CUNET_SIM_FLOATS", env("CUNET_SIM_FLOATS", "cpu"), "cpu", "gpu") == "gpu"
        self.flags = tuple(env("CUNET_SIM_FLAGS", "").split())
        self.cache = Path(env("CUNET_SIM_CACHE") or _default_cache())


def _one_of(name: str, value: str, *allowed: str) -> str:
    if value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(allowed)}, got {value}")
    return value


def _default_cache() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    if not os.path.isdir(os.path.dirname(base)) or not os.access(os.path.dirname(base), os.W_OK):
        base = os.path.join(tempfile.gettempdir(), f"user{os.getuid()}")
    return os.path.join(base, "cunet-sim")


class Stats:
    """Counters since the process began; take a difference, or use `counting`.

    Attributes:
        launches: kernels of the program (ElementwiseKernel, ReductionKernel, RawKernel) that ran.
        ops: array functions that would have launched a kernel of CuPy's own or of cuBLAS (views are free).
        syncs: times the host waited for the device.
        uploads: copies from the host to the device.
        graphs: launches of graphs; what is in them is counted once, when it is captured.
        compiled, compile_seconds: kernels that g++ compiled, and how long that took.
    """

    names = ("launches", "ops", "syncs", "uploads", "graphs", "compiled", "compile_seconds")

    def __init__(self) -> None:
        self.launches = self.ops = self.syncs = self.uploads = self.graphs = self.compiled = 0
        self.compile_seconds = 0.0
        self.forbidden: tuple[str, ...] = ()
        self._graph: Any = None

    @property
    def graph(self) -> Any:
        """The graph into which this thread's current stream captures; None if it does not."""
        graph = self._graph
        return graph if graph is not None and graph.thread == threading.get_ident() else None

    def follow(self, stream: Any) -> None:
        """Look at another stream from now on."""
        self._graph = stream.graph

    def sync(self, what: str) -> None:
        """Count a wait for the device, or refuse it."""
        self._refuse("syncs", what)
        self.syncs += 1

    def upload(self, what: str) -> None:
        """Count a copy to the device, or refuse it."""
        self._refuse("uploads", what)
        self.uploads += 1

    def _refuse(self, kind: str, what: str) -> None:
        if self.graph is not None:
            self.graph.refuse(what)
        if kind in self.forbidden:
            raise RuntimeError(f"simulated device: {what} while {kind} are forbidden")

    @contextlib.contextmanager
    def forbid(self, *kinds: str) -> Iterator[None]:
        """Make ``"syncs"`` or ``"uploads"`` (both if none is named) an error inside the block."""
        before, self.forbidden = self.forbidden, kinds or ("syncs", "uploads")
        try:
            yield
        finally:
            self.forbidden = before

    @contextlib.contextmanager
    def counting(self) -> Iterator[dict[str, float]]:
        """Give a dict that holds, when the block has ended, what was counted in it."""
        before = {name: getattr(self, name) for name in self.names}
        counted: dict[str, float] = {}
        yield counted
        counted.update({name: getattr(self, name) - before[name] for name in self.names})


options = Options()
stats = Stats()


@contextlib.contextmanager
def block(threads: int) -> Iterator[None]:
    """Run kernels with that many threads per block inside the block."""
    before, options.block = options.block, threads
    try:
        yield
    finally:
        options.block = before
