"""Recorded steps of the benchmark, for what looks into their replays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cunet.record import program

from .jobs import Training, training_jobs
from .libraries import Recorded


def replayed(key: str, replays: int, tiny: bool = False) -> tuple[Training, Callable[[], Any], Any]:
    """Record the step of a job, and replay it so often, each replay with a clock around its calls.

    Returns:
        The job, what takes one more step, and what `cunet.compile` made of it.
    """
    job = next(job for job in training_jobs(tiny) if job.key == key)
    library, steps = Recorded(), []
    prepare = library.prepared_step
    library.prepared_step = lambda step: steps.append(prepare(step)) or steps[-1]  # type: ignore[method-assign]
    before, program._TIMED = program._TIMED, replays
    try:
        run = library.training(job, None, drop=False)
        for _ in range(replays + 8):
            run()
    finally:
        program._TIMED = before
    return job, run, steps[0]
