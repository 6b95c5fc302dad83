"""What a training step costs the host on a GPU, found without one: ``python tools/gpu_steps.py``.

Launches are counted on the simulated device, whose kernels then do nothing, and so are the bytecodes of cunet's own
Python, which do not depend on how busy the machine is. The time in it is sampled, and does not hold what CuPy takes to
launch a kernel or to make an array. docs/gpu.md has the table.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

import sim  # noqa: E402
from cunet import F, Tensor, nn, optim  # noqa: E402
from cunet.device import gpu  # noqa: E402

OURS, OTHERS = str(ROOT / "cunet/"), str(ROOT)
BATCH, INTERVAL = 128, 0.4e-3  # samples of a step; seconds between two looks


def _stage(channels: int, filters: int) -> list[Any]:
    conv = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(filters), nn.ReLU(), nn.MaxPool2d(2)]


def _dense(inputs: int, outputs: int) -> list[Any]:
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(0.2)]


NETS: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    "MLP": ((784,), lambda: nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))),
    "BN net": ((784,), lambda: nn.Sequential(*_dense(784, 512), *_dense(512, 256), nn.Linear(256, 10))),
    "CNN": (
        (1, 28, 28),
        lambda: nn.Sequential(
            *(*_stage(1, 32), *_stage(32, 64), nn.Flatten()),
            *(nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10)),
        ),
    ),
}


class Cost(NamedTuple):
    """Of one step: cunet's kernels, CuPy's and cuBLAS's, bytecodes and microseconds of cunet's Python, and where."""

    kernels: int
    others: int
    bytecodes: int
    python: float
    files: dict[str, float]


class Sampler:
    """Looks, at fixed times, which Python runs: cunet's, with what it calls, or the simulated device's."""

    def __init__(self) -> None:
        self.looks, self.files = 0, Counter[str]()

    def look(self, number: int, frame: FrameType | None) -> None:
        """Count one look."""
        self.looks += 1
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(OURS):
                self.files[file.removeprefix(OURS)] += 1
                return
            if file.startswith(OTHERS):
                return
            frame = frame.f_back

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Look inside the block."""
        before = signal.signal(signal.SIGALRM, self.look)
        signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def idle() -> Iterator[None]:
    """Let the device compute nothing inside the block.

    A look during a long call of C is taken after it, which may be in another function: so there shall be none.
    """
    from sim import arguments, array, build, calls, cublas, namespace

    known: dict[Any, Any] = {}
    compute = calls.run

    def run(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if kwargs.get("out") is not None:
            return kwargs["out"]
        key = (function, *map(_signature, args), *[(k, _signature(v)) for k, v in kwargs.items()])
        made = known.get(key)
        if made is None:
            result = compute(function, args, kwargs)
            fresh = isinstance(result, array.ndarray) and not any(
                np.may_share_memory(result._a, a._a) for a in args if isinstance(a, array.ndarray)
            )
            known[key] = (result.shape, result.dtype) if fresh else False
            return result
        return array.wrap(empty(*made)) if made else compute(function, args, kwargs)

    room = np.zeros(1 << 28, np.uint8)  # for all arrays: nobody reads or writes it

    def empty(shape: Any, dtype: Any = float, order: Any = "C") -> np.ndarray:
        return np.ndarray(shape, dtype, room, order="F" if order == "F" else "C")

    with contextlib.ExitStack() as stack:
        for module in (array, arguments, namespace):
            stack.enter_context(mock.patch.object(module, "poisoned", empty))
        stack.enter_context(mock.patch.object(calls, "run", run))
        stack.enter_context(mock.patch.object(array.ndarray, "__setitem__", lambda *args: None))
        stack.enter_context(mock.patch.object(build.Program, "__call__", lambda *args, **kwargs: None))
        stack.enter_context(mock.patch.object(cublas.Library, "_product", lambda *args: 0))
        yield


def _signature(x: Any) -> Any:
    """Return what decides the shape and the dtype of a result."""
    return (x.shape, x.strides, x.dtype) if hasattr(x, "strides") else repr(x)


def make_step(name: str) -> Callable[[], None]:
    """Return a training step of a network with Adam, on a batch that is on the device."""
    xp: Any = gpu()
    shape, make = NETS[name]
    model = make().to("gpu")
    optimizer = optim.Adam(model.parameters())
    rng = np.random.default_rng(0)
    x = Tensor(xp.asarray(rng.standard_normal((BATCH, *shape)).astype(np.float32)))
    target = xp.asarray(rng.integers(0, 10, BATCH))

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()

    return step


def bytecodes(step: Callable[[], None]) -> int:
    """Count the instructions of Python that cunet's own code takes in a step."""
    count = 0

    def each(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "opcode"
        return each

    def begin(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return each

    before = sys.gettrace()
    sys.settrace(begin)
    try:
        step()
    finally:
        sys.settrace(before)
    return count


def measure(name: str, seconds: float) -> Cost:
    """Count and sample the step of a network for about that many seconds."""
    from sim.state import stats

    step = make_step(name)
    for _ in range(2):
        step()
    with stats.counting() as counted:
        step()
    sampler = Sampler()
    with idle():
        step()
        codes = bytecodes(step)
        begin, steps = time.process_time(), 0
        with sampler.running():
            while time.process_time() - begin < seconds:
                step()
                steps += 1
        each = 1e6 * (time.process_time() - begin) / steps / max(1, sampler.looks)
    files = {file: count * each for file, count in sampler.files.most_common()}
    return Cost(int(counted["launches"]), int(counted["ops"]), codes, sum(files.values()), files)


def main() -> None:
    """Print a row for each network, and with ``--files`` where the time is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("nets", nargs="*", help=f"some of {', '.join(NETS)}; none: all")
    parser.add_argument("--seconds", type=float, default=15, help="of processor time for each network")
    parser.add_argument("--files", type=int, default=0, help="how many files to print of each")
    args = parser.parse_args()
    sim.install()
    print(
        "| step | kernels of cunet | of CuPy and cuBLAS | bytecodes of cunet's Python | us |\n|---|---:|---:|---:|---:|"
    )
    for name in args.nets or NETS:
        cost = measure(name, args.seconds)
        print(f"| {name} | {cost.kernels} | {cost.others} | {cost.bytecodes:,} | {cost.python:.0f} |", flush=True)
        for file, us in list(cost.files.items())[: args.files]:
            print(f"    {us:7.1f}  {file}")


if __name__ == "__main__":
    main()
