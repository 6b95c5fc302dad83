"""Runs the parts of a record one after the other, each in a group of processes of its own, until the deadline."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from .plan import DEADLINE, GRACE, Part
from .rows import append, read

LEAST = 8.0  # seconds left, with which a part is still begun
NO_GPU = 77  # the exit status of a part that found none; nothing else has it


class Clock(Protocol):
    """What the runner knows of time."""

    def now(self) -> float:
        """Return seconds."""

    def wait(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        """Wait for a process; return False if it has not ended in that time."""


class RealClock:
    """The clock on the wall."""

    def now(self) -> float:
        """Return seconds."""
        return time.monotonic()

    def wait(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        """Wait for a process; return False if it has not ended in that time."""
        try:
            process.wait(max(seconds, 0))
        except subprocess.TimeoutExpired:
            return False
        return True


class Runner:
    """Gives each part its time, and notes how it ended.

    Args:
        record: the file that parts add lines to.
        log: the file of what they print.
        command: ``command(part)``: what runs it.
        clock: by which time is kept.
        say: told what happens.
    """

    def __init__(
        self,
        record: Path,
        log: Path,
        command: Callable[[Part], Sequence[str]],
        clock: Clock | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.record, self.log, self.command, self.say = record, log, command, say
        self.clock = clock or RealClock()
        self.deadline = self.clock.now() + DEADLINE

    def run(self, parts: Sequence[Part]) -> bool:
        """Run all parts that the record lacks, then once more those that did not end; return False without a GPU."""
        left = [part for part in parts if not self.whole(part)]
        for _ in range(2):
            tried, left = left, []
            for part in tried:
                status = self._try(part)
                if status == NO_GPU and not any("value" in line for line in read(self.record)):
                    return False
                if status != 0:
                    left.append(part)
        return True

    def whole(self, part: Part) -> bool:
        """Tell whether the record has all of a part, without an error."""
        lines = [line for line in read(self.record) if line["part"] == part.name]
        last = {line["key"]: line for line in lines if "key" in line}
        ends = [line["end"] for line in lines if "end" in line]
        return ends[-1:] == ["whole"] and all("error" not in line for line in last.values())

    def _try(self, part: Part) -> int | None:
        """Run a part; return its exit status, None if it was ended or not begun."""
        begin = self.clock.now()
        left = self.deadline - GRACE - begin
        limit = min(part.limit, left)
        if left < LEAST:
            self._note(part, {"end": "not begun: no time was left"})
            return None
        self.say(f"{part.name}: at most {limit:.0f} s ...")
        start = self.log.stat().st_size if self.log.exists() else 0
        status = self._run(part, limit)
        end = "whole" if status == 0 else "out of time" if status is None else f"failed: exit status {status}"
        line = {"end": end, "status": status, "seconds": round(self.clock.now() - begin, 2), "limit": round(limit, 1)}
        if status:
            with self.log.open("rb") as file:
                file.seek(start)
                line["log"] = file.read().decode(errors="replace")[-500:]
        self._note(part, line)
        return status

    def _note(self, part: Part, line: Mapping[str, object]) -> None:
        append(self.record, {"part": part.name, **line})
        self.say(f"{part.name}: {line['end']}")

    def _run(self, part: Part, limit: float) -> int | None:
        """Return a part's exit status, or None if its time was over; nothing of its group is left running."""
        with self.log.open("ab") as log, _environment(part) as environment:
            process = subprocess.Popen(
                list(self.command(part)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
            try:
                return process.returncode if self.clock.wait(process, limit) else None
            finally:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a group of processes; first by a signal at which Python writes where it stands."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGABRT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    with contextlib.suppress(ProcessLookupError):  # children of it may live on, or ignore what they are told
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def _environment(part: Part) -> Iterator[dict[str, str]]:
    """Give the environment of a part's processes; a fresh cache lasts as long as the block."""
    found = os.environ | dict(part.environment) | {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
    with contextlib.ExitStack() as stack:
        if part.fresh_cache:
            folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            found["CUPY_CACHE_DIR"] = folder
        yield found
