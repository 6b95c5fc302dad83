"""Batches of a dataset made by processes, in the order and with the bits of one process."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import random
from ..system.place import At

if TYPE_CHECKING:
    from socket import socket

_HEAD = struct.Struct("<?QQ")  # whether all went well, the length of a pickle, the number of buffers beside it
_PATIENCE = 10  # seconds that a process has to end by itself where it is about to


@dataclass(frozen=True)
class Job:
    """What is known of an epoch where its batches are made.

    Attributes:
        dataset, collate, n_samples, batch_size: as in `Loader`.
        order: places of samples, (N,); None: as they lie.
        epoch: what random draws are to depend on, beside the place in the epoch.
    """

    dataset: Any
    collate: Callable[[list[Any]], Any]
    order: np.ndarray | None
    n_samples: int
    batch_size: int
    epoch: tuple[int, ...]

    def batch(self, number: int, reseed: Callable[[], None] | None = None) -> Any:
        """Return the batch of a number; `reseed` is called at the place of each sample."""
        start = number * self.batch_size
        stop = min(start + self.batch_size, self.n_samples)
        samples = []
        for place, i in enumerate(range(start, stop) if self.order is None else self.order[start:stop].tolist(), start):
            with At(*self.epoch, place):
                try:
                    if reseed is not None:
                        reseed()
                    samples.append(self.dataset[i])
                except Exception as error:
                    error.add_note(f"Loader: this was in sample {i} of the dataset, for batch {number} of the epoch")
                    raise
        return self.collate(samples)


def made(job: Job, numbers: range, workers: int, start_method: str | None) -> Iterator[Any]:
    """Yield the batches of these numbers, made by so many processes, which end when this does."""
    crew = Crew(job, numbers, min(workers, len(numbers)), start_method)
    try:
        for k in range(len(numbers)):
            yield crew.receive(k % workers)
    finally:
        crew.end()


class Crew:
    """Processes of which each makes every n-th batch, and waits with it until it is taken.

    They end by themselves when their batches are taken, and also when the process that began them is no more: then
    nobody holds the other end of their socket. Ctrl-C and SIGTERM, which may reach them too, are left to that process.
    """

    def __init__(self, job: Job, numbers: range, count: int, start_method: str | None) -> None:
        from multiprocessing import get_context, util
        from socket import socketpair

        context: Any = get_context(start_method)
        self._members: list[tuple[Any, socket]] = []
        # When the interpreter ends: before multiprocessing waits for processes that SIGTERM does not end.
        self.end = util.Finalize(self, _end, (self._members, os.getpid()), exitpriority=10)
        forks, state = context.get_start_method() == "fork", random.get_state()
        try:
            for k in range(count):
                mine, theirs = socketpair()
                inherited = [mine, *(other for _, other in self._members)] if forks else []
                args = theirs, inherited, job, numbers[k::count], state
                process = context.Process(target=_work, args=args, name=f"loader-{k}", daemon=True)
                with ExitStack() as failing, theirs:
                    failing.callback(mine.close)
                    _start(process, job)
                    failing.pop_all()
                self._members.append((process, mine))
        except BaseException:
            self.end()
            raise

    def receive(self, k: int) -> Any:
        """Return the next batch of a worker; raise what was raised there instead."""
        process, mine = self._members[k]
        try:
            well, value = _read(mine)
        except (EOFError, ConnectionResetError):
            process.join(_PATIENCE)
            raise RuntimeError(_lost(k, len(self._members), process.exitcode)) from None
        if well:
            return value
        raise value


def _start(process: Any, job: Job) -> None:
    try:
        process.start()
    except (pickle.PicklingError, AttributeError, TypeError) as error:  # what pickle raises
        raise TypeError(
            f"Loader: the dataset ({type(job.dataset).__name__}) and collate must be picklable, as workers that are not"
            f" forked are given copies ({error}); make them of what stands at the top of a module, or take "
            'start_method="fork" or workers=0'
        ) from error


def _lost(k: int, count: int, code: int | None) -> str:
    """Return what is said of a worker that is no more."""
    who = f"Loader: worker {k} of {count}"
    if code is not None and code < 0:
        return f"{who} was killed by signal {-code} while it made a batch; was there too little memory?"
    return (
        f"{who} ended with exit status {code} before its batch was made, by the error above if there is one; where "
        'workers are not forked, a program needs if __name__ == "__main__": and the dataset has to be of a module'
    )


def _end(members: list[tuple[Any, socket]], pid: int) -> None:
    """End what workers are left; they hold nothing that has to be put in order."""
    if os.getpid() != pid:
        return  # a forked child has copies of all this, and the processes are none of its children
    for process, mine in members:
        mine.close()
        process.kill()
    for process, _ in members:
        process.join()
        process.close()
    members.clear()


def _work(theirs: socket, inherited: list[socket], job: Job, numbers: range, state: Any) -> None:
    """Be a worker: make batches and send them."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for other in inherited:
        other.close()  # else the end of who reads them would not be noticed
    _one_thread()
    random.set_state(state)
    with theirs, suppress(BrokenPipeError, ConnectionResetError):  # nobody wants more
        for number in numbers:
            try:
                parts = _packed(True, job.batch(number, _reseed))
            except Exception as error:
                parts = _packed(False, _portable(error))
            for part in parts:
                theirs.sendall(part)


def _one_thread() -> None:
    """Leave the other processors to the other workers."""
    from ..kernels.backends.native import native
    from ..system.cpu import cores, openblas

    os.environ["CUNET_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    cores.cache_clear()
    native.threads = 1
    blas = openblas()
    if blas is not None:
        blas["set"](1)


def _reseed() -> None:
    """Seed NumPy's and Python's global generators by the place of the sample."""
    import random as python_random

    seed = int(random.default_generator("samples").rng().integers(1 << 32))
    np.random.seed(seed)
    python_random.seed(seed)


def _portable(error: Exception) -> Exception:
    """Return an error as it can be sent, with a note of where it was raised."""
    import traceback

    place = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    try:
        sent = pickle.loads(pickle.dumps(error))
    except Exception:
        sent = None
    if type(sent) is not type(error):
        sent = RuntimeError(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", ()):
            sent.add_note(note)
    sent.add_note(f"Loader: a worker raised it here:\n{place}")
    return sent


def _packed(well: bool, value: Any) -> list[Any]:
    """Return what is sent of a value: its arrays as they lie in memory, all else as one pickle."""
    arrays: list[pickle.PickleBuffer] = []
    text = pickle.dumps(value, 5, buffer_callback=arrays.append)
    views = [array.raw() for array in arrays]
    sizes = struct.pack(f"<{len(views)}Q", *(view.nbytes for view in views))
    return [_HEAD.pack(well, len(text), len(views)) + sizes + text, *views]


def _read(mine: socket) -> tuple[bool, Any]:
    """Return what `_packed` was given; its arrays lie where they were received."""
    well, length, count = _HEAD.unpack(_received(mine, _HEAD.size))
    sizes = struct.unpack(f"<{count}Q", _received(mine, 8 * count))
    text = _received(mine, length)
    return well, pickle.loads(text, buffers=[_received(mine, size) for size in sizes])


def _received(mine: socket, size: int) -> memoryview:
    """Return so many bytes, which may be written."""
    room = left = np.empty(size, np.uint8).data
    while left:
        count = mine.recv_into(left)
        if not count:
            raise EOFError
        left = left[count:]
    return room
