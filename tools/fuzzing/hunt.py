"""Run calls in a process of their own, and another one after each that did not survive."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Hunt:
    """Hands calls to a process, and lives when that dies; a context manager that ends it.

    Args:
        command: of the process (see `fuzzing.worker.serve`).
        timeout: seconds after which a call hangs: that it computes, or that it does nothing. On a busy machine it may
            take longer.
    """

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self.command, self.timeout = command, timeout
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> Hunt:
        """Return itself."""
        return self

    def __exit__(self, *_: Any) -> None:
        """End the process."""
        self._end()

    def run(self, number: int) -> tuple[str, list[str]]:
        """Run one call; return how it is written, and what is wrong with it."""
        process = self._process or self._start()
        with contextlib.suppress(BrokenPipeError):
            print(number, file=process.stdin, flush=True)
        call, route, findings = "?", "the draw", []
        began = seen = _computed(process.pid)
        while True:
            try:
                line = self._lines.get(timeout=self.timeout)
            except queue.Empty:
                now = _computed(process.pid)
                if seen < now < began + self.timeout:
                    seen = now
                    continue
                self._end()
                return call, [*findings, f"{route}: no end after {self.timeout:g} s"]
            mark, _, text = line.rstrip("\n").partition(" ")
            if mark == "@":
                call = text
            elif mark == ">":
                route = text
            elif mark == "!":
                findings.append(text)
            elif mark == ".":
                return call, findings
            elif mark == "":
                return call, [*findings, f"{route}: {self._end()}"]

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._process, self._lines = process, queue.Queue()
        threading.Thread(target=_read, args=(process, self._lines), daemon=True).start()
        return process

    def _end(self) -> str:
        """End the process; say how it ended by itself."""
        process, self._process = self._process, None
        if process is None:
            return ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(0.5 if self._lines.empty() else 0)
            return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        process.kill()
        process.wait()
        return "killed"


def _computed(pid: int) -> float:
    """Return the seconds of processor time that a process has had, with its children that ended; 0 if unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # no Linux, or the process is gone
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    """Pass on all lines, and an empty one when there are no more."""
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put("")
