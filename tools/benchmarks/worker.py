"""What runs in a process of its own: one job timed, or run for its peak memory or its first step."""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from . import check, measure
from .jobs import Job, activation, all_jobs, wide_mlp
from .libraries import library
from .library import Library, Missing


def find(key: str, tiny: bool) -> Job:
    """Return a job by key; ``mlp-BATCH-WIDTH`` is one of the scaling plot, ``activation-LAYER`` one of (x)."""
    jobs = all_jobs(tiny)
    if key.startswith("activation-"):
        return activation(key.removeprefix("activation-"), tiny)
    return jobs[key] if key in jobs else wide_mlp(*map(int, key.split("-")[1:]))


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Do what a message from the parent says; return the answer."""
    return {"time": timed, "memory": memory, "first": first, "parts": parts}[order["mode"]](order)


def timed(order: dict[str, Any]) -> dict[str, Any]:
    """Check that the libraries agree on a job, then time them in turns."""
    job = find(order["job"], order["tiny"])
    libraries, notes = available(job, order["libraries"])
    if not libraries:
        return {"notes": notes}
    state, arrays = check.initial_state(job), () if hasattr(job, "batch") else check.inputs(job)
    while True:
        try:
            agreement = check.agree(libraries, job, state, arrays)
            break
        except check.Differs as error:
            if error.library in ("numpy", "compiled", libraries[0].name):
                return {"notes": notes, "differs": str(error)}
            libraries = [one for one in libraries if one.name != error.library]
            notes.append(f"{error}: left out")
    calls = {one.name: check.call(one, job, state, arrays) for one in libraries}
    probes = {"gemm": measure.gemm_probe(), "copy": measure.copy_probe(measure.cpus())}
    times = measure.alternate(calls | probes, order["rounds"], order["seconds"])
    reference = libraries[0].name
    kept = measure.quiet(times[reference])
    return {
        "notes": notes,
        "agreement": agreement,
        "reference": reference,
        "ms": {name: 1e3 * statistics.median([times[name][i] for i in kept]) for name in calls},
        "ratios": measure.ratios({name: times[name] for name in calls}, reference),
        "floor": measure.floor(job.flops, job.bytes, measure.rates(times)),
        "blocks": times,
    }


def available(job: Job, names: list[str]) -> tuple[list[Library], list[str]]:
    """Return the libraries that can run a job, the reference first, and why the others cannot."""
    found, notes = [], []
    for name in names:
        try:
            one = library(name)
            one.require(job)
            found.append(one)
        except Missing as reason:
            notes.append(str(reason))
    return found, notes


def memory(order: dict[str, Any]) -> dict[str, Any]:
    """Return the peak resident memory of this process (MB): after the import, and after a few calls."""
    job = find(order["job"], order["tiny"])
    found, notes = available(job, order["libraries"])
    if not found:
        return {"notes": notes}
    imported = peak()
    call = check.call(found[0], job, None, () if hasattr(job, "batch") else check.inputs(job))
    for _ in range(4):
        call()
    return {"peak": peak(), "imported": imported}


def first(order: dict[str, Any]) -> dict[str, Any]:
    """Return the seconds from the start of the process to the end of the first training step."""
    found, notes = available(find(order["job"], order["tiny"]), order["libraries"])
    if not found:
        return {"notes": notes}
    check.call(found[0], find(order["job"], order["tiny"]), None, ())()
    return {"seconds": time.time() - order["started"]}


#: What the calls of a step are counted under, by the beginning of their names; all others are kernels.
PARTS = {"product": "products", "recur": "recurrence", "convolve": "convolution", "max_pool": "convolution",
         "avg_pool": "convolution"}  # fmt: skip


def part_of(name: str) -> str:
    """Return what a kernel's calls are counted under."""
    return next((part for start, part in PARTS.items() if name.startswith(start)), "kernels")


class Clock:
    """Listens to the dispatcher: how long calls take by part, without the calls inside them, and how many there are."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls = 0
        self._inside = [0.0]

    def __call__(self, kernel: Any, args: Any, options: Any, proceed: Any) -> Any:
        """Go on with a call, and note its time."""
        self._inside.append(0.0)
        began = time.perf_counter()
        result = proceed()
        spent = time.perf_counter() - began
        part = part_of(kernel.name)
        self.seconds[part] = self.seconds.get(part, 0.0) + spent - self._inside.pop()
        self._inside[-1] += spent
        self.calls += part == "kernels"
        return result


def parts(order: dict[str, Any]) -> dict[str, Any]:
    """Return where the time of a training step on the compiled route goes: milliseconds by part, and calls of kernels.

    A clock listens to the dispatcher; what is left is the tape's Python, and what NumPy does besides.
    """
    from cunet.kernels import listening
    from cunet.kernels.backends.native import native

    job = find(order["job"], order["tiny"])
    (found,), _ = available(job, ["compiled"])
    if native.runtime() is None:
        return {}
    call = check.call(found, job, check.initial_state(job), ())
    for _ in range(5):
        call()
    clock, steps, began = Clock(), 0, time.perf_counter()
    with listening(clock):
        while steps < 10 or time.perf_counter() - began < 20 * order["seconds"]:
            call()
            steps += 1
    whole = time.perf_counter() - began
    ms = {part: 1e3 * spent / steps for part, spent in clock.seconds.items()}
    ms["Python and NumPy"] = 1e3 * whole / steps - sum(ms.values())
    return {"ms": ms, "calls": clock.calls / steps, "step": 1e3 * whole / steps}


def peak() -> float:
    """Return the peak resident memory of this process in MB; NaN where the system does not say."""
    try:
        import resource
    except ImportError:
        return float("nan")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)
