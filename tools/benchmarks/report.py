"""What was measured, as Markdown tables and a plot, under a header that says where and with what."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .measure import PAUSE, SLOW, WARM, cpus

COLUMNS = {"torch": "PyTorch", "numpy": "NumPy", "compiled": "compiled", "recorded": "recorded",
           "torch.compile": "t.compile", "jax": "JAX", "onnxruntime": "ONNX Runtime"}  # fmt: skip
INTRODUCTION = f"""\
Written by `tools/bench.py`. PyTorch runs eagerly with its defaults; `t.compile` is torch.compile with a fused
optimiser; cunet has two routes on a CPU, NumPy bodies and compiled ones, and *recorded* is `cunet.compile` on the
compiled one. All in float32, on the same CPUs, from the same weights and data; losses, or results and gradients, agreed
before anything was timed. (a) to (d), (f), (h) and (i) are whole training steps, with Adam but for (b), which has SGD;
in (d) cunet's batch norm has the ReLU in it, as the examples do; (e) is forward and backward of one layer; (j) is one
sample through a net, without gradients. The libraries take turns in one process per job, in blocks of calls,
{1e3 * PAUSE:.0f} ms apart and {1e3 * WARM:.0f} ms warm, in alternating order. A ratio is the
median over rounds of block / PyTorch's block in the same round, ± half the distance between its quartiles, over the
rounds in which PyTorch was within {SLOW:g} times its own best. Trust the ratios rather than the
milliseconds."""
FLOORS = """\
Floor: the least that this machine needs, from its own rates in the same run: the matrix products at the rate of
BLAS, or reading and writing each array once per pass at the rate of a copy, whichever takes longer. Arrays that
stay in a cache between passes can beat the rate of a copy."""


def header(rounds: int) -> dict[str, str]:
    """Return machine, versions and date."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[call-overload,index]
    versions = [f"NumPy {np.__version__} ({blas['name']} {blas['version']})"]
    for name, package in (("PyTorch", "torch"), ("JAX", "jax"), ("ONNX Runtime", "onnxruntime")):
        if found := version(package):
            versions.append(f"{name} {found}")
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{cpu_name()}, {cpus()} CPUs used of {os.cpu_count()}, {platform.system()} {platform.machine()}",
        "versions": f"cunet {version('cunet') or '?'}{commit()}, Python {platform.python_version()}, "
        + ", ".join(versions),
        "compiler": compiler(),
        "load": f"{os.getloadavg()[0]:.2f} when it began" if hasattr(os, "getloadavg") else "unknown",
        "rounds": str(rounds),
    }


def version(package: str) -> str:
    """Return the version of an installed distribution, or ""."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _output(*command: str) -> str:
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
    return "" if done.returncode else done.stdout.strip()


def commit() -> str:
    """Return the commit of this checkout in brackets, with a + if files were changed; "" outside one."""
    name = _output("git", "rev-parse", "--short", "HEAD")
    return name and f" ({name}{'+' if _output('git', 'status', '--porcelain', '-uno') else ''})"


def compiler() -> str:
    """Return the first line of what the system's C++ compiler says of itself."""
    texts = (_output(name, "--version") for name in ("c++", "g++", "clang++"))
    return next((text.splitlines()[0] for text in texts if text), "none")


def cpu_name() -> str:
    """Return the processor's name, and the widest vector unit that NumPy knows of."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    features = np._core._multiarray_umath.__cpu_features__
    vectors = [name for name in ("AVX512_SPR", "AVX512_SKX", "AVX2", "NEON") if features.get(name)]
    return " ".join([(names or [platform.processor() or "unknown CPU"])[0], *[f"({name})" for name in vectors[:1]]])


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the first of them names, as a Markdown table whose columns line up; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append(f"| {' | '.join(cells)} |")
    rule = ["-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([lines[0], f"| {' | '.join(rule)} |", *lines[1:]])


def columns(results: Sequence[dict[str, Any]], part: str) -> list[str]:
    """Return the libraries that appear in a part of the results, in the order of the table."""
    return [name for name in COLUMNS if any(name in result.get(part, {}) for result in results)]


def ratio_table(results: Sequence[dict[str, Any]]) -> str:
    """Return time over PyTorch's for every job, with the aims for cunet's two routes."""
    names = [name for name in columns(results, "ratios") if name != "torch"]
    aims = {"numpy": 0, "compiled": 1}
    head = ["job"]
    for name in names:
        head += [COLUMNS[name], "aim"] if name in aims else [COLUMNS[name]]
    rows = [head]
    for result in results:
        row = [result["title"]]
        for name in names:
            row.append(spread(result.get("ratios", {}).get(name)))
            if name in aims:
                row.append(f"{result['aims'][aims[name]]:g}" if result["aims"] else "")
        rows.append(row)
    mean = ["(e) geometric mean"]
    group = [result.get("ratios", {}) for result in results if result["group"] == "e"]
    for name in names:
        values = [ratio[name]["median"] for ratio in group if name in ratio]
        mean.append(f"{statistics.geometric_mean(values):.2f}" if values else "")
        if name in aims:
            mean.append(("1.2", "0.6")[aims[name]])
    return table([*rows, mean] if len(group) > 1 else rows)


def runs_table(reports: Sequence[dict[str, Any]]) -> str:
    """Return the ratios of steps as they are written and recorded, of several runs."""
    keys = [key for key, result in reports[0]["jobs"].items() if "recorded" in result.get("ratios", {})]
    rows = [["job", *[f"{name}, {k}" for name in ("compiled", "recorded") for k in range(1, len(reports) + 1)]]]
    for key in keys:
        ratios = [report["jobs"].get(key, {}).get("ratios", {}) for report in reports]
        cells = [spread(found.get(name)) for name in ("compiled", "recorded") for found in ratios]
        rows.append([reports[0]["jobs"][key]["title"], *cells])
    heads = [report["header"] for report in reports]
    lines = [
        f"{k}. {h['date']}, {h['machine']}, load {h['load']}, {h['rounds']} rounds" for k, h in enumerate(heads, 1)
    ]
    return table(rows) + "\n\n" + "\n".join(lines)


def spread(ratio: dict[str, float] | None) -> str:
    """Return a ratio with half the distance between its quartiles."""
    return f"{ratio['median']:.2f} ±{(ratio['high'] - ratio['low']) / 2:.2f}" if ratio else ""


def time_table(results: Sequence[dict[str, Any]]) -> str:
    """Return milliseconds for every job and library, and the machine's floor."""
    names = columns(results, "ms")
    rows = [["ms per call", *[COLUMNS[name] for name in names], "floor"]]
    for result in results:
        floor = result.get("floor")
        times = [f"{result['ms'][name]:.3g}" if name in result.get("ms", {}) else "" for name in names]
        rows.append([result["title"], *times, f"{floor['ms']:.3g} {floor['bound']}" if floor else ""])
    return table(rows)


CLOCKS = """\
A clock stands around each function of C, in a process with hot caches and nothing beside it: products of matrices (by
BLAS), convolution and pooling, the loop over time of a recurrent layer, and compiled kernels (an optimiser's too). What
is left is Python, and small products that NumPy does."""
PARTS = ("products", "convolution", "recurrence", "kernels", "Python and NumPy")


def parts_table(results: Sequence[dict[str, Any]]) -> str:
    """Return where the time of training steps goes on the compiled route."""
    rows = [["ms of a step", "whole", *PARTS, "kernel calls"]]
    for result in (result for result in results if "ms" in result.get("parts", {})):
        found = result["parts"]
        spent = [f"{found['ms'][part]:.3g}" if part in found["ms"] else "" for part in PARTS]
        rows.append([result["title"], f"{found['step']:.3g}", *spent, f"{found['calls']:.0f}"])
    return table(rows)


def memory_table(results: Sequence[dict[str, Any]]) -> str:
    """Return the peak memory of processes that run a job in one library, and what the import alone takes."""
    names = columns(results, "memory")
    rows = [["peak memory, MB", *[COLUMNS[name] for name in names]]]
    found = [result["memory"] for result in results if "memory" in result]
    imported = [[m[name]["imported"] for m in found if "imported" in m.get(name, {})] for name in names]
    rows.append(["after the import", *[f"{statistics.median(values):.0f}" if values else "" for values in imported]])
    for result in (result for result in results if "memory" in result):
        peaks = [result["memory"].get(name, {}).get("peak") for name in names]
        rows.append([result["title"], *[f"{p:.0f}" if p else "" for p in peaks]])
    return table(rows)


def startup_table(found: dict[str, dict[str, Any]]) -> str:
    """Return what each library costs before it computes."""
    rows = [["(g)", *found]]
    rows.append(["import, s", *[f"{one['import']:.2f}" for one in found.values()]])
    rows.append(["start to first trained batch, s", *[seconds(one["first"]) for one in found.values()]])
    for key, name in (
        ("cold", "compiled route, the very first time"),
        ("warm", "compiled route, later"),
        ("answer", "start to end with an answer of (j), s"),
        ("warm answer", "compiled route, later"),
    ):
        if any("seconds" in one.get(key, {}) for one in found.values()):
            rows.append([name, *[seconds(one.get(key, {})) for one in found.values()]])
    totals = [sum(one["bytes"].values()) / 1e6 for one in found.values()]
    rows.append(["installed with what it needs, MB", *[f"{total:.0f}" for total in totals]])
    return table(rows)


def seconds(answer: dict[str, Any]) -> str:
    """Return the seconds of an answer, or nothing."""
    return f"{answer['seconds']:.2f}" if "seconds" in answer else ""


def markdown(report: dict[str, Any], others: Sequence[dict[str, Any]] = ()) -> str:
    """Return the whole report, and beside its ratios those of other runs."""
    results = list(report["jobs"].values())
    parts = ["# Benchmarks on a CPU", INTRODUCTION]
    parts.append("\n".join(f"- {name.capitalize()}: {value}" for name, value in report["header"].items()))
    if columns(results, "ratios"):
        base = next(COLUMNS[result["reference"]] for result in results if "reference" in result)
        parts += [f"## Time over {base}'s; less is better", ratio_table(results)]
    if others:
        parts += ["## The same in several runs", runs_table([report, *others])]
    if columns(results, "ms"):
        parts += ["## Times, and what the machine allows", time_table(results), FLOORS]
    if any("ms" in result.get("parts", {}) for result in results):
        parts += ["## Where a step's time goes on the compiled route", parts_table(results), CLOCKS]
    if columns(results, "memory"):
        parts += ["## Peak memory of a process that runs a job", memory_table(results)]
    if report.get("startup"):
        parts += ["## Before the first result", startup_table(report["startup"])]
    if report.get("picture"):
        parts += [
            "## As batch and width grow",
            "![ms per training step of an MLP over batch and width](" + report["picture"] + ")",
        ]
    if lines := notes(report):
        parts += ["## Notes", "\n".join(f"- {line}" for line in lines)]
    return "\n\n".join(parts)


def notes(report: dict[str, Any]) -> list[str]:
    """Return what a reader must know: a busy machine, jobs that differ or failed, libraries that were left out."""
    lines = []
    load = report["header"]["load"].split()[0]
    if load != "unknown" and float(load) > 0.5:
        lines.append("**The machine was busy when this began: the numbers are no measurement.**")
    titles: dict[str, list[str]] = {}
    for result in report["jobs"].values():
        lines += [f"**{result['title']}: {result[key]}**" for key in ("differs", "failed") if key in result]
        for note in result.get("notes", []):
            titles.setdefault(note, []).append(result["title"])
    return lines + [note if len(jobs) > 1 else f"{jobs[0]}: {note}" for note, jobs in titles.items()]


def plot(scaling: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw milliseconds per training step over batch and over width, a line per library."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
    styles = {
        "torch": ("PyTorch", "C3", "s"),
        "numpy": ("cunet, NumPy", "C0", "o"),
        "compiled": ("cunet, compiled", "C2", "^"),
    }
    for ax, (axis, points) in zip(axes, scaling.items(), strict=True):
        other = "width" if axis == "batch" else "batch"
        for name, (label, colour, marker) in styles.items():
            known = [p for p in points if name in p.get("ms", {})]
            if known:
                xs, ys = [p[axis] for p in known], [p["ms"][name] for p in known]
                ax.plot(xs, ys, label=label, color=colour, marker=marker, markersize=5)
        floors = [p for p in points if p.get("floor")]
        if floors:
            ys = [p["floor"]["ms"] for p in floors]
            ax.plot([p[axis] for p in floors], ys, label="floor: its matrix products", color="0.6", linestyle="--")
        ax.set(xscale="log", yscale="log", xlabel=axis, title=f"{axis} grows, {other} {points[0][other]}")
        ax.xaxis.set_major_locator(FixedLocator([p[axis] for p in points]))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("ms per training step")
    axes[0].legend(frameon=False)
    figure.suptitle("MLP 784-width-width-10, Adam, float32")
    figure.savefig(path, dpi=110)
