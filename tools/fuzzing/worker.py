"""The process that runs calls: it reads their numbers, says which route it is about to take, and what it found."""

from __future__ import annotations

import resource
import runpy
import sys

from cunet import native

from .calls import Call, draw
from .routes import Outcome, difference, run

MEMORY = 12 << 30  # address space: a call that wants all of the machine's gets an error instead


def serve(seed: int, routes: list[str], preload: str | None) -> None:
    """Run calls until there are no more numbers; lines that begin with "!" are findings, "." ends a call."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    if preload is not None:
        runpy.run_path(preload)
    if "sim" in routes:
        import sim

        sim.install()
    for line in sys.stdin:
        call = draw(seed, int(line))
        print("@", call, flush=True)
        for found in findings(call, routes):
            print("!", found, flush=True)
        print(".", flush=True)


def findings(call: Call, routes: list[str]) -> list[str]:
    """Run a call on all routes; return what is wrong, a line each."""
    found: list[str] = []
    reference: Outcome | None = None
    for route in routes:
        print(">", route, flush=True)
        outcome = run(call, route)
        if outcome.error and not outcome.refused:
            found.append(f"{route}: {outcome.error}")
        elif reference is not None and (text := _difference(call, route, reference, outcome)):
            found.append(f"{route}: {text}")
        reference = reference or outcome
    native.enable()
    return found


def _difference(call: Call, route: str, reference: Outcome, outcome: Outcome) -> str:
    """Say in what two outcomes differ; of the simulated device if they do so with 32 threads a block as well.

    With one, as is fastest there, it adds thousands of terms one after the other, and loses more than any GPU would.
    """
    text = difference(call, route, reference, outcome)
    if not text or route != "sim":
        return text
    from sim.state import block

    with block(32):
        return difference(call, route, reference, run(call, route))
