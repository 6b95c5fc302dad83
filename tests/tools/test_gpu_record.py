"""tools/gpu_record.py, on the simulated device and with made-up times: what needs no GPU must not rot."""

import json
import subprocess
from pathlib import Path

import gpu_benchmark
import gpu_record
import gpu_torch
import numpy as np
import pytest

import sim
from cunet import F, Tensor
from cunet import device as backend

ROOT = Path(__file__).parents[2]

xp = sim.namespace_or_skip()


pytestmark = pytest.mark.usefixtures("simulated")


def millisecond(call):
    """A timer for which everything takes 1 ms."""
    call()
    return 1e-3


def case_of(name):
    (case,) = [c for c in gpu_benchmark.CASES if c.name == name]
    return case


every_case = pytest.mark.parametrize("case", gpu_benchmark.CASES, ids=lambda case: case.name)


@every_case
def test_every_case_runs_both_ways(case):
    timer = gpu_benchmark.EventTimer(xp.cuda, seconds=0, runs=1)
    found = gpu_benchmark.measure(xp, timer, [4096], [np.float32], cases=[case])
    assert not found["errors"]
    assert [row["direction"] for row in found["ops"]] == ["forward", "backward"]
    assert all(row["seconds"] > 0 and row["fraction"] > 0 for row in found["ops"])


def test_fractions_are_of_a_copy_of_as_many_bytes():
    found = gpu_benchmark.measure(xp, millisecond, [2048, 4096], [np.float32, np.float16], cases=[case_of("relu")])
    assert {row["bytes"]: row["bytes_per_second"] for row in found["copy"]} == {
        4096: 8192 / 1e-3,
        8192: 16384 / 1e-3,
        16384: 32768 / 1e-3,
    }
    rows = {(r["direction"], r["dtype"], r["elements"]): r for r in found["ops"]}
    assert len(rows) == 8
    # relu reads x and writes y as a copy does; backward reads x and the gradient and writes another
    assert rows["forward", "float16", 4096]["bytes"] == 16384
    assert rows["forward", "float16", 4096]["fraction"] == pytest.approx(1)
    assert rows["backward", "float32", 2048]["bytes"] == 24576
    assert rows["backward", "float32", 2048]["fraction"] == pytest.approx(1.5)


def test_the_timer_divides_by_the_calls_and_takes_the_median():
    class Clock:
        """Events of a device on which the calls take 2 ms, and every run but the first 3 of overhead once."""

        now = 0.0

        class Event:
            def record(self):
                self.at = Clock.now

            def synchronize(self):
                pass

        @staticmethod
        def get_elapsed_time(start, end):
            return end.at - start.at

    calls = []

    def call():
        calls.append(1)
        Clock.now += 50 if len(calls) == 4 + 5 else 2  # one hiccup

    assert gpu_benchmark.EventTimer(Clock, seconds=0.03, runs=3)(call) == pytest.approx(2e-3)
    assert len(calls) == 3 + 1 + 3 * 5


def test_what_fails_is_noted_and_the_rest_measured():
    broken = gpu_benchmark.Case("broken", lambda f, x: f.no_such_op(x))
    found = gpu_benchmark.measure(xp, millisecond, [2048], [np.float32], cases=[broken, case_of("relu")])
    assert len(found["errors"]) == 1
    assert "broken float32 2e+03: AttributeError" in found["errors"][0]
    assert {row["op"] for row in found["ops"]} == {"relu"}


def test_the_mlp_step_trains():
    step = gpu_benchmark.mlp_step(xp, 16)
    losses = [step().item() for _ in range(8)]
    assert losses[-1] < losses[0]
    (row,) = gpu_benchmark.measure_mlp(xp, millisecond, [16], lambda batch: {"eager": 0.5e-3})
    assert row == {"batch": 16, "images_per_second": pytest.approx(16e3), "rivals": {"eager": pytest.approx(32e3)}}


def rival(case, n, dtype):
    return {"forward": {"eager": 0.5e-3}, "backward": {"eager": 2e-3, "compiled": 1e-3}}


rival.mlp = lambda batch: {"eager": 0.5e-3}


def test_missed_goals_are_listed():
    found = gpu_record.run_benchmark(
        xp, millisecond, [2048], [16], rival, dtypes=[np.float32], cases=[case_of("relu"), case_of("layer_norm")]
    )
    assert found["missed"] == [
        "relu forward float32 2e+03: 2.00 times the time of PyTorch eager",
        "layer_norm forward float32 2e+03: 2.00 times the time of PyTorch eager",
        "MLP step, batch 16: 0.50 of PyTorch eager",
    ]
    row = {"op": "x", "direction": "forward", "dtype": "float32", "elements": 1, "seconds": 1.0, "rivals": {}}
    rows = [row | {"bytes": b, "fraction": f} for b, f in ((1e8, 0.79), (1e8, 0.8), (99e6, 0.1))]
    assert gpu_record.missed_goals({"ops": rows, "mlp": []}) == ["x forward float32 1e+00: 79% of copy bandwidth"]


def test_a_record_is_written_as_json_and_as_a_page(tmp_path):
    record = {"date": "2026-01-02 03:04 UTC", "title": "GPU record: simulated device", "machine": gpu_record.machine()}
    record["suite"] = {"passed": False, "summary": "1 failed, 2 passed in 3 s", "failed": ["FAILED tests/test_x.py"]}
    record["parity"] = {"holds": True, "table": "parity holds"}
    record["benchmark"] = gpu_record.run_benchmark(
        xp, millisecond, [2048], [16], rival, dtypes=[np.float32], cases=[case_of("softmax")]
    )
    page = gpu_record.write(record, tmp_path / "records")
    assert page.name == "2026-01-02-simulated-device.md"
    assert json.loads(page.with_suffix(".json").read_text())["benchmark"] == record["benchmark"]
    text = page.read_text()
    for line in (
        "| GPU | simulated device (64 GiB) |",
        "`pytest --device gpu`: 1 failed, 2 passed in 3 s",
        "- FAILED tests/test_x.py",
        "parity holds",
        "| softmax | float32 | 2e+03 | forward | 1000.0 | 100% | 0.50 |  |",
        "| softmax | float32 | 2e+03 | backward | 1000.0 | 150% | 2.00 | 1.00 |",
        "| 16 | 16000 | 32000 |  |",
        "- softmax forward float32 2e+03: 2.00 times the time of PyTorch eager",
    ):
        assert line in text.splitlines(), line


def test_the_suite_is_run_and_read():
    def run(command, **kw):
        assert command[1:] == ["-m", "pytest", "-q", "--device", "gpu", "-p", "no:cacheprovider"]
        return subprocess.CompletedProcess(
            command, 1, "..F\nFAILED tests/test_x.py::test_y\n== 1 failed in 2 s ==\n", ""
        )

    assert gpu_record.run_suite(run=run) == {
        "passed": False,
        "summary": "1 failed in 2 s",
        "failed": ["FAILED tests/test_x.py::test_y"],
    }


def test_parity_is_run_and_read():
    def run(command, **kw):
        Path(command[-1]).write_text('{"holds": true}')
        return subprocess.CompletedProcess(command, 0, "a table", "")

    assert gpu_record.run_parity(run=run) == {"holds": True, "table": "a table"}
    failed = gpu_record.run_parity(run=lambda command, **kw: subprocess.CompletedProcess(command, 2, "", "no GPU"))
    assert failed == {"holds": False, "error": "no GPU", "table": ""}


def test_without_a_gpu_the_command_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(backend, "_gpu", None)
    monkeypatch.setattr(backend, "_problem", "CuPy is not installed")
    assert gpu_record.main(["--out", str(tmp_path / "records")]) == 2
    assert capsys.readouterr().err == "gpu_record: nothing to record: CuPy is not installed\n"
    assert not (tmp_path / "records").exists()


def test_the_whole_command(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(gpu_record, "SIZES", (2048,))
    monkeypatch.setattr(gpu_record, "BATCHES", (16,))
    monkeypatch.setattr(gpu_benchmark, "CASES", [case_of("elu")])
    monkeypatch.setattr(gpu_record.gpu_benchmark, "EventTimer", lambda cuda: millisecond)
    monkeypatch.setattr(gpu_record, "run_suite", lambda: {"passed": False, "summary": "1 failed", "failed": []})
    monkeypatch.setattr(gpu_record, "run_parity", lambda: {"holds": True, "table": "parity holds"})
    monkeypatch.setattr(gpu_torch, "pytorch", lambda: None)
    assert gpu_record.main(["--out", str(tmp_path)]) == 1  # tests failed
    assert gpu_record.main(["--out", str(tmp_path), "--only", "parity", "benchmark"]) == 0
    assert "written: " in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 2


@every_case
def test_pytorch_computes_the_same(case, rng):
    """A comparison of speed is worth nothing if the two compute different things."""
    torch = pytest.importorskip("torch")
    competitor = gpu_torch.Rival(torch, millisecond, ("eager",), "cpu")
    shape = case.shape(4096)
    x, params = rng.standard_normal(shape).astype(np.float32), case.params(shape)
    theirs = [torch.from_numpy(a) for a in (x, *params)]
    theirs = [t.requires_grad_() if t.is_floating_point() else t for t in theirs]
    try:
        y = case.torch(torch, *theirs)
    except NotImplementedError as reason:
        pytest.skip(str(reason))
    leaves = [Tensor(a, requires_grad=a.dtype.kind == "f") for a in (x, *params)]
    mine = case.call(F, *leaves)
    assert mine.shape == tuple(y.shape)
    if "dropout" not in case.name:
        np.testing.assert_allclose(mine.data, y.detach().numpy(), rtol=1e-3, atol=1e-5)
        g = rng.standard_normal(mine.shape).astype(np.float32)
        mine.backward(np.asarray(g))
        wanted = [t for t in theirs if t.requires_grad]
        for a, b in zip(
            [leaf.grad for leaf in leaves if leaf.requires_grad],
            torch.autograd.grad(y, wanted, torch.from_numpy(np.asarray(g))),
            strict=True,
        ):
            np.testing.assert_allclose(a, b.numpy(), rtol=1e-3, atol=2e-3)
    found = competitor(case, 4096, np.dtype(np.float32))
    assert found == {"forward": {"eager": 1e-3}, "backward": {"eager": 1e-3}}


def test_pytorch_steps_the_same_mlp():
    torch = pytest.importorskip("torch")
    competitor = gpu_torch.Rival(torch, millisecond, ("eager",), "cpu")
    step = competitor.mlp_step(16, "eager")
    assert step().item() > step().item()
    assert competitor.mlp(16) == {"eager": 1e-3}
    assert gpu_torch.pytorch() is None or torch.cuda.is_available()
