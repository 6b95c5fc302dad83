"""The first training step of each net, when nothing is compiled yet: what a user waits for."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..libraries import Cunet
from ..rows import Rows
from ..setting import Setting


def run(setting: Setting, rows: Rows) -> None:
    """Measure the nets in this one process: a later one finds compiled what it shares with those before it."""
    library = Cunet(setting.xp, setting.form)
    rows.measure((net, lambda net=net: _first(setting, library, net)) for net in setting.form.nets)


def _first(setting: Setting, library: Cunet, net: str) -> dict[str, Any]:
    rng, batch, side = np.random.default_rng(0), setting.form.batch, 28 if setting.form.data == "mnist" else 8
    x = library.array(rng.standard_normal((batch, 1, side, side)).astype(np.float32))
    target = library.array(np.arange(batch) % 10)
    with compilations() as seconds:
        begin = time.perf_counter()
        step = library.step(library.net(net, side))
        step(x, target)
        library.stream.synchronize()
        first = time.perf_counter() - begin
        begin = time.perf_counter()
        step(x, target)
        library.stream.synchronize()
    return {
        "seconds": first,
        "second": time.perf_counter() - begin,
        "compiled": len(seconds),
        "compiling": sum(seconds),
        "longest": max(seconds, default=0.0),
    }


@contextlib.contextmanager
def compilations() -> Iterator[list[float]]:
    """Give the list of how long each source took that CuPy compiles inside the block."""
    compiler: Any = sys.modules.get("cupy.cuda.compiler")
    seconds: list[float] = []
    if compiler is None:
        yield seconds
        return
    inner = compiler._compile_using_nvrtc_no_warning

    def timed(*args: Any, **kwargs: Any) -> Any:
        begin = time.perf_counter()
        try:
            return inner(*args, **kwargs)
        finally:
            seconds.append(time.perf_counter() - begin)

    compiler._compile_using_nvrtc_no_warning = timed
    try:
        yield seconds
    finally:
        compiler._compile_using_nvrtc_no_warning = inner
