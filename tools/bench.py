"""Time cunet on the CPU against PyTorch, torch.compile and JAX, in one run, and say how far the machine's limits are.

    python tools/bench.py                                   every job; half an hour on two cores
    python tools/bench.py --quick --jobs a b gelu           a glance at some jobs: groups, or single jobs by name
    python tools/bench.py --markdown docs/benchmarks.md --json runs/bench.json --plot docs/benchmarks.png

Every job has processes of its own, in which the libraries take turns; each starts from the same weights and data,
and nothing is timed before their losses (or results and gradients) agree. PyTorch and JAX may be missing: then
cunet's own times stand beside what the machine allows. Exit status 1: two libraries did not compute the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import startup
from benchmarks.answer import PROGRAMS, answers
from benchmarks.jobs import activation_jobs, all_jobs
from benchmarks.report import header, markdown, plot

PEERS = ("torch", "torch.compile", "jax", "onnxruntime")
ROUTES = ("numpy", "compiled")
#: Batch at this width, then width at this batch, of the scaling plot.
SCALING = {"batch": ((1, 4, 16, 64, 256, 1024), 256), "width": ((16, 64, 256, 1024, 2048), 128)}


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Time cunet on the CPU against PyTorch, torch.compile and JAX.")
    parser.add_argument(
        "--jobs", nargs="+", metavar="JOB", help="groups a to j, s (scaling), x (activations), or single jobs"
    )
    parser.add_argument("--rounds", type=int, help="blocks per library and job (default: 13; quick: 3)")
    parser.add_argument("--threads", type=int, default=2, help="CPUs that all may use (default: 2)")
    parser.add_argument("--peers", nargs="*", choices=PEERS, help="(default: all that are installed; quick: torch)")
    parser.add_argument("--quick", action="store_true", help="few and short rounds, PyTorch alone, no peak memory")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that the jobs run")
    parser.add_argument("--json", type=Path, help="write all that was measured to this file")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file")
    parser.add_argument("--update", type=Path, help="take the jobs that are not chosen from this earlier --json")
    parser.add_argument("--beside", type=Path, nargs="+", default=[], help="show the ratios of these --json too")
    parser.add_argument("--plot", type=Path, help="write the plot of cost over batch and width to this file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    found = parser.parse_args()
    known = {*all_jobs(), *(job.group for job in all_jobs().values()), "g", "s", "x"}
    if unknown := set(found.jobs or ()) - known:
        parser.error(f"no such job: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    found.rounds = found.rounds or (3 if found.quick else 13)
    found.seconds = 0.0 if found.tiny else 0.02 if found.quick else 0.06
    if found.peers is None:
        found.peers = ["torch"] if found.quick else list(PEERS)
    return found


def worker(mode: str, job: str, libraries: list[str], opt: argparse.Namespace, **env: str) -> dict[str, Any]:
    """Run one job in a process of its own; return its answer, or what went wrong as ``failed``."""
    order = {"mode": mode, "job": job, "libraries": libraries, "tiny": opt.tiny, "rounds": opt.rounds}
    order |= {"seconds": opt.seconds, "started": time.time()}
    command = [sys.executable, __file__, "--worker", json.dumps(order)]
    if libraries == ["numpy"]:
        env["CUNET_NATIVE"] = "0"  # nothing is compiled for it, not even at the start
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | env)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def chosen(opt: argparse.Namespace, group: str, key: str = "") -> bool:
    """Tell whether a job was asked for."""
    return not opt.jobs or group in opt.jobs or key in opt.jobs


def measure_jobs(opt: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Time every chosen job, and find the peak memory of each library in it."""
    results = {}
    names = [*opt.peers[:1], *ROUTES, "recorded", *opt.peers[1:]]
    jobs = all_jobs(opt.tiny)
    if "x" in (opt.jobs or ()):
        jobs |= activation_jobs(opt.tiny)
    for key, job in jobs.items():
        if not chosen(opt, job.group, key):
            continue
        print(f"{job.title} …", file=sys.stderr, flush=True)
        result = worker("time", key, names, opt)
        result |= {"title": job.title, "group": job.group, "aims": job.aims}
        if not opt.quick and "ms" in result:
            result["memory"] = {name: worker("memory", key, [name], opt) for name in result["ms"]}
        if "compiled" in result.get("ms", {}) and job.group in "abcdfhi":
            result["parts"] = worker("parts", key, ["compiled"], opt)
        results[key] = result
    return results


def measure_startup(opt: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Measure import, time to the first answer and trained batch, and installed size, of what is installed."""
    found = {}
    modules = {"cunet": "numpy", **{name: name for name in opt.peers if name in ("torch", "jax", "onnxruntime")}}
    for module, route in modules.items():
        if sizes := startup.installed_bytes(module):
            print(f"(g) {module} …", file=sys.stderr, flush=True)
            found[module] = {
                "import": startup.import_seconds(module, 5),
                "first": {} if module == "onnxruntime" else worker("first", "mlp", [route], opt),
                "bytes": sizes,
            }
    if "cunet" in found:
        with tempfile.TemporaryDirectory() as cache:  # empty at first: everything is compiled
            for when in ("cold", "warm"):
                found["cunet"][when] = worker("first", "mlp", ["compiled"], opt, XDG_CACHE_HOME=cache)
        with tempfile.TemporaryDirectory() as folder:
            answered = answers(Path(folder), [name for name in PROGRAMS if name in found], 5)
        found["cunet"]["warm answer"] = answered.pop("compiled")
        for module, one in answered.items():
            found[module]["answer"] = one
    return found


def measure_scaling(opt: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Time an MLP as its batch and its width grow."""
    names = [*opt.peers[:1], *ROUTES]
    found: dict[str, list[dict[str, Any]]] = {}
    for axis, (values, other) in SCALING.items():
        found[axis] = []
        for value in values[:2] if opt.tiny else values:
            batch, width = (value, other) if axis == "batch" else (other, value)
            print(f"MLP, batch {batch}, width {width} …", file=sys.stderr, flush=True)
            answer = worker("time", f"mlp-{batch}-{width}", names, opt)
            found[axis].append({"batch": batch, "width": width, **answer})
    return found


def updated(earlier: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
    """Return an earlier report with new results in the place of the old, and both dates.

    Raises:
        SystemExit: it is of another machine, or of other versions but cunet's commit.
    """

    def place(header: dict[str, str]) -> tuple[str, ...]:
        versions = header["versions"].partition("), ")[2].partition("; ")[0]  # of a report that was updated: the first
        return header["machine"], versions, header["compiler"], header["rounds"]

    before, now = earlier["header"], report["header"]
    if place(before) != place(now):
        raise SystemExit(f"bench: the earlier report is of {place(before)}, this one of {place(now)}")
    titles = [result["title"] for result in report["jobs"].values()]
    groups = dict.fromkeys(f"({result['group']})" for result in report["jobs"].values())
    others = [part for part in ("startup", "scaling") if part in report]
    new = ", ".join([*(titles if len(titles) < 3 else groups), *others])
    told = {key: f"{before[key]}; {new}: {now[key]}" for key in ("date", "versions", "load")}
    known = earlier["jobs"] | report["jobs"]
    jobs = {key: known[key] for key in sorted(known, key=[*all_jobs(), *known].index)}  # in the order of the groups
    return {**earlier, **report, "header": before | told, "jobs": jobs}


def main() -> int:
    """Run the command line; return the exit status."""
    opt = options()
    if opt.worker:
        from benchmarks.worker import run

        print("\n" + json.dumps(run(json.loads(opt.worker))))
        return 0
    if hasattr(os, "sched_setaffinity"):  # before anything starts threads; processes that we start inherit it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: opt.threads])
    report: dict[str, Any] = {"header": header(opt.rounds), "jobs": measure_jobs(opt)}
    if chosen(opt, "g"):
        report["startup"] = measure_startup(opt)
    if chosen(opt, "s"):
        report["scaling"] = measure_scaling(opt)
        if opt.plot:
            plot(report["scaling"], opt.plot)
            report["picture"] = opt.plot.name
    if opt.update:
        report = updated(json.loads(opt.update.read_text()), report)
    text = markdown(report, [json.loads(path.read_text()) for path in opt.beside])
    print(text)
    for path, content in ((opt.json, json.dumps(report, indent=1)), (opt.markdown, text)):
        if path:
            path.write_text(content + "\n", encoding="utf-8")
    return int(any("differs" in result or "failed" in result for result in report["jobs"].values()))


if __name__ == "__main__":
    sys.exit(main())
