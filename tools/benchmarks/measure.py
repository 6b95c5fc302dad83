"""Measure candidates side by side: alternating blocks, medians, ratios with spread, and the machine's own rates."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

BLOCK_SECONDS = 0.06  # a block is repeated calls for about this long
PAUSE = 0.15  # between blocks: OpenBLAS workers spin for 0.1 s after a product and would take the next one's core
WARM = 0.1  # of calls before a block: a virtual processor that has idled runs at half speed for that long
SLOW = 1.4  # rounds where the reference took this many times its best are dropped: something else ran
GEMM_SIZE = 768
COPY_BYTES = 2**24

Block = dict[str, list[float]]


def cpus() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def block(call: Callable[[], Any], count: int, warm: float = 0.0) -> float:
    """Return the median time of `count` calls, in seconds, after `warm` seconds of calls, at least one."""
    begin = time.perf_counter()
    call()
    while time.perf_counter() - begin < warm:
        call()
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def alternate(candidates: dict[str, Callable[[], Any]], rounds: int, seconds: float = BLOCK_SECONDS) -> Block:
    """Return each candidate's block medians, one per round; the order of the candidates alternates."""
    counts, warm = {}, WARM if seconds else 0.0
    for name, call in candidates.items():
        time.sleep(PAUSE)
        counts[name] = max(1, min(20, round(seconds / block(call, 1, warm))))
    times: Block = {name: [] for name in candidates}
    for r in range(rounds):
        names = list(candidates)
        for name in names[:: -1 if r % 2 else 1]:
            time.sleep(PAUSE)
            times[name].append(block(candidates[name], counts[name], warm))
    return times


def quiet(reference: list[float]) -> list[int]:
    """Return the rounds in which the reference was within `SLOW` of its best."""
    best = min(reference)
    return [i for i, t in enumerate(reference) if t <= SLOW * best]


def ratios(times: Block, reference: str) -> dict[str, dict[str, float]]:
    """Return median and quartiles of block over the reference's block of the same round, over quiet rounds."""
    kept = quiet(times[reference])
    out = {}
    for name, values in times.items():
        if name != reference:
            found = [values[i] / times[reference][i] for i in kept]
            low, middle, high = quartiles(found)
            out[name] = {"median": middle, "low": low, "high": high, "rounds": len(kept)}
    return out


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def gemm_probe() -> Callable[[], Any]:
    """Return a call that multiplies two float32 matrices of side `GEMM_SIZE`."""
    a, b = np.random.default_rng(0).random((2, GEMM_SIZE, GEMM_SIZE), np.float32)
    out = np.empty_like(a)
    return lambda: np.matmul(a, b, out=out)


def copy_probe(threads: int, source: Any = None, target: Any = None) -> Callable[[], Any]:
    """Return a call that copies `source` to `target` (by default `COPY_BYTES`) with this many threads."""
    if source is None:
        source, target = np.ones(COPY_BYTES, np.uint8), np.zeros(COPY_BYTES, np.uint8)
    cuts = np.linspace(0, len(source), threads + 1).astype(int)
    parts = [slice(a, b) for a, b in zip(cuts, cuts[1:], strict=False)]
    pool = ThreadPoolExecutor(threads)

    def copy(part: slice) -> None:
        np.copyto(target[part], source[part])

    return lambda: list(pool.map(copy, parts))


def rates(times: Block) -> dict[str, float]:
    """Return the machine's best rates in this run: GFLOP/s of a product, GB/s (read + written) of a copy."""
    return {"gflops": 2e-9 * GEMM_SIZE**3 / min(times["gemm"]), "gbs": 2e-9 * COPY_BYTES / min(times["copy"])}


def floor(flops: float, moved: float, rate: dict[str, float]) -> dict[str, Any] | None:
    """Return the least time (ms) that these FLOPs and bytes take at `rate`, and which of them decides."""
    bounds = {"BLAS": flops / rate["gflops"] * 1e-6, "memory": moved / rate["gbs"] * 1e-6}
    bound = max(bounds, key=lambda name: bounds[name])
    return {"ms": bounds[bound], "bound": bound, **rate} if bounds[bound] else None
