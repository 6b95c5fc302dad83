"""Measure what derivatives cost: a Hessian-vector product in gradients, forward mode in functions, and two checkouts.

    python tools/derivative_cost.py
    python tools/derivative_cost.py --against ../older --rounds 40
    python tools/derivative_cost.py --elements 100000 --length 40

The gradient is that of an MLP; forward mode is of a chain of activations. They take turns, in blocks of calls; with
`--against` so do both checkouts, each in a process of its own; an older one may have no `hvp` or `jvp`. Clock and
processor time are medians of a call; memory is the peak of a call beyond what was there. Ratios are medians, with the
middle half.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SIZES = (512, 256, 256, 10)
#: What derivatives are compared with.
SIMPLER = {"hvp": "gradient", "jvp": "chain"}


def calls(samples: int, elements: int, length: int = 8) -> dict[str, Callable[[], Any]]:
    """Return what is measured, by name: of the derivatives those that there are."""
    return {**_of_mlp(samples), **_of_chain(elements, length)}


def _of_mlp(samples: int) -> dict[str, Callable[[], Any]]:
    """Return a gradient of the loss by all weights, and a product of its Hessian with a direction."""
    import cunet
    from cunet import F

    rng = np.random.default_rng(0)
    shapes = list(zip(SIZES[:-1], SIZES[1:], strict=True))
    weights = [rng.standard_normal(shape) / shape[0] ** 0.5 for shape in shapes]
    direction = [rng.standard_normal(w.shape) for w in weights]
    x, labels = rng.standard_normal((samples, SIZES[0])), rng.integers(0, SIZES[-1], samples)

    def loss(w: Any) -> Any:
        y = cunet.tanh(cunet.tanh(x @ w[0]) @ w[1])
        return F.cross_entropy(y @ w[2], labels)

    gradient = cunet.grad(loss)
    known: dict[str, Callable[[], Any]] = {"gradient": lambda: gradient(weights)}
    if hasattr(cunet, "hvp"):
        known["hvp"] = lambda: cunet.hvp(loss, (weights,), (direction,))
    return known


def _of_chain(elements: int, length: int) -> dict[str, Callable[[], Any]]:
    """Return a chain of activations in float32, and its derivative in a direction."""
    import cunet
    from cunet import F

    activations = F.tanh, F.gelu, F.silu, F.softplus, F.elu, F.mish, F.sigmoid, F.selu

    def chain(x: Any) -> Any:
        for activation in itertools.islice(itertools.cycle(activations), length):
            x = activation(x)
        return x

    x = np.linspace(-1, 1, elements, dtype=np.float32)
    at = cunet.Tensor(x)
    known: dict[str, Callable[[], Any]] = {"chain": lambda: chain(at)}
    if hasattr(cunet, "jvp"):
        known["jvp"] = lambda: cunet.jvp(chain, (x,), (x,))
    return known


def block(call: Callable[[], Any], count: int) -> tuple[float, float]:
    """Return seconds on the clock, and of processors, of one of `count` calls."""
    clock, processors = time.perf_counter(), time.process_time()
    for _ in range(count):
        call()
    return (time.perf_counter() - clock) / count, (time.process_time() - processors) / count


def peak(call: Callable[[], Any]) -> int:
    """Return the bytes that a call holds at most, beyond what was there."""
    tracemalloc.start()
    call()
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return held


def work(samples: int, elements: int, length: int) -> None:
    """Name the calls that there are; then answer each line of the standard input, a name and how many, with a block."""
    known = calls(samples, elements, length)
    for call in known.values():
        block(call, 3)
    print(json.dumps([*known]), flush=True)
    for line in sys.stdin:
        name, count = line.split()
        answer = peak(known[name]) if count == "peak" else block(known[name], int(count))
        print(json.dumps(answer), flush=True)


class Checkout:
    """A process that runs the code of one checkout.

    Attributes:
        names: of the calls that it has.
    """

    def __init__(self, root: Path, samples: int, elements: int, length: int) -> None:
        pipe = subprocess.PIPE
        sizes = ["--samples", str(samples), "--elements", str(elements), "--length", str(length)]
        command = [sys.executable, "-P", __file__, "--worker", str(root), *sizes]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.names: list[str] = self._answer()

    def ask(self, name: str, count: int | str) -> Any:
        """Return what one block took."""
        assert self.process.stdin
        self.process.stdin.write(f"{name} {count}\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def measured(checkouts: dict[str, Checkout], rounds: int, count: int) -> list[str]:
    """Return lines: of each call in each checkout milliseconds and memory, and ratios of calls in the same round."""
    jobs = [(root, name) for root, checkout in checkouts.items() for name in checkout.names]
    rows: dict[tuple[str, str], list[Any]] = {job: [] for job in jobs}
    for k in range(rounds):
        for root, name in jobs if k % 2 else jobs[::-1]:
            rows[root, name].append(checkouts[root].ask(name, count))
    times = {job: np.array(row) for job, row in rows.items()}
    held = {(root, name): checkouts[root].ask(name, "peak") for root, name in jobs}
    lines = []
    for (root, name), row in times.items():
        clock, processors = np.median(row, 0) * 1e3
        memory = held[root, name] / 2**20
        lines.append(f"{root}: {name}: {clock:.2f} ms, of processors {processors:.2f} ms, {memory:.1f} MiB")
    for root, name in jobs:
        if name in SIMPLER:
            lines.append(ratio(f"{root}: {name} / {SIMPLER[name]}", times[root, name], times[root, SIMPLER[name]]))
    for name in SIMPLER.values() if len(checkouts) > 1 else ():
        ours, theirs = [(root, name) for root in checkouts]
        memory = held[ours] / held[theirs]
        lines.append(f"{ratio(f'{name} here / there', times[ours], times[theirs])}, memory {memory:.3f}")
    return lines


def ratio(what: str, a: np.ndarray, b: np.ndarray) -> str:
    """Return the median ratio, and the middle half, of clock and of processor time."""
    parts = [np.percentile(a[:, k] / b[:, k], [25, 50, 75]) for k in (0, 1)]
    said = [f"{mid:.3f} ({low:.3f} to {high:.3f})" for low, mid, high in parts]
    return f"{what}: {said[0]}, of processors {said[1]}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=10, help="in a block")
    parser.add_argument("--samples", type=int, default=512, help="in a batch")
    parser.add_argument("--elements", type=int, default=1000, help="in the array of the chain")
    parser.add_argument("--length", type=int, default=8, help="of the chain: how many activations")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker is not None:
        sys.path.insert(0, str(given.worker))
        work(given.samples, given.elements, given.length)
        return
    roots = {"here": ROOT} | ({"there": given.against.resolve()} if given.against else {})
    checkouts = {name: Checkout(root, given.samples, given.elements, given.length) for name, root in roots.items()}
    try:
        print("\n".join(measured(checkouts, given.rounds, given.calls)))
    finally:
        for checkout in checkouts.values():
            checkout.close()


if __name__ == "__main__":
    main()
