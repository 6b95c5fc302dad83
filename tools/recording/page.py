"""The page of a record, made from its lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from . import tables
from .plan import PARTS
from .rows import Line
from .tables import Values, bullets, table

GOAL_FRACTION, GOAL_BYTES = 0.8, 10**8


def page_of(lines: Sequence[Line]) -> tuple[str, str]:
    """Return the page, and the name of its file: date and GPU."""
    dates = [line["date"] for line in lines if line["part"] == "record"] or ["an unknown day"]
    machine = values_of(lines, "environment").get("machine", {})
    gpu = next((g["name"] for g in machine.get("gpus", ())), "unknown GPU")
    text = [f"# GPU record: {gpu}", "", f"Made on {' and '.join(dates)} by `python tools/gpu_record.py`.", ""]
    if gpu == "simulated device":
        text += ["**Simulated: no GPU was there, and no time on this page means anything.**", ""]
    text += [*_facts(machine), *_parts(lines)]
    for part in PARTS:
        if part.name in tables.SECTIONS:
            section = tables.SECTIONS[part.name](Values(lines))
            text += [f"## {part.title}", "", *section] if section else []
    text += ["## Goals", "", *(bullets(missed_goals(lines)) or [f"All met: {_goals()}.", ""]), *_problems(lines)]
    name = f"{dates[0][:10].replace(' ', '-')}-{re.sub(r'[^a-z0-9]+', '-', gpu.lower()).strip('-')}"
    return "\n".join(text).rstrip() + "\n", name


def values_of(lines: Sequence[Line], part: str) -> dict[str, dict[str, Any]]:
    """Return what was measured in a part, by key."""
    return Values(lines).of(part)


def verdict(lines: Sequence[Line]) -> bool:
    """Tell whether all parts that were begun are whole, all tests passed and parity holds."""
    last = {line["part"]: line["end"] for line in lines if "end" in line}
    tests = values_of(lines, "suite").values()
    held = [row["holds"] for row in values_of(lines, "parity").values()]
    whole = bool(last) and all(end == "whole" for end in last.values()) and not any("error" in line for line in lines)
    return whole and all(held) and not any(row["failed"] for row in tests)


def _goals() -> str:
    return f"{GOAL_FRACTION:.0%} of a copy from {GOAL_BYTES:.0e} bytes on, never slower than PyTorch without a compiler"


def missed_goals(lines: Sequence[Line]) -> list[str]:
    """Name what is below 80 % of a copy at 1e8 bytes and above, and what is slower than PyTorch without a compiler."""
    missed, values = [], Values(lines)
    for name, way, own, theirs in tables.pairs(values):
        share = values.of_copy(own)
        if share is not None and own["size"] >= GOAL_BYTES and share[way] < GOAL_FRACTION:
            missed.append(f"{name}, {way}: {share[way]:.0%} of a copy")
        if theirs and tables.longer(own[way]) > tables.longer(theirs):
            missed.append(f"{name}, {way}: {tables.longer(own[way]) / tables.longer(theirs):.2f} times PyTorch's time")
    for (net, mode), by in tables.steps(values).items():
        if {"cunet", "PyTorch"} <= by.keys() and tables.longer(by["cunet"]) > tables.longer(by["PyTorch"]):
            times = tables.longer(by["cunet"]) / tables.longer(by["PyTorch"])
            missed.append(f"step of {net} ({mode}): {times:.2f} times PyTorch's time")
    return missed


def _facts(machine: dict[str, Any]) -> list[str]:
    if not machine:
        return []
    gpus = ", ".join(f"{g['name']} ({(g['memory_total'] or 0) / 2**30:.0f} GiB)" for g in machine["gpus"])
    facts = {"GPU": gpus, "driver and clocks": machine.get("nvidia_smi"), "CUDA": machine["cuda_runtime"]}
    facts |= {"CuPy": ", ".join(machine["cupy"]), "NumPy": machine["numpy"], "Python": machine["python"]}
    facts |= {"cunet": machine["cunet"], "commit": machine["commit"], "cores": machine["cpu_count"]}
    return table(("what", "version"), [(k, v or "unknown") for k, v in (facts | machine["others"]).items()])


def _parts(lines: Sequence[Line]) -> list[str]:
    rows = []
    for part in PARTS:
        own = [line for line in lines if line["part"] == part.name]
        ends = [line for line in own if "end" in line]
        counts = [sum(kind in line for line in own) for kind in ("value", "skipped", "error")]
        seconds = sum(line.get("seconds", 0) for line in ends)
        how = ", then ".join(line["end"] for line in ends) or "not asked for"
        rows.append((part.title, how, f"{seconds:.0f}", f"{part.limit:.0f}", *counts))
    return ["## Parts", "", *table(("part", "ended", ">s", ">limit", ">measured", ">skipped", ">errors"), rows)]


def _problems(lines: Sequence[Line]) -> list[str]:
    """List what is missing, and why."""
    found = []
    for line in lines:
        if "error" in line or "skipped" in line or "begun" in line:
            why = line.get("error") or line.get("skipped") or "begun, and ended by force"
            found.append(f"{line['part']}, {line['key']}: {why}")
        elif line.get("log"):
            found.append(f"{line['part']}: {line['end']}: {line['log'].strip().splitlines()[-1]}")
    return ["## What is missing", "", *bullets(found)] if found else []
