"""tools/bench.py at sizes that take no time: every job still runs, and what is made of the times is right."""

import importlib.util
import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import bench
import numpy as np
import pytest
from benchmarks import answer, check, jobs, libraries, library, measure, report, startup, worker

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]

ROOT = Path(__file__).parents[2]

TINY = jobs.all_jobs(tiny=True)
ACTIVATIONS = jobs.activation_jobs(tiny=True)
JAX = ("bn-cnn",)  # compiles for seconds: the one job that covers most of its layers


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    if native := libraries.compiled_route():
        monkeypatch.setattr(native, "active", native.active)  # the jobs switch it, and the next test wants it back
    monkeypatch.setattr(check, "STEPS", 2)
    monkeypatch.setattr(measure, "PAUSE", 0)
    monkeypatch.setattr(measure, "WARM", 0)
    monkeypatch.setattr(measure, "GEMM_SIZE", 16)
    monkeypatch.setattr(measure, "COPY_BYTES", 2**12)


def order(mode, job, names):
    return {"mode": mode, "job": job, "libraries": names, "tiny": True, "rounds": 1, "seconds": 0, "started": 0}


@pytest.mark.parametrize("key", TINY)
def test_every_job_runs_on_cunet_alone(key):
    answer = worker.run(order("time", key, ["numpy"]))
    assert answer["reference"] == "numpy" and answer["ratios"] == {} and answer["notes"] == []
    assert answer["ms"]["numpy"] > 0 and answer["floor"]["ms"] > 0


@pytest.mark.parametrize(
    "peer,key", [*itertools.product(["torch", "compiled"], [*TINY, *ACTIVATIONS]), *[("jax", k) for k in JAX]]
)
def test_every_job_agrees_with_its_peer(key, peer):
    try:
        libraries.library(peer).require({**TINY, **ACTIVATIONS}[key])
    except library.Missing as reason:
        pytest.skip(str(reason))
    answer = worker.run(order("time", key, [peer, "numpy"]))
    assert "differs" not in answer
    assert answer["reference"] == peer and set(answer["ms"]) == {peer, "numpy"}
    assert answer["ratios"]["numpy"]["median"] == pytest.approx(answer["ms"]["numpy"] / answer["ms"][peer])


def test_a_library_that_is_missing_is_left_out_with_a_note(monkeypatch):
    monkeypatch.setattr(libraries.importlib.util, "find_spec", lambda name: None)
    answer = worker.run(order("time", "elu", ["torch", "numpy"]))
    assert answer["reference"] == "numpy" and answer["notes"] == ["torch is not installed"]


def test_a_layer_that_is_missing_is_named():
    job = jobs.Training("x", "x", "x", layers=("Linear", "Conv9d"), build=None, shape=(), batch=1)
    with pytest.raises(library.Missing, match=r"numpy has no nn\.Conv9d"):
        libraries.library("numpy").require(job)


class Wrong(libraries.Cunet):
    """Computes nearly the same."""

    name = "wrong"

    def __init__(self):
        super().__init__(compiled=False)
        self.name = "wrong"

    def host(self, x):
        return super().host(x) * np.float32(1.01)


@pytest.mark.parametrize("key", ["mlp", "sigmoid", "adam-1e6", "dropout"])
def test_a_library_that_computes_something_else_is_not_timed(key):
    job = TINY[key]
    arrays = () if key == "mlp" else check.inputs(job)
    with pytest.raises(check.Differs, match="wrong"):
        check.agree([libraries.library("numpy"), Wrong()], job, check.initial_state(job), arrays)


@pytest.mark.parametrize(("names", "whole"), [(["numpy", "wrong"], True), (["wrong", "numpy"], False)])
def test_a_peer_that_differs_is_left_out_and_a_reference_ends_the_job(names, whole, monkeypatch):
    made = {"wrong": Wrong, "numpy": lambda: libraries.library("numpy")}
    monkeypatch.setattr(worker, "library", lambda name: made[name]())
    answer = worker.run(order("time", "sigmoid", names))
    assert ("ms" in answer) is whole
    if whole:
        assert list(answer["ms"]) == ["numpy"]
        assert answer["notes"][0].startswith("wrong is 1.0e-02 from numpy") and "left out" in answer["notes"][0]
    else:
        assert "numpy is" in answer["differs"]


def test_an_earlier_report_is_brought_up_to_date():
    def found(date, commit, machine="m", **jobs):
        versions = f"cunet 0.1.0 ({commit}), Python 3, NumPy 2"
        header = {"date": date, "machine": machine, "versions": versions, "compiler": "c", "load": "0", "rounds": "3"}
        return {"header": header, "jobs": {key: {"title": title, "group": key[0]} for key, title in jobs.items()}}

    earlier = {**found("mon", "a", elu="old", mlp="kept"), "startup": {"cunet": {}}}
    both = bench.updated(earlier, found("tue", "b", elu="new"))
    assert {key: job["title"] for key, job in both["jobs"].items()} == {"elu": "new", "mlp": "kept"}
    assert both["startup"] == earlier["startup"]
    joined = bench.updated(earlier, found("tue", "b", gelu="more", lstm="new"))["jobs"]
    many = bench.updated(earlier, found("tue", "b", gelu="x", lstm="y", mlp="z"))
    assert bench.updated(many, found("wed", "c", elu="once more"))["jobs"]["elu"] == {
        "title": "once more",
        "group": "e",
    }
    assert many["header"]["date"] == "mon; (g), (l), (m): tue"
    assert list(joined) == ["mlp", "gelu", "elu", "lstm"]  # as the page has them
    assert both["header"]["date"] == "mon; new: tue"
    curves = bench.updated(earlier, {**found("tue", "b"), "scaling": {}})
    assert curves["header"]["date"] == "mon; scaling: tue"
    with pytest.raises(SystemExit, match="earlier report is of"):
        bench.updated(earlier, found("tue", "b", machine="other", elu="new"))


def test_a_training_job_learns():
    job = TINY["mlp"]
    step = libraries.library("numpy").training(job, check.initial_state(job))
    losses = [step().item() for _ in range(80)]
    assert np.mean(losses[-8:]) < 0.5 * np.mean(losses[:8])


def test_candidates_alternate(monkeypatch):
    seen, clock = [], itertools.count()
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(clock))
    times = measure.alternate({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, rounds=3, seconds=2)
    assert "".join(seen) == "aabb" + "aaabbb" + "bbbaaa" + "aaabbb"  # calibration; then one warm call and two timed
    assert times == {"a": [1, 1, 1], "b": [1, 1, 1]}


def test_a_block_warms_up_for_as_long_as_it_is_told(monkeypatch):
    seen, clock = [], itertools.count()
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(clock))
    assert measure.block(lambda: seen.append(1), count=2, warm=4) == 1
    assert len(seen) == 4 + 2


def test_ratios_are_of_one_round_and_leave_out_rounds_in_which_the_reference_was_slow():
    times = {"torch": [2.0, 2.8, 9.0, 2.5], "numpy": [1.0, 2.8, 1.0, 5.0]}
    assert measure.ratios(times, "torch") == {"numpy": {"median": 1.0, "low": 0.75, "high": 1.5, "rounds": 3}}


def test_the_floor_is_the_larger_bound():
    rate = {"gflops": 100.0, "gbs": 10.0}
    assert measure.floor(2e9, 1e6, rate) == {"ms": 20.0, "bound": "BLAS", **rate}
    assert measure.floor(0, 5e6, rate) == {"ms": 0.5, "bound": "memory", **rate}
    assert measure.floor(0, 0, rate) is None


def test_rates_are_those_of_the_best_block(monkeypatch):
    monkeypatch.setattr(measure, "GEMM_SIZE", 1000)
    monkeypatch.setattr(measure, "COPY_BYTES", 10**9)
    assert measure.rates({"gemm": [0.5, 0.02], "copy": [0.2, 0.4]}) == pytest.approx({"gflops": 100, "gbs": 10})


def test_the_probes_do_what_they_stand_for():
    source, target = np.arange(10.0), np.zeros(10)
    measure.copy_probe(3, source, target)()
    assert np.array_equal(target, source)
    assert measure.gemm_probe()().shape == (16, 16)


def test_flops_of_an_mlp_and_a_convolution():
    """By counting the multiplications of each product: forward, weights, and inputs but for the first layer's."""
    assert jobs.mlp_flops(4, (3, 5, 2)) == 2 * (4 * 3 * 5 * 2 + 4 * 5 * 2 * 3)
    assert jobs.conv_flops(2, (1, 3, 5, 8)) == 2 * 2 * (2 * 8 * 8) * (3 * 1 * 5 * 5)


def test_installed_size_counts_what_is_needed_and_no_extras():
    sizes = startup.installed_bytes("cunet")
    if not sizes:
        pytest.skip("cunet is not installed, it runs from its folder")
    assert set(sizes) == {"cunet", "numpy", "safetensors", "tqdm"}
    own = sum(path.stat().st_size for path in (ROOT / "cunet").rglob("*.py"))
    assert own <= sizes["cunet"] < 100 * own and sizes["numpy"] > 1e7
    assert startup.installed_bytes("no-such-distribution") == {}


def test_a_process_that_starts_answers_once(tmp_path):
    answer.write_nets(tmp_path, ["cunet"])
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]
    env = {"CUNET_NATIVE": "0", "PYTHONPATH": str(ROOT)}
    found = answer.seconds("cunet", tmp_path, 1, **env)
    assert found["seconds"] > 0
    (tmp_path / "net.safetensors").unlink()
    assert "FileNotFoundError" in answer.seconds("cunet", tmp_path, 1, **env)["failed"]
    one = {"import": 0.1, "first": {}, "bytes": {"cunet": 10**6}, "answer": found, "warm answer": {"seconds": 0.25}}
    lines = report.startup_table({"cunet": one}).splitlines()
    assert [line for line in lines if "answer" in line] and lines[-2].endswith("|  0.25 |")


def test_table_lines_up():
    lines = report.table([["job", "a"], ["long name", "1.00"]]).splitlines()
    assert lines == ["| job       |    a |", "| --------- | ---: |", "| long name | 1.00 |"]


@pytest.fixture
def measured():
    """Two jobs as `measure_jobs` returns them, one of them measured nowhere."""
    ratio = {"median": 0.5, "low": 0.4, "high": 0.7, "rounds": 3}
    rates = {"gflops": 1.0, "gbs": 1.0}
    timed = {"title": "(e) ELU", "group": "e", "aims": [4, 1.2], "reference": "torch", "notes": ["a note"]}
    timed |= {"ms": {"torch": 2.0, "numpy": 1.0}, "ratios": {"numpy": ratio}}
    timed |= {"floor": {"ms": 0.25, "bound": "memory", **rates}}
    timed["memory"] = {"torch": {"peak": 200.4, "imported": 150.0}, "numpy": {"failed": "why"}}
    other = timed | {"title": "(e) GELU", "ratios": {"numpy": ratio | {"median": 2.0}}}
    return {"elu": timed, "gelu": other, "cnn": {"title": "(c) CNN", "group": "c", "aims": [1, 1], "failed": "boom"}}


def test_the_report_says_what_was_measured(measured):
    head = report.header(3) | {"load": "0.10 when it began"}
    text = report.markdown({"header": head, "jobs": measured, "picture": "picture.png"})
    for part in (
        "| (e) ELU            | 0.50 ±0.15 |   4 |",
        "| (e) geometric mean |       1.00 | 1.2 |",
        "| (e) ELU     |       2 |     1 | 0.25 memory |",
        "| (e) ELU          |     200 |       |",
        "- **(c) CNN: boom**",
        "- a note",
        "(picture.png)",
    ):
        assert part in text, text
    assert "busy" not in text
    assert "busy" in report.markdown({"header": head | {"load": "1.90 when it began"}, "jobs": {}})


def test_runs_stand_side_by_side_and_say_where_they_were():
    def run(date, median, keys=("a", "b")):
        ratios = {"recorded": {"median": median, "low": median - 0.1, "high": median + 0.1}}
        head = {"date": date, "machine": "m, 2 CPUs used", "load": "0.1 when it began", "rounds": "3"}
        return {"header": head, "jobs": {key: {"title": f"({key})", "group": key, "ratios": ratios} for key in keys}}

    text = report.runs_table([run("monday", 0.5), run("tuesday", 0.7, keys=("b",))])
    assert "| (a) |             |             |  0.50 ±0.10 |             |" in text
    assert "| (b) |             |             |  0.50 ±0.10 |  0.70 ±0.10 |" in text
    assert "2. tuesday, m, 2 CPUs used, load 0.1 when it began, 3 rounds" in text


def test_the_plot_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    points = [
        {"batch": 4, "width": 4**i, "ms": {"torch": 2.0, "numpy": float(i)}, "floor": {"ms": 0.1}} for i in (1, 2)
    ]
    report.plot({"batch": points, "width": points}, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


def test_the_command_runs_workers_and_writes_its_files(tmp_path):
    """The whole way once: processes, peak memory, first batch, scaling; without PyTorch."""
    pages = {name: tmp_path / f"bench.{name}" for name in ("json", "markdown")}
    command = [
        sys.executable,
        str(ROOT / "tools" / "bench.py"),
        "--tiny",
        "--rounds",
        "1",
        "--peers",
        "--jobs",
        "mlp",
        "g",
    ]
    command += itertools.chain(*[(f"--{name}", str(path)) for name, path in pages.items()])
    env = os.environ | {"PYTHONPATH": str(ROOT), "CUNET_NATIVE": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    found = json.loads(pages["json"].read_text())
    job = found["jobs"]["mlp"]
    assert job["ms"]["numpy"] > 0 and "ratios" in job
    assert math.isnan(job["memory"]["numpy"]["peak"]) or 20 < job["memory"]["numpy"]["peak"] < 2000
    if importlib.util.find_spec("cunet").origin and found["startup"]:
        assert 0 < found["startup"]["cunet"]["import"] < found["startup"]["cunet"]["first"]["seconds"] < 60
    assert pages["markdown"].read_text() == done.stdout


def test_an_unknown_job_is_refused():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "bench.py"), "--jobs", "mpl"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2 and "no such job: mpl" in done.stderr
