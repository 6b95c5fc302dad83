"""tools/gpu_record.py: the whole record, on the simulated device and by a clock that does not wait."""

import os
import signal
import sys
import time
from pathlib import Path

import gpu_record
import pytest
from recording import rows
from recording.parts import jit
from recording.plan import CHIEF, COMPILED, DEADLINE, FORMS, GRACE, PARTS, SANITIZED
from recording.runner import Runner

import sim
from cunet import device as backend

sim.namespace_or_skip()

pytestmark = pytest.mark.cpu_only

ROOT = Path(__file__).parents[2]
#: What hangs the first time; the others end after their first row. Those that start processes hang at once.
HANGING = {"prewarm", "parity", "kernels_torch", "suite", "compiled"}


class HurriedClock:
    """A clock on which every part takes 3 seconds, and one that hangs all that it may."""

    def __init__(self, folder):
        self.time, self.hanging = 0.0, folder / "hanging"

    def now(self):
        return self.time

    def wait(self, process, seconds):
        while process.poll() is None:
            if self.hanging.exists():
                self.hanging.unlink()
                self.time += seconds
                return False
            time.sleep(0.02)
        self.time += 3
        return True


def test_limits_fit_the_deadline_together():
    """Whatever hangs, every part has its turn; and what all should take leaves room for a second one."""
    assert sum(part.limit + GRACE for part in PARTS) <= DEADLINE == 480
    assert sum(part.expected for part in PARTS) <= DEADLINE * 3 / 4
    assert all(part.expected < part.limit for part in PARTS)
    order = ["environment", "first_step", "prewarm", "parity", "kernels", "kernels_torch", "training", "suite"]
    assert [part.name for part in PARTS] == [*order, "compiled", "jit", "sanitizer"]


def test_parts_and_forms_name_what_there_is():
    from recording.cases import CASES
    from recording.libraries import NETS

    names = {case.name for case in CASES}
    assert names >= {*CHIEF, *COMPILED, *SANITIZED} and len(CHIEF) == 14
    for form in FORMS.values():
        assert names >= {*form.cases, *form.others, *form.sanitized} and NETS.keys() >= {*form.nets, *form.epochs}
        assert all((ROOT / place).exists() for place in form.tests)


@pytest.mark.slow
def test_jax_has_the_cases_that_others_compile():
    assert set(COMPILED) <= jit.functions(pytest.importorskip("jax")).keys()


@pytest.fixture(autouse=True)
def sigterm():
    """Have the signal's handler as it was after a test."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
def test_every_part_may_fail_or_hang_once_and_the_record_is_whole(tmp_path, monkeypatch, capfd):
    pytest.importorskip("sklearn")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tools")]))
    faults = tmp_path / "faults"
    faults.mkdir()
    options = gpu_record.options_of(["--device", "sim", "--out", str(tmp_path / "out"), "--sources", "none"])
    gpu_record.start(options)

    def command(part):
        kind = "hang" if part.name in HANGING else "fail"
        program = [sys.executable, str(Path(__file__).with_name("faulty_part.py")), str(faults), kind]
        return [*program, *gpu_record.command_of(options, part)[2:]]

    clock = HurriedClock(faults)
    runner = Runner(options.record, options.out / "record.log", command, clock)
    status = gpu_record.record_of(runner, PARTS, options.record)
    (page,) = options.out.glob("*.md")
    lines = rows.read(page.with_suffix(".jsonl"))
    ends = {part.name: [line["end"] for line in lines if line["part"] == part.name and "end" in line] for part in PARTS}
    first = {part.name: "out of time" if part.name in HANGING else "failed: exit status 3" for part in PARTS}
    assert ends == {name: [end, "whole"] for name, end in first.items()}, (options.out / "record.log").read_text()
    assert not any("error" in line or "begun" in line for line in lines)
    assert status == 0 and clock.now() <= DEADLINE
    assert not any(alive(int(pid)) for pid in (faults / "children").read_text().split())
    text = page.read_text()
    sections = (
        "Simulated: no GPU was there",
        "| relu | float32 |",
        "mlp, cunet ieee recorded |",
        "0 failed",
        "it ends",
    )
    assert all(part in text for part in sections)


@pytest.mark.slow
def test_a_record_is_resumed_with_what_it_lacks(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))  # no compute-sanitizer
    common = ["--device", "sim", "--sources", "none", "--out", str(tmp_path)]
    assert gpu_record.main([*common, "--only", "prewarm"]) == 0
    (first,) = tmp_path.glob("*.jsonl")
    assert gpu_record.main([*common, "--only", "prewarm", "sanitizer", "--resume", str(first)]) == 0
    (record,) = tmp_path.glob("*.jsonl")
    lines = rows.read(record)
    assert [line["part"] for line in lines if "end" in line] == ["prewarm", "sanitizer"]  # the first is not run again
    assert len([line for line in lines if line["part"] == "record"]) == 2  # one line of each sitting


@pytest.mark.parametrize("flag", ["--resume", "--page"])
def test_a_record_that_is_not_there_is_an_error(flag, tmp_path, capsys):
    """Else the second sitting would measure all again, and nobody would know before its end."""
    for file in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(SystemExit):
            gpu_record.main([flag, str(file), "--out", str(tmp_path / "out")])
        assert f"{flag}: there is no record in {file}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_without_a_gpu_the_command_says_so(tmp_path, capfd):
    if backend.gpu() is not None:
        pytest.skip("there is one")
    assert gpu_record.main(["--out", str(tmp_path / "records")]) == 2
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["record.log"]
    assert "gpu_record: nothing to record: " in (tmp_path / "records" / "record.log").read_text()
