"""The record as it grows: one JSON object a line, on disk at once, so that whoever is killed leaves what there was.

Lines of a part hold its name, a key, and one of: "begun" (the time), "value" (a dict), "skipped" (why it cannot be had
here), "error" (what went wrong). The last line of a key counts. The runner writes one more with "end" for each try.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Line = dict[str, Any]
Measure = Callable[[], dict[str, Any]]


class Skipped(Exception):
    """Why something cannot be measured here."""


def read(path: Path) -> list[Line]:
    """Return the lines of a record; one that was cut off in the middle is left out."""
    found = []
    for text in path.read_text(encoding="utf-8").split("\n") if path.is_file() else ():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and "part" in line:
            found.append(line)
    return found


def append(path: Path, line: Line) -> None:
    """Add a line, and wait until it is on disk; processes may do so at the same time."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def compact(path: Path) -> list[Line]:
    """Rewrite a record with the last line of each key alone, in the order of first appearance; return its lines."""
    last: dict[tuple[str, ...], Line] = {}
    for number, line in enumerate(read(path)):
        last[(line["part"], line["key"]) if "key" in line else ("", str(number))] = line
    save(path, list(last.values()))
    return list(last.values())


def save(path: Path, lines: Sequence[Line]) -> None:
    """Write a record; whoever is ended meanwhile leaves the one that was there."""
    own = path.with_suffix(f".{os.getpid()}")
    own.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    os.replace(own, path)


class Rows:
    """What a part has measured, and has still to measure.

    Args:
        path: the record.
        part: the part's name.
        share: ``(k, n)``: this process is the k-th of n that share the work.
        check: called after an error; raises if nothing can be measured any more in this process.
    """

    def __init__(
        self, path: Path, part: str, share: tuple[int, int] = (0, 1), check: Callable[[], None] = lambda: None
    ) -> None:
        self.path, self.part, self.share, self.check = path, part, share, check

    def todo(self, keys: Iterable[str]) -> list[str]:
        """Return this process's keys that have no value yet: those that failed or hung before come last."""
        number, count = self.share
        last = {line["key"]: line for line in read(self.path) if line["part"] == self.part and "key" in line}
        left = [key for key in list(keys)[number::count] if "value" not in last.get(key, {})]
        return sorted(left, key=lambda key: key in last)

    def write(self, key: str, kind: str, what: Any) -> None:
        """Append a line for a key: "begun", "value", "skipped" or "error"."""
        append(self.path, {"part": self.part, "key": key, kind: what})

    @contextmanager
    def skipping(self, key: str) -> Iterator[None]:
        """Note why something is skipped, within a ``with`` block that ends there."""
        try:
            yield
        except Skipped as reason:
            self.write(key, "skipped", str(reason))

    def measure(self, measures: Iterable[tuple[str, Measure]]) -> None:
        """Measure what is not there yet; what fails is noted, and the rest measured."""
        calls = dict(measures)
        for key in self.todo(calls):
            self.write(key, "begun", round(time.time(), 3))
            try:
                value = calls[key]()
            except Skipped as reason:
                self.write(key, "skipped", str(reason))
            except Exception as error:
                self.write(key, "error", f"{type(error).__name__}: {str(error)[:300]}")
                self.check()
            else:
                self.write(key, "value", value)
