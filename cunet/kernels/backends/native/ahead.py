"""What will be needed soon is compiled in the background, into the cache, where those who need it find it."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ....system.cpu import cores
from . import cache, compiler
from .compiler import CompileError
from .text import Part, Unit

_LARGE = 8  # texts in a library: each one more costs 0.13 s, and who needs one text waits for all of its library


class _Text(NamedTuple):
    """A text that is yet to be compiled: what stands before it, and whether others are needed first."""

    head: str
    part: Part
    later: bool


class Queue:
    """Texts that are yet to be compiled, those that are being compiled, and the threads that see to it.

    They fill the cache. Who needs a text compiles it at once, unless that is going on already; meanwhile they take no
    core from him. They end when nothing is left, and with the process.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._waiting: dict[str, _Text] = {}  # by key
        self._flying: dict[str, threading.Event] = {}
        self._share = 1  # texts in a library
        self._at_work = 0  # compilers
        self._threads: list[threading.Thread] = []
        self._compilers: list[list[Any]] = []  # of each thread
        self._ended = False

    def add(self, units: Iterable[Unit], later: bool = False) -> None:
        """Compile in the background what of these is neither in the cache nor on its way into it.

        What is needed `later`, such as ways back, waits until nothing else does, and shares no library with it.
        """
        with contextlib.suppress(OSError):  # no place for libraries: who needs one says so
            known = cache.kept()
            texts = [(unit, *pair) for unit in units for pair in zip(compiler.keys(unit), unit.parts, strict=True)]
            with self._changed:
                for unit, key, part in texts:
                    if key not in known and key not in self._flying:
                        before = self._waiting.get(key)
                        self._waiting[key] = _Text(unit.head, part, later and (before is None or before.later))
                self._share = min(_LARGE, -(-len(self._waiting) // cores()))  # so that all cores have something to do
                self._hire()

    def claim(self, unit: Unit) -> tuple[Unit, list[threading.Event]]:
        """Return what of a unit its caller shall compile, and what to wait for, because it is being compiled."""
        with self._changed:
            for key in compiler.keys(unit):
                self._waiting.pop(key, None)
            return compiler.only(unit, lambda key: key not in self._flying), self.flying(unit)

    def flying(self, unit: Unit) -> list[threading.Event]:
        """Return what tells when the parts of a unit that are being compiled are done."""
        return list(dict.fromkeys(self._flying[key] for key in compiler.keys(unit) if key in self._flying))

    @contextlib.contextmanager
    def stepping_back(self, count: int) -> Iterator[None]:
        """Leave cores to `count` compilers that somebody waits for."""
        with self._changed:
            self._at_work += count
        try:
            yield
        finally:
            with self._changed:
                self._at_work -= count
                self._changed.notify_all()

    def end(self) -> None:
        """Stop all compilers, at the end of the process."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        while any(thread.is_alive() for thread in self._threads):
            for process in [process for running in self._compilers for process in running]:
                if process.poll() is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
            for thread in self._threads:
                thread.join(0.01)

    def _hire(self) -> None:
        """Start as many threads as there are cores, or texts."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for _ in range(min(cores(), len(self._waiting)) - len(self._threads)):
            thread = threading.Thread(target=self._work, name="cunet compiles", daemon=True)
            with contextlib.suppress(RuntimeError):  # no thread can be started: those there are do it
                thread.start()
                self._threads.append(thread)

    def _work(self) -> None:
        running: list[Any] = []
        self._compilers.append(running)
        while (taken := self._take()) is not None:
            unit, keys, done = taken
            try:
                compiler.compile_all([unit], aside=running)
            finally:
                with self._changed:
                    self._at_work -= 1
                    for key in keys:
                        del self._flying[key]
                    self._changed.notify_all()
                done.set()
                running.clear()
        self._compilers.remove(running)

    def _take(self) -> tuple[Unit, list[str], threading.Event] | None:
        """Return what a thread is to compile next, as one library, when there is a core for it; None: nothing."""
        with self._changed:
            self._changed.wait_for(lambda: self._at_work < cores() or self._ended)
            if self._ended or compiler.progress.problem is not None or not self._waiting:
                self._waiting.clear()
                return None
            first = min(self._waiting.values(), key=lambda text: text.later)
            same = [key for key, text in self._waiting.items() if (text.head, text.later) == (first.head, first.later)]
            keys = same[: self._share if first.head else 1]
            done = threading.Event()
            unit = Unit(first.head, tuple(self._waiting.pop(key).part for key in keys))
            self._flying |= dict.fromkeys(keys, done)
            self._at_work += 1
            return unit, keys, done


queue = Queue()
atexit.register(queue.end)
if hasattr(os, "register_at_fork"):  # a child has none of the threads
    os.register_at_fork(after_in_child=queue.__init__)  # type: ignore[misc]


def compile_now(units: Sequence[Unit]) -> list[CompileError | None]:
    """Do as `compiler.compile_all`, but wait for what is being compiled in the background, and take over the rest."""
    claimed = [queue.claim(unit) for unit in units]
    with queue.stepping_back(sum(bool(unit.parts) for unit, _ in claimed)):
        errors = compiler.compile_all([unit for unit, _ in claimed])
    if not any(flying for _, flying in claimed):
        return errors
    for event in [event for _, flying in claimed for event in flying]:
        _wait(event)
    return compiler.compile_all(units)  # what failed there


def settled(unit: Unit) -> bool:
    """Tell whether a unit is in the cache; wait for it if it is being compiled."""
    for event in queue.flying(unit):
        _wait(event)
    return not compiler.missing(unit).parts


def _wait(event: threading.Event) -> None:
    """Wait for a text that is being compiled; tell a person if that takes noticeable time."""
    began = time.monotonic()
    if not event.wait(max(0.0, compiler.PATIENCE - compiler.progress.waited)):
        compiler.progress.tell()
        event.wait()
    compiler.progress.waited += time.monotonic() - began
