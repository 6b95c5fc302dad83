"""Workers of one search as processes of this machine."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..system.cpu import cores
from ..system.messages import warn
from .study import Job
from .worker import Worker

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

#: How long workers have to put their trials back when the search is ended, in seconds.
_PATIENCE = 10


def run_workers(job: Job, count: int) -> None:
    """Run workers until the search is over; the death of some is survived.

    Raises:
        TypeError: `build` is no function that another process could import.
        RuntimeError: a worker ended with an error, which it has shown, or all were killed.
    """
    from multiprocessing import connection, get_context

    try:
        pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(f"search: build must be a function at the top of a module where workers={count}, as each "
                        f"worker imports it, got {job.build!r}") from error  # fmt: skip
    context = get_context("spawn")  # a fork would copy locks that threads hold
    workers = [context.Process(target=_work, args=(job,), name=f"search-{k}") for k in range(count)]
    with _threads(max(1, cores() // count)):
        for worker in workers:
            worker.start()
    try:
        left: dict[object, SpawnProcess] = {worker.sentinel: worker for worker in workers}
        while left:
            for ended in connection.wait([worker.sentinel for worker in left.values()]):
                _look_at(left.pop(ended), bool(left))
    except BaseException as error:
        _end(workers, by_hand=isinstance(error, KeyboardInterrupt))
        raise


def _work(job: Job) -> None:
    """Be a worker, as long as the process that began it lives."""
    from multiprocessing import parent_process

    parent = parent_process()
    try:
        Worker(job, lambda: parent is None or parent.is_alive()).run()
    except KeyboardInterrupt:
        sys.exit(130)


def _look_at(worker: SpawnProcess, others: bool) -> None:
    """Take note of how a worker ended."""
    worker.join()
    code = worker.exitcode or 0
    killed = code < 0 or code > 128
    if killed and others:
        warn(f"search: a worker was killed (exit status {code}); the others try its trial again")
    elif killed:
        raise RuntimeError(
            f"search: all workers were killed, the last with exit status {code}; call search again to go on"
        )
    elif code:
        raise RuntimeError("search: a worker ended with the error above; call search again to go on")


def _end(workers: list[SpawnProcess], by_hand: bool) -> None:
    """End what workers are left; Ctrl-C has reached them too."""
    for worker in workers:
        if by_hand:
            worker.join(_PATIENCE)
        worker.terminate()
    for worker in workers:
        worker.join(_PATIENCE)
        worker.kill()
        worker.join()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Give processes that are begun within a ``with`` block so many threads each, unless the user said how many."""
    name = "CUNET_NUM_THREADS"
    if name in os.environ:
        yield
        return
    os.environ[name] = str(count)
    try:
        yield
    finally:
        del os.environ[name]
