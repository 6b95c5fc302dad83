"""What cases launch on a GPU at real sizes, told by the simulated device, which executes nothing meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import sim
from sim import launch
from sim.array import ndarray

from .cases import CASES, ways
from .libraries import NETS, Cunet
from .plan import FORMS

#: Bytes of arrays below and above each limit of `cunet.kernels.backends.cuda.tuning`.
SIZES = (4_000_000, 1 << 25)


@dataclass
class Launch:
    """A kernel that would have been launched.

    Attributes:
        kernel: its name.
        kind: "ElementwiseKernel", "ReductionKernel" or "RawKernel".
        job: see `sim.nvrtc.job`.
        threads: how many there are.
        arrays: the bytes of each array that it is given or returns.
        written: for each of them whether the kernel may write into it.
        elements: of the largest of them.
    """

    kernel: str
    kind: str
    job: dict[str, Any]
    threads: int
    arrays: list[int] = field(default_factory=list)
    written: list[bool] = field(default_factory=list)
    elements: int = 0

    def see(self, values: Sequence[Any], written: Sequence[bool]) -> None:
        """Count arrays."""
        for x, into in zip(values, written, strict=True):
            self.arrays.append(x._a.size * x._a.itemsize)
            self.written.append(into)
            self.elements = max(self.elements, x._a.size)

    def complete(self, kind: str, kernel: Any, args: Sequence[Any], result: Any, size: int | None) -> None:
        """Note what the call tells: its arrays, and on a GPU a thread for each element of CuPy's own kernels."""
        self.kind = kind
        if kind == "RawKernel":
            given = [x for x in args[2] if isinstance(x, ndarray)]
            pointers = [text for text in self.job["signature"].split(",") if "*" in text]
            into = ["const" not in text for text in pointers]
            self.see(given, into if len(into) == len(given) else [False] * len(given))
            return
        outputs = [] if result is None else list(result) if isinstance(result, tuple) else [result]
        outputs += [x for x in args[kernel.nin :] if all(x is not y for y in outputs)]
        given = [x for x in args[: kernel.nin] if isinstance(x, ndarray)]
        self.see([*given, *outputs], [False] * len(given) + [True] * len(outputs))
        if kind == "ElementwiseKernel":
            params = [*kernel.in_params, *kernel.out_params]  # the index space is that of all but the raw ones
            values = zip([*args[: kernel.nin], *outputs], params, strict=True)
            sizes = [x._a.size for x, p in values if isinstance(x, ndarray) and not p.raw]
            self.threads = size or max(sizes)


@contextlib.contextmanager
def tracing() -> Iterator[list[Launch]]:
    """Give the list of launches of the block, in which kernels of cunet are not executed."""
    seen: list[Launch] = []
    kinds = (launch.ElementwiseKernel, launch.ReductionKernel, launch.RawKernel)
    before = [(kind, kind.__call__) for kind in kinds]
    run, wanted = launch._run, launch.nvrtc.wanted

    def note(
        source: str, name: str, arguments: Any, held: Any, grid: Any, block: Any, shared: int = 0, jobs: Any = ()
    ) -> None:
        seen.append(Launch(name, "", jobs[0], int(np.prod(grid) * np.prod(block))))

    def wrapped(kind: type, call: Any) -> Any:
        def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
            count = len(seen)
            result = call(self, *args, **kwargs)
            for one in seen[count:]:
                one.complete(kind.__name__, self, args, result, kwargs.get("size"))
            return result

        return traced

    launch._run, launch.nvrtc.wanted = note, lambda: True
    for kind, call in before:
        kind.__call__ = wrapped(kind, call)  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        launch._run, launch.nvrtc.wanted = run, wanted
        for kind, call in before:
            kind.__call__ = call  # type: ignore[method-assign]


def main() -> None:
    """Launch all that a record measures: with ``CUNET_SIM_SOURCES`` the simulated device writes it down."""
    form, xp = FORMS["gpu"], sim.install()
    library = Cunet(xp, FORMS["sim"])
    with tracing():
        for name in form.dtypes:
            dtype = library.dtype(name)
            for case in CASES:
                for size in SIZES:
                    for _, call, _ in ways(case, xp, size // dtype.itemsize, dtype):
                        call()
        for net in NETS:
            step = library.step(library.net(net, 28))
            step(xp.zeros((form.batch, 1, 28, 28), np.float32), xp.zeros(form.batch, np.int64))


if __name__ == "__main__":
    main()
