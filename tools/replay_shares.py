"""Say where the time of recorded steps goes, beside what their products would take at this machine's best rate.

    CUNET_NUM_THREADS=1 python tools/replay_shares.py
    python tools/replay_shares.py --jobs lstm transformer --replays 40

A replay's calls are timed one after the other, in as many threads as each takes by itself; of each the least time
counts. *Rest* is what whole replays take beside them at least: guards, arguments, results. It is below nothing where
calls run side by side. In one thread whole replays are measured by the processor's time, which a busy machine lengthens
less. The floor is that of the products alone, at the best rate of a large one in the same process.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
JOBS = ("mlp", "bn-net", "cnn", "bn-cnn", "lstm", "transformer", "char-rnn")
COLUMNS = ("floor", "products", "convolution", "recurrence", "kernels", "copies", "optimiser", "Python", "rest")
_PLACES = {
    "product": "products", "recur": "recurrence", "assign": "copies", "copy_elements": "copies", "gather_arrays":
    "optimiser", "adam": "optimiser", "sgd": "optimiser",
}  # fmt: skip


def column(name: str) -> str:
    """Return where a call belongs, by its name in the report of a step."""
    if name.endswith(" in Python"):
        return "Python"
    return "convolution" if name.startswith("convolve") else _PLACES.get(name, "kernels")


def shares(times: dict[str, float], whole: float, floor: float) -> dict[str, float]:
    """Return seconds for each of `COLUMNS`.

    Args:
        times: of the calls, by name.
        whole: of a replay.
        floor: of its products.
    """
    found = dict.fromkeys(COLUMNS, 0.0) | {"floor": floor, "rest": whole - sum(times.values())}
    for name, seconds in times.items():
        found[column(name)] += seconds
    return found


def least(call: Callable[[], Any], count: int) -> float:
    """Return the least seconds that a call takes; in one thread those of the processor."""
    from cunet.kernels.backends.native import native

    clock = time.thread_time if native.threads == 1 else time.perf_counter
    found = float("inf")
    for _ in range(count):
        began = clock()
        call()
        found = min(found, clock() - began)
    return found


def best_rate(count: int) -> float:
    """Return the FLOP/s of a product of matrices that are in a cache, in as many threads as products take."""
    import numpy as np

    from cunet.ops.linalg import product

    x, y = np.random.default_rng(0).standard_normal((2, 512, 512)).astype(np.float32)
    return 2 * 512**3 / least(lambda: product(x, y.T), count)


def measured(key: str, replays: int, tiny: bool = False) -> tuple[float, dict[str, float]]:
    """Record the step of a job of the benchmark; return the seconds of a replay, and its `shares`."""
    from tools.benchmarks.replays import replayed

    job, run, step = replayed(key, replays, tiny)
    whole = least(run, replays)
    return whole, shares(step.report().times, whole, job.flops / best_rate(replays))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", nargs="+", default=JOBS, help="of tools/bench.py")
    parser.add_argument("--replays", type=int, default=30)
    options = parser.parse_args()
    print("| ms of a replay | whole | " + " | ".join(COLUMNS) + " |")
    print("| --- |" + " ---: |" * (1 + len(COLUMNS)))
    for key in options.jobs:
        whole, found = measured(key, options.replays)
        print(f"| {key} | " + " | ".join(f"{1e3 * n:.3g}" for n in (whole, *found.values())) + " |", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
