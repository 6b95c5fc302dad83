"""Runs groups piece by piece: a process with one thread for each, as many at a time as there are cores."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from .group import Piece, Size, pieces
from .results import read
from .worker import work


class PieceFailed(RuntimeError):
    """A piece ended without a result."""


def run(name: str, size: Size, folder: Path, *, seed: int = 0, jobs: int | None = None) -> Path:
    """Run the pieces of a group that its results file lacks; return that file, in the order of the pieces.

    Beside it, ``times.jsonl`` says how much time of a processor each took when it was last run, and of which.

    Raises:
        PieceFailed: a piece ended with an error; the others are in the file.
    """
    path, times = folder / f"{name}.jsonl", folder / "times.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pieces(name, size, seed)
    there = {_key(row["piece"]): row for row in read(path)}
    _write(path, there.values())  # without the end of a run that was killed
    todo = [piece for piece in wanted if _key(piece) not in there]
    if not todo:
        print(f"{name}: all {len(wanted)} pieces are in {path} already")
    problems = []
    for done, (piece, outcome) in enumerate(_side_by_side(name, todo, jobs or cores()), 1):
        if isinstance(outcome, PieceFailed):
            problems.append(outcome)
            continue
        found, seconds = outcome
        there[_key(piece)] = {"piece": piece, "found": found}
        _append(path, there[_key(piece)])
        spent = {"group": name, "piece": piece, "seconds": round(seconds, 2), "machine": machine()}
        _append(times, spent)
        print(f"{name}: {done} of {len(todo)}, {seconds:.1f} s", flush=True)
    if problems:
        raise problems[0]
    _write(path, [there[_key(piece)] for piece in wanted])  # in an order that does not say who was ready first
    _write(times, _last(read(times), name, wanted))
    return path


def _last(rows: Iterable[Any], name: str, wanted: Iterable[Piece]) -> list[Any]:
    """Return of each piece the last of its times, without those of pieces that a group no longer has."""
    keys = {_key(piece) for piece in wanted}
    last = {(row["group"], _key(row["piece"])): row for row in rows}
    return [row for (group, key), row in last.items() if group != name or key in keys]


def _side_by_side(name: str, todo: list[Piece], jobs: int) -> Iterator[tuple[Piece, Any]]:
    """Yield (piece, what `alone` returns, or its error) as they are ready; a Ctrl-C starts no further ones."""

    def attempt(piece: Piece) -> tuple[Piece, Any]:
        try:
            return piece, alone(name, piece)
        except PieceFailed as problem:
            return piece, problem

    pool = ThreadPoolExecutor(jobs)
    try:
        for future in as_completed([pool.submit(attempt, piece) for piece in todo]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def alone(name: str, piece: Piece) -> tuple[dict[str, Any], float]:
    """Return what a piece finds in a process of its own, and its seconds of processor time.

    Raises:
        PieceFailed: it ended without a result.
    """
    context = _context()
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(there, name, piece))
    process.start()
    there.close()
    try:
        found, seconds = here.recv()
    except EOFError:
        found, seconds = "its process ended", 0.0
    process.join()
    if not isinstance(found, dict):
        raise PieceFailed(f"{name}: {piece}: {found}")
    return found, seconds


def _context() -> Any:
    """Return how processes are started: forked from one that has loaded everything, or else anew; with one thread."""
    os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "CUNET_NUM_THREADS"), "1"))
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lab.preload"])
    return context


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """Return the name of the processor and how many of its cores may be used."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {cores()} cores"


def _key(piece: Piece) -> str:
    return json.dumps(piece, sort_keys=True)


def _append(path: Path, row: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _write(path: Path, rows: Iterable[Any]) -> None:
    """Write a file anew: at no moment is there half of it."""
    new = path.with_suffix(".new")
    new.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    new.replace(path)
