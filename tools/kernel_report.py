"""Print the registers and spills of every kernel, as NVIDIA's compiler reports them; needs no GPU.

    python tools/kernel_report.py                    every kernel that the test suite launches
    python tools/kernel_report.py tests/optim        those in one folder; anything that pytest takes
    python tools/kernel_report.py --sources FILE     write what tools/gpu_record.py compiles ahead
    python tools/kernel_report.py --machine-code docs/machine-code.md     write the table of machine code

Runs the tests on the simulated device with NVRTC switched on, and reads what it said about each source that was
launched (kernel x dtype x layout, and the variants that CuPy builds around CUB). Writes JSON with ``--json FILE``.
Exit status 1: the tests failed, or a kernel spills more bytes than ``--max-spill`` (default: no limit).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from recording.plan import FORMS
from recording.sources import gather

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the simulated device


def run_tests(arguments: list[str], archs: str) -> tuple[list[dict[str, str]], int]:
    """Run pytest on the simulated device; return what NVRTC said, an entry per source, and pytest's exit status."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.jsonl")
        env = os.environ | {"CUNET_SIM_NVRTC": archs, "CUNET_SIM_REPORT": str(report), "CUNET_REQUIRE_SIM": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "--device", "sim", *arguments]
        status = subprocess.run(command, cwd=ROOT, env=env).returncode
        lines = report.read_text().splitlines() if report.exists() else []
    return [json.loads(line) for line in sorted(set(lines))], status


def commands(tests: list[str]) -> list[list[str]]:
    """Return what is run to find the sources that a record needs."""
    chosen = tests or ["-m", "not layouts", *FORMS["gpu"].tests]
    return [
        ["-m", "cunet.parity", "--device", "sim", "--steps", "2"],
        ["-m", "recording.trace"],
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--device", "sim", *chosen],
    ]


def parse(entry: dict[str, str]) -> dict[str, Any]:
    """Read registers, spilled bytes, stack and static shared memory from the compiler's log."""
    log = entry["log"]

    def number(pattern: str) -> int:
        found = re.findall(pattern, log)
        return max((int(n) for n in found), default=0)

    return {
        "kernel": entry["name"],
        "arch": f"sm_{entry['arch']}",
        "types": types_of(entry["signature"]),
        "registers": number(r"Used (\d+) registers"),
        "spill_bytes": number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads"),
        "stack_bytes": number(r"(\d+) bytes stack frame"),
        "shared_bytes": number(r"(\d+) bytes smem"),
    }


def types_of(signature: str) -> str:
    """Shorten a kernel's parameters to types and layouts: ``float[2]`` has 2 axes, ``float[2s]`` is strided too."""
    short = re.sub(r"const |_raw_\w+|\b_\w+", "", signature)
    short = re.sub(r"CIndexer<\d+(, \d)?>", "", short)
    short = re.sub(r"CArray<([\w ]+), (\d+), 1(, \d)?>", r"\1[\2]", short)
    short = re.sub(r"CArray<([\w ]+), (\d+), 0(, \d)?>", r"\1[\2s]", short)
    words = [part.split()[0] for part in short.split(",") if part.strip()]
    return " ".join(words)


def table(rows: list[dict[str, Any]]) -> str:
    """Format the rows: the worst case of each kernel and architecture, and how many variants there are."""
    worst: dict[tuple[str, str], dict[str, Any]] = {}
    count: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["kernel"], row["arch"])
        count[key] = count.get(key, 0) + 1
        best = worst.get(key)
        rank = (row["spill_bytes"], row["registers"])
        if best is None or rank > (best["spill_bytes"], best["registers"]):
            worst[key] = row
    width = max([len("kernel"), *(len(key[0]) for key in worst)])
    lines = [f"{'kernel':{width}}  arch   variants  registers  spill  stack  shared  worst variant"]
    for key, row in sorted(worst.items()):
        lines.append(
            f"{key[0]:{width}}  {key[1]:5}  {count[key]:8}  {row['registers']:9}  {row['spill_bytes']:5}"
            f"  {row['stack_bytes']:5}  {row['shared_bytes']:6}  {row['types']}"
        )
    return "\n".join(lines)


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Registers and spills of every kernel, without a GPU.")
    parser.add_argument("--archs", default="80,90", help="architectures (default: 80,90)")
    parser.add_argument("--json", type=Path, help="write all variants to this file")
    parser.add_argument("--max-spill", type=int, help="fail if a kernel spills more bytes than this")
    parser.add_argument(
        "--sources", type=Path, help="write the sources of parity, of the record's cases and tests there"
    )
    parser.add_argument("--machine-code", type=Path, help="write the table of machine code there; runs no tests")
    options, pytest_arguments = parser.parse_known_args()
    if options.sources:
        print(f"{gather(options.sources, commands(pytest_arguments))} sources written to {options.sources}")
        return 0
    if options.machine_code:
        from machine_code import report  # it needs what the simulated device needs, and nvdisasm

        options.machine_code.write_text(
            report.page(report.rows(("float32", "float16"), options.archs.split(","), parse))
        )
        return 0
    entries, status = run_tests(pytest_arguments, options.archs)
    rows = [parse(entry) for entry in entries]
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    print(table(rows))
    spilled = [row for row in rows if row["spill_bytes"]]
    print(f"{len(rows)} variants of {len({row['kernel'] for row in rows})} kernels, {len(spilled)} with spills")
    if options.max_spill is not None and any(row["spill_bytes"] > options.max_spill for row in rows):
        return 1
    return int(status != 0)


if __name__ == "__main__":
    sys.exit(main())
