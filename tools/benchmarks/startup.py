"""Job (g): what a library costs before it computes anything."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path


def import_seconds(module: str, runs: int) -> float:
    """Return the median time that ``import module`` takes in a fresh interpreter."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, capture_output=True)  # once before, for bytecode and the disk's cache
    outputs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(runs)]
    return statistics.median(float(out.split()[-1]) for out in outputs)


def required(name: str, found: set[str]) -> set[str]:
    """Return the installed distributions that a distribution needs, itself included, without its extras."""
    try:
        requirements = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return found
    found.add(name)
    for text in requirements:
        requirement, _, marker = text.partition(";")
        match = re.match(r"[\w.-]+", requirement)
        if match and "extra" not in marker:
            other = re.sub(r"[-_.]+", "-", match[0]).lower()
            if other not in found:
                required(other, found)
    return found


def installed_bytes(name: str) -> dict[str, int]:
    """Return the size on disk of a distribution and all that it needs, by name; {} if it is not installed."""
    return {each: _bytes_of(each) for each in sorted(required(name, set()))}


def _bytes_of(name: str) -> int:
    files: Iterable[Path] = [Path(str(f.locate())) for f in importlib.metadata.files(name) or []]
    spec = importlib.util.find_spec(name)
    folder = Path(spec.origin).parent if spec and spec.origin else None
    if folder and not any(folder in f.parents for f in files):  # an editable install lists only its link
        files = [f for f in folder.rglob("*") if f.is_file()]
    return sum(f.stat().st_size for f in set(files) if f.is_file())
