"""Make the record of a machine with a GPU: ``python tools/gpu_record.py``.

Runs the test suite on the GPU, compares it with the CPU (``python -m cunet.parity``), measures the kernels beside the
bandwidth of a copy and beside PyTorch where that is installed, and writes JSON and a Markdown table into ``records/``.
Exit status: 0 if the tests pass and parity holds, 1 if not, 2 without a GPU. Goals that are missed are listed in the
record.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gpu_benchmark
import gpu_torch
import numpy as np

from cunet import device as backend
from cunet.doctor.machine import device_info

ROOT = Path(__file__).resolve().parent.parent
SIZES = (100_000, 1_000_000, 10_000_000, 100_000_000)
BATCHES = (128, 1024, 8192)
PARTS = ("suite", "parity", "benchmark")
GOAL_FRACTION, GOAL_BYTES = 0.8, 100_000_000
Runner = Callable[..., subprocess.CompletedProcess]


def machine(torch: Any = None) -> dict[str, Any]:
    """Return what the record was made on."""
    info = device_info() | {"driver": None, "pytorch": torch and torch.__version__, "commit": None}
    if shutil.which("nvidia-smi"):
        info["driver"] = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").partition("\n")[0]
    if shutil.which("git"):
        info["commit"] = _output("git", "describe", "--always", "--dirty")
    return info


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def run_suite(device: str = "gpu", run: Runner = subprocess.run) -> dict[str, Any]:
    """Run the tests on the device; return pytest's last line and whether all passed."""
    command = [sys.executable, "-m", "pytest", "-q", "--device", device, "-p", "no:cacheprovider"]
    done = run(command, cwd=ROOT, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.strip()] or ["no output"]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return {"passed": done.returncode == 0, "summary": lines[-1].strip("= "), "failed": failed}


def run_parity(device: str = "gpu", run: Runner = subprocess.run) -> dict[str, Any]:
    """Compare device and CPU; return the report of `cunet.parity` and its table."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "parity.json")
        command = [sys.executable, "-m", "cunet.parity", "--device", device, "--json", str(file)]
        done = run(command, cwd=ROOT, capture_output=True, text=True)
        report = json.loads(file.read_text()) if file.exists() else {"holds": False, "error": done.stderr}
    return report | {"table": done.stdout}


def run_benchmark(
    xp: Any, timer: gpu_benchmark.Timer, sizes: Sequence[int], batches: Sequence[int], rival: Any = None, **options: Any
) -> dict[str, Any]:
    """Measure ops and MLP; return what was measured and which goals were missed."""
    dtypes = options.pop("dtypes", (np.float32, np.float16))
    found = gpu_benchmark.measure(xp, timer, sizes, dtypes, rival, **options)
    found["mlp"] = gpu_benchmark.measure_mlp(xp, timer, batches, rival and rival.mlp)
    return found | {"missed": missed_goals(found)}


def missed_goals(found: dict[str, Any]) -> list[str]:
    """Name the rows below 80 % of copy bandwidth at 1e8 bytes and above, and those slower than PyTorch eager."""
    missed = []
    for row in found["ops"]:
        name = f"{row['op']} {row['direction']} {row['dtype']} {row['elements']:.0e}"
        if row["bytes"] >= GOAL_BYTES and row["fraction"] < GOAL_FRACTION:
            missed.append(f"{name}: {row['fraction']:.0%} of copy bandwidth")
        eager = row["rivals"].get("eager")
        if eager and row["seconds"] > eager:
            missed.append(f"{name}: {row['seconds'] / eager:.2f} times the time of PyTorch eager")
    for row in found["mlp"]:
        eager = row["rivals"].get("eager")
        if eager and row["images_per_second"] < eager:
            missed.append(f"MLP step, batch {row['batch']}: {row['images_per_second'] / eager:.2f} of PyTorch eager")
    return missed


def markdown(record: dict[str, Any]) -> str:
    """Return the record as a Markdown page."""
    info = record["machine"]
    gpus = ", ".join(f"{g['name']} ({g['memory_total'] / 2**30:.0f} GiB)" for g in info["gpus"]) or "none"
    lines = [f"# {record['title']}", "", f"Made on {record['date']} by `python tools/gpu_record.py`.", ""]
    facts = {"GPU": gpus, "driver": info.get("driver"), "CUDA": info["cuda_runtime"], "CuPy": ", ".join(info["cupy"])}
    facts |= {"NumPy": info["numpy"], "Python": info["python"], "PyTorch": info["pytorch"], "cunet": info["cunet"]}
    facts |= {"commit": info["commit"]}
    lines += ["| what | version |", "| --- | --- |", *[f"| {k} | {v or 'unknown'} |" for k, v in facts.items()], ""]
    if "suite" in record:
        suite = record["suite"]
        lines += ["## Tests", "", f"`pytest --device gpu`: {suite['summary']}", "", *_list(suite["failed"])]
    if "parity" in record:
        lines += ["## CPU against GPU", "", "```", *record["parity"]["table"].splitlines(), "```", ""]
    if "benchmark" in record:
        lines += _benchmark_lines(record["benchmark"])
    return "\n".join(lines).rstrip() + "\n"


def _list(items: Sequence[str]) -> list[str]:
    return [*[f"- {item}" for item in items], ""] if items else []


def _benchmark_lines(found: dict[str, Any]) -> list[str]:
    lines = ["## Copy", "", "| bytes | GB/s, read and written |", "| ---: | ---: |"]
    lines += [f"| {row['bytes']:.0e} | {row['bytes_per_second'] / 1e9:.0f} |" for row in found["copy"]]
    lines += ["", "## Kernels", "", "Time of one call, and the bytes it must move per second as a share of what a copy"]
    lines += [
        "of as many elements moves. Beside it the time of PyTorch over that of cunet: above 1 cunet is faster.",
        "",
    ]
    lines += ["| op | dtype | elements | direction | µs | of copy | eager | compiled |"]
    lines += ["| --- | --- | ---: | --- | ---: | ---: | ---: | ---: |"]
    for r in found["ops"]:
        others = [f"{r['rivals'][k] / r['seconds']:.2f}" if k in r["rivals"] else "" for k in ("eager", "compiled")]
        cells = [r["op"], r["dtype"], f"{r['elements']:.0e}", r["direction"], f"{r['seconds'] * 1e6:.1f}"]
        cells += [f"{r['fraction']:.0%}", *others]
        lines += [f"| {' | '.join(cells)} |"]
    lines += ["", *_list([f"not measured: {error}" for error in found["errors"]])]
    lines += ["## MLP step", "", "784-512-256-10, batch norm, ReLU, dropout, Adam, float32; images per second.", ""]
    lines += ["| batch | cunet | PyTorch eager | PyTorch compiled |", "| ---: | ---: | ---: | ---: |"]
    for r in found["mlp"]:
        others = [f"{r['rivals'][k]:.0f}" if k in r["rivals"] else "" for k in ("eager", "compiled")]
        lines += [f"| {r['batch']} | {r['images_per_second']:.0f} | {' | '.join(others)} |"]
    lines += ["", "## Goals", ""]
    lines += _list(found["missed"]) or ["All met: 80 % of copy bandwidth at 1e8 bytes, never slower than eager."]
    return lines


def write(record: dict[str, Any], folder: Path) -> Path:
    """Write JSON and Markdown; return the latter's path."""
    gpus = record["machine"]["gpus"]
    gpu = re.sub(r"[^a-z0-9]+", "-", gpus[0]["name"].lower()).strip("-") if gpus else "no-gpu"
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{record['date'][:10]}-{gpu}.md"
    page.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    page.write_text(markdown(record))
    return page


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description="Make the record of a machine with a GPU.")
    parser.add_argument("--out", type=Path, default=ROOT / "records", help="folder (default: records/)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run (default: all)")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes minutes")
    options = parser.parse_args(arguments)
    xp = backend.gpu()
    if xp is None:
        print(f"gpu_record: nothing to record: {backend.gpu_problem()}", file=sys.stderr)
        return 2
    torch = gpu_torch.pytorch()
    record: dict[str, Any] = {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "machine": machine(torch)}
    record["title"] = f"GPU record: {record['machine']['gpus'][0]['name']}"
    if "suite" in options.only:
        print("running the tests ...", flush=True)
        record["suite"] = run_suite()
    if "parity" in options.only:
        print("comparing GPU and CPU ...", flush=True)
        record["parity"] = run_parity()
    if "benchmark" in options.only:
        print(f"measuring{'' if torch else ' (no PyTorch with a GPU: alone)'} ...", flush=True)
        timer, kinds = gpu_benchmark.EventTimer(xp.cuda), ("eager",) if options.no_compile else ("eager", "compiled")
        # PyTorch must work on the stream that the events are recorded in: both use the default stream.
        rival = gpu_torch.Rival(torch, timer, kinds) if torch else None
        record["benchmark"] = run_benchmark(xp, timer, SIZES, BATCHES, rival)
    page = write(record, options.out)
    print(f"written: {os.path.relpath(page)} and .json")
    good = record.get("suite", {}).get("passed", True) and record.get("parity", {}).get("holds", True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
