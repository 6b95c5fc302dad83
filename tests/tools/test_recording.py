"""tools/recording: rows, the runner, timers, the list of sources; what needs no GPU must not rot."""

import functools
import json
import subprocess
import sys
import time

import pytest
from recording import rows, sources
from recording.parts import prewarm, suite
from recording.plan import Part
from recording.rows import Rows, Skipped
from recording.runner import NO_GPU, RealClock, Runner
from recording.timing import _HOLD, CupyStream, HostStream, Timer, copier

import sim

xp = sim.namespace_or_skip()

pytestmark = pytest.mark.cpu_only


def test_why_something_is_skipped_is_noted_and_errors_are_not_hidden(tmp_path):
    own = Rows(tmp_path / "r.jsonl", "p")
    with own.skipping("all"):
        raise Skipped("none here")
    assert [(line["key"], line["skipped"]) for line in rows.read(own.path)] == [("all", "none here")]
    with pytest.raises(ZeroDivisionError), own.skipping("all"):
        _ = 1 / 0


def test_what_has_no_value_yet_is_measured_and_what_failed_comes_last(tmp_path):
    record, order = tmp_path / "r.jsonl", []

    def measure(name, result):
        def call():
            order.append(name)
            if isinstance(result, Exception):
                raise result
            return {"n": result}

        return name, call

    checks = []
    own = Rows(record, "p", check=lambda: checks.append(1))
    own.measure([measure("a", ValueError("no")), measure("b", Skipped("none here")), measure("c", 1)])
    assert [{k: v for k, v in line.items() if k not in ("part", "key")} for line in rows.compact(record)] == [
        {"error": "ValueError: no"},
        {"skipped": "none here"},
        {"value": {"n": 1}},
    ]
    assert order == ["a", "b", "c"] and checks == [1]
    Rows(record, "p").write("d", "begun", 0.0)  # and its process was ended
    Rows(record, "q").write("c", "error", "of another part")
    order.clear()
    own.measure([measure(name, 2) for name in "abcde"])
    assert order == ["e", "a", "b", "d"]
    assert {line["key"]: line["value"]["n"] for line in rows.compact(record) if line["part"] == "p"} == {
        "a": 2, "b": 2, "c": 1, "d": 2, "e": 2,
    }  # fmt: skip


def test_an_error_after_which_nothing_answers_ends_the_part(tmp_path):
    def check():
        raise RuntimeError("an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal"):
        Rows(tmp_path / "r", "p", check=check).measure([("a", lambda: 1 / 0), ("b", dict)])
    assert [line.get("error") for line in rows.read(tmp_path / "r")] == [None, "ZeroDivisionError: division by zero"]


def test_shares_divide_the_keys_whatever_is_done_already(tmp_path):
    record, keys = tmp_path / "r.jsonl", [str(k) for k in range(7)]
    Rows(record, "p").write("2", "value", {})
    shares = [Rows(record, "p", (k, 3)).todo(keys) for k in range(3)]
    assert shares == [["0", "3", "6"], ["1", "4"], ["5"]]


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    record = tmp_path / "r.jsonl"
    Rows(record, "p").write("a", "value", {"x": 1})
    with record.open("a") as file:
        file.write('{"part": "p", "key": "b", "va')
    assert [line["key"] for line in rows.read(record)] == ["a"]
    assert rows.read(tmp_path / "none") == []


def runner(tmp_path, program, **options):
    command = [sys.executable, "-c", program]
    return Runner(tmp_path / "r.jsonl", tmp_path / "log", lambda part: [*command, part.name], **options)


def ends(tmp_path):
    return [line["end"] for line in rows.read(tmp_path / "r.jsonl") if "end" in line]


@pytest.mark.slow
def test_a_part_is_ended_at_its_limit_by_the_real_clock(tmp_path):
    begin = time.monotonic()
    run = runner(tmp_path, "import time; print('here', flush=True); time.sleep(60)")
    assert run.run([Part("p", "P", 2, 1)])
    assert ends(tmp_path) == ["out of time"] * 2 and time.monotonic() - begin < 40
    assert 'File "<string>", line 1 in <module>' in (tmp_path / "log").read_text()  # where it stood


def test_how_a_part_failed_is_told_and_it_has_a_second_turn_after_all_others(tmp_path):
    program = "import sys; print(sys.argv[1] + ' speaks'); sys.exit(sys.argv[1] == 'bad')"
    assert runner(tmp_path, program).run([Part("bad", "", 20, 1), Part("good", "", 20, 1)])
    lines = rows.read(tmp_path / "r.jsonl")
    assert [(line["part"], line["end"]) for line in lines] == [
        ("bad", "failed: exit status 1"), ("good", "whole"), ("bad", "failed: exit status 1"),
    ]  # fmt: skip
    assert [line.get("log") for line in lines] == ["bad speaks\n", None, "bad speaks\n"]
    # a second record takes up what the first one lacks
    again = runner(tmp_path, program)
    assert [again.whole(Part(name, "", 20, 1)) for name in ("bad", "good")] == [False, True]
    Rows(tmp_path / "r.jsonl", "good").write("a", "error", "ValueError: no")
    assert not again.whole(Part("good", "", 20, 1))


def test_without_a_gpu_nothing_else_is_begun(tmp_path):
    parts = [Part("a", "", 20, 1), Part("b", "", 20, 1)]
    assert not runner(tmp_path, f"raise SystemExit({NO_GPU})").run(parts)
    assert len(ends(tmp_path)) == 1
    Rows(tmp_path / "r.jsonl", "a").write("x", "value", {})  # it was there, and has gone: what there is is kept
    assert runner(tmp_path, f"raise SystemExit({NO_GPU})").run(parts)
    assert len(ends(tmp_path)) == 5


def test_nothing_is_begun_when_the_time_is_over(tmp_path):
    class Late(RealClock):
        def now(self):
            return super().now() + (460 if (tmp_path / "r.jsonl").exists() else 0)

    run = runner(tmp_path, "", clock=Late())
    Rows(tmp_path / "r.jsonl", "other").write("a", "value", {})
    run.run([Part("p", "P", 20, 1)])
    assert ends(tmp_path)[0] == "whole"
    run.deadline -= 15
    run.run([Part("q", "Q", 20, 1)])
    assert ends(tmp_path)[1:] == ["not begun: no time was left"] * 2


def test_a_fresh_cache_and_variables_are_the_part_s_own(tmp_path):
    program = "import os; assert os.environ['X'] == '1'; assert os.listdir(os.environ['CUPY_CACHE_DIR']) == []"
    part = Part("p", "", 20, 1, fresh_cache=True, environment={"X": "1"})
    runner(tmp_path, program).run([part])
    assert ends(tmp_path) == ["whole"]


class Device(HostStream):
    """A device that works 2 ms at each call, beside a host that takes 5 ms to give one; the queue may be held."""

    def __init__(self):
        self.host = self.free = self.held = 0.0
        self.calls = 0

    def event(stream):  # noqa: N805 (the event has a self of its own)
        class Event:
            def record(self):
                self.time = stream.free = max(stream.free, stream.host)

            def synchronize(self):
                stream.synchronize()

        return Event()

    def hold(self, seconds):
        self.held += seconds
        self.free = max(self.free, self.host) + seconds

    def synchronize(self):
        self.host = max(self.host, self.free)

    def __call__(self):
        self.calls += 1
        self.host += 0.050 if self.calls == 9 else 0.005  # one hiccup
        self.free = max(self.free, self.host) + 0.002


def test_device_and_host_are_timed_apart():
    device = Device()
    found = Timer(device, 0.02, 3, lambda: device.host)(device)
    # where the queue was not held long enough, because of the hiccup, the median leaves that run out
    assert found == {"device": pytest.approx(2e-3), "host": pytest.approx(5e-3)}
    assert device.calls == 2 + 1 + 3 * 3 and device.held > 3 * 3 * 0.005


def test_the_kernel_that_holds_the_device_is_cuda(simulated):
    for arch in ("80", "90"):
        assert_compiles({"name": "hold", "text": _HOLD, "flags": [f"-arch=sm_{arch}"], "headers": False})
    CupyStream(xp, holds=False).hold(1.0)


def assert_compiles(source):
    pytest.importorskip("nvidia.cuda_nvrtc")
    sources.compile_for_nothing(source)


def test_copies_are_of_random_numbers_and_rotate(simulated, monkeypatch):
    monkeypatch.setattr("recording.timing.CACHED", 1 << 15)
    seen = []
    monkeypatch.setattr(xp, "copyto", lambda target, source: seen.append((target, source)))
    for rotating, different in ((False, 1), (True, 4)):
        seen.clear()
        copy = copier(xp, 4096, rotating)
        for _ in range(8):
            copy()
        assert len({id(source) for _, source in seen}) == different
        assert seen[0][1].nbytes == 4096 and len(set(seen[0][1].get().tolist())) > 1000


@pytest.mark.slow
def test_sources_are_those_that_cupy_would_compile(tmp_path):
    program = "import sim; xp = sim.install(); from cunet import F, Tensor; x = xp.zeros((8, 8)).astype('f');"
    program += "F.elu(Tensor(x)); F.softmax(Tensor(x)); xp.ReductionKernel('T x', 'T y', 'x', 'a + b', 'y = a', '0',"
    program += " 'total')(x)"
    path = tmp_path / "s" / "sources.jsonl.xz"
    assert sources.gather(path, [["-c", program], ["-c", program]]) == len(sources.read(path))
    found = {source["name"]: source for source in sources.read(path)}
    assert {"elu_forward", "total"} <= found.keys() and found["elu_forward"]["headers"]
    cub = [s for s in sources.read(path) if "cub/block" in s["text"]]
    assert any("block_reduce" in s["text"] and "-I" not in str(s["flags"]) for s in cub)
    assert sources.read(tmp_path / "none") == []


class Caught(Exception):
    pass


def test_a_source_reaches_cupy_s_compiler_as_from_a_launch(simulated, monkeypatch, tmp_path):
    """The same text, options and keywords: so it lies in the cache under the key that a launch looks for."""
    from cupy._core import _kernel, raw
    from cupy.cuda import compiler

    seen, asked, text_of = [], [], _kernel._get_elementwise_kernel_code

    def spy(*args, **kwargs):
        asked.append((args, kwargs))
        return text_of(*args, **kwargs)

    def caught(*args, **kwargs):
        seen.append((args, kwargs))
        raise Caught

    monkeypatch.setattr(compiler, "_compile_module_with_cache", caught)
    monkeypatch.setattr(_kernel, "_get_elementwise_kernel_code", spy)
    monkeypatch.setattr("sim.nvrtc.options.sources", str(tmp_path / "noted"))
    code = 'extern "C" __global__ void f() {}'
    xp.RawKernel(code, "f", ("-DA",))((1,), (1,), ())
    xp.ElementwiseKernel("T x", "T y", "y = x + 1", "increment")(xp.zeros((2, 3), "f"))
    ((args, kwargs),) = asked
    own = [json.loads(line) for line in (tmp_path / "noted").read_text().splitlines()]
    theirs = [
        lambda: raw._get_raw_module.__wrapped__(code, None, ("-DA",), "nvrtc", False, False, False, None, None),
        lambda: _kernel._get_elementwise_kernel.__wrapped__(*args, **kwargs),
    ]
    for call in (*(functools.partial(sources.compile_for_gpu, source) for source in own), *theirs):
        with pytest.raises(Caught):
            call()
    assert len(seen) == 4 and seen[:2] == seen[2:]


def test_what_cannot_be_compiled_ahead_is_named():
    def one(source):
        if source["name"] == "bad":
            raise RuntimeError("syntax error")

    found = prewarm.compile_all([{"name": "good"}, {"name": "bad"}], one)
    assert found["sources"] == 2 and found["failed"] == ["bad: RuntimeError: syntax error"]


@pytest.mark.slow
def test_tests_are_recorded_file_by_file(tmp_path):
    (tmp_path / "test_a.py").write_text("def test_one():\n    pass\ndef test_two():\n    assert 1 == 2\n")
    (tmp_path / "test_b.py").write_text("import pytest\ndef test_three():\n    pytest.skip('x')\n")
    (tmp_path / "test_c.py").write_text("import nothing_of_that_name\n")
    program = "import sys, pytest; from pathlib import Path; from recording.parts.suite import Files\n"
    program += "from recording.rows import Rows; plugin = Files(Rows(Path('r.jsonl'), 'suite'))\n"
    program += "pytest.main(['-q', '-p', 'no:cacheprovider', '--continue-on-collection-errors'], plugins=[plugin])\n"
    program += "plugin.close()"
    env = {"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, check=True)
    found = {line["key"]: line for line in rows.compact(tmp_path / "r.jsonl")}
    a, b = (found[f"test_{name}.py"]["value"] for name in "ab")
    assert (a["passed"], a["failed"], a["skipped"]) == (1, 1, 0) and "test_two: assert 1 == 2" in a["failures"][0]
    assert (b["passed"], b["failed"], b["skipped"]) == (0, 0, 1)
    assert "nothing_of_that_name" in found["test_c.py"]["error"]


def test_the_largest_files_of_the_suite_come_first():
    files = suite.files_of(["tests/optim", "tests/test_device.py"])
    assert "tests/test_device.py" in files and len(files) > 5 and all(file.endswith(".py") for file in files)
    sizes = [(suite.ROOT / file).stat().st_size for file in files]
    assert sizes == sorted(sizes, reverse=True)
