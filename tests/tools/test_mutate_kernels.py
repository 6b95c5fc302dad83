"""tools/mutate_kernels.py and tools/mutation: what is planted, and that the tests find it."""

import argparse
import io
import signal
import string
import subprocess
import sys
from pathlib import Path

import pytest
from mutation import hunt as hunting
from mutation import mutants, report, text, units
from mutation.mutants import Names
from native_helpers import once

import sim
from cunet.kernels import KERNELS
from cunet.kernels.backends.cuda import reduction_text
from cunet.ops.norm import epilogue

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]


def planted(text, **scope):
    """All texts that are made of one."""
    return {m.text for m in mutants.mutants("operation", text, Names({k: (v, 0) for k, v in scope.items()}))}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a - -b", {"a + -b", "a - b"}),
        ("a * 2.5", {"a / 2.5", "a * 2.525"}),
        ("a < 0 || !c", {"a <= 0 || !c", "a < 1 || !c", "a < 0 && !c", "a < 0 || c"}),
        ("k += 0x0fULL >> 1", {"k -= 0x0fULL >> 1", "k += 0x10ULL >> 1", "k += 0x0fULL << 1", "k += 0x0fULL >> 2"}),
        ("exp(x)", {"expm1(x)"}),
        ("fabs(x)", {"(x)"}),
        ("(A)x", set()),
        ("bool empty = true; // a + b", {"bool empty = false; // a + b"}),
        ("if (f(a)) b = c;", {"if (!(f(a))) b = c;"}),
        ("#pragma unroll 4\n", set()),
    ],
)
def test_one_change_at_a_time(text, expected):
    assert planted(text) == expected


def test_branches_change_places_at_every_level():
    assert planted("a ? b : c ? d : e") == {"a ? (c ? d : e) : (b)", "a ? b : c ? (e) : (d)"}
    assert planted("f(a ? b : c, d)") == {"f(a ? (c) : (b), d)"}


def test_an_operand_becomes_the_next_of_its_kind():
    assert planted("p[q]", p="array of real", q="whole", r="whole", s="real") == {"p[r]"}


def test_a_name_is_taken_only_where_it_holds_something():
    found = planted("A u = x; { A v = u; } y = u;", x="real")
    assert "A u = x; { A v = x; } y = u;" in found
    assert "A u = x; { A v = u; } y = x;" in found
    assert not any("= v" in text or "u = u" in text for text in found)


def test_a_minus_is_planted_before_a_real_right_side_only():
    assert "y = -(1 + x); k = 2;" in {" ".join(t.split()) for t in planted("y = 1 + x; k = 2;", y="real", k="whole")}
    assert not any("-(2)" in t for t in planted("y = 1 + x; k = 2;", y="real", k="whole"))


def test_members_of_a_struct_stand_in_for_each_other():
    assert text.struct_members("struct S { A top; A rest; };\nS f() {}") == {"top": "rest", "rest": "top"}


@pytest.mark.parametrize("unit", units.units(KERNELS), ids=lambda unit: unit.name)
def test_every_kernel_has_mutants_that_differ(unit):
    original = {
        part: getattr(getattr(unit.kernels[0], "spec", unit.kernels[0]), part, None)
        for part in ("operation", "map", "reduce", "post", "preamble", "text")
    }
    texts = [(m.part, m.text) for m in unit.mutants]
    assert texts
    assert len(set(texts)) == len(texts)
    assert all(original.get(part) != text for part, text in texts)


def test_a_template_keeps_its_places_and_is_put_back():
    unit = next(u for u in units.templates(KERNELS) if u.name == "reduction_text_COLUMNS")
    (template,) = unit.kernels
    before = template.text
    places = {name: "0" for _, name, _, _ in string.Formatter().parse(before) if name}
    assert len({m.text.format(**places) for m in unit.mutants} - {before.format(**places)}) == len(unit.mutants) > 30
    template.text = unit.mutants[0].text
    assert before != template.text == reduction_text._COLUMNS
    template.text = before


def test_what_is_listed_as_equivalent_has_a_kernel_and_a_reason():
    for name in units.FUSED:
        epilogue.activated("test", name)
    templates = {unit.name for unit in units.templates(KERNELS)}
    for mutant, reason in report.known_equivalents().items():
        assert mutant.split(".")[0] in KERNELS or mutant.split(".")[0] in templates
        assert reason.endswith(".")


def test_what_is_listed_as_equivalent_but_did_not_survive_is_named():
    entry = {"killed": 1, "survived": ["k.operation: a"], "not viable": []}
    listed = {"k.operation: a": "same", "k.operation: b": "same", "k.preamble: c": "same", "other.map: d": "same"}
    assert report.stale({"k": entry}, listed) == ["k.operation: b"]
    assert report.stale({"k preamble": {**entry, "survived": []}}, listed) == ["k.preamble: c"]


def test_the_share_counts_no_equivalents():
    entry = {"killed": 8, "survived": ["k.operation: a", "k.operation: b"], "not viable": ["k.operation: c"]}
    text, share = report.summary({"k": entry}, {"k.operation: a": "the same"})
    assert share == pytest.approx(100 * 8 / 9)
    assert "| k | 10 | 8 | 1 | 1 | 1 |" in text
    assert text.endswith("k.operation: b")


def test_a_child_that_only_waits_is_ended_and_one_that_works_is_not(tmp_path):
    class Proc(dict):
        """A child's files in /proc: its state and times, and its own children."""

        def joinpath(self, *parts):
            (tmp_path / "file").write_text(self["/".join(parts[1:])])
            return tmp_path / "file"

    for state, times, children, ends in [
        ("S", ["1 1 0 0"], "", True),  # waits
        ("S", ["1 1 0 0", "2 1 0 0"], "", False),  # another thread works
        ("R", ["1 1 0 0"], "", False),  # would work if it were let
        ("T", ["1 1 0 0"], "", False),  # was stopped by somebody
        ("S", ["1 1 0 0"], "77 ", False),  # a compiler works for it
    ]:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        watch = hunting.Watch(Proc())
        for k in range(watch.PATIENCE + 2):
            head = f"{child.pid} (a) b) {state} " + "0 " * 10
            watch.proc |= {"stat": head + times[k % len(times)] + " 0", f"task/{child.pid}/children": children}
            watch.look(child.pid)
        try:
            assert (child.wait(timeout=60 if ends else 0.2) == -signal.SIGKILL) is ends
        except subprocess.TimeoutExpired:
            assert not ends
        child.kill()
        child.wait()


@pytest.mark.parametrize("found", [report.KILLED, report.SURVIVED, report.NOT_VIABLE])
def test_nothing_is_believed_if_the_unchanged_text_is_killed(found, monkeypatch):
    unit = next(u for u in units.units(KERNELS) if u.name == "gelu_backward")
    said = io.StringIO()
    hunt = hunting.Hunt(argparse.Namespace(verbose=False), said)
    hunt.results = {unit.name: {"killed": 0, "survived": [], "not viable": []}}

    def run(jobs):
        ((_, mutant),) = jobs
        assert mutant.text == KERNELS["gelu_backward"].spec.operation + " "
        hunt.note(unit, mutant, {"status": found, "tests": 0}, 0.0)

    monkeypatch.setattr(hunt, "hunt", run)
    jobs = [(unit, m) for m in unit.mutants]
    if found == report.SURVIVED:
        hunt.control(jobs)
        assert hunt.results[unit.name]["survived"] == []
    else:
        with pytest.raises(pytest.UsageError, match="gelu_backward fail"):
            hunt.control(jobs)


#: One kernel of each of five families, and the tests that find a wrong sign in it.
SIGNS = {
    "gelu_backward": "gelu",
    "mse_backward": "mse_loss",
    "max_pool_backward": "max_pool2d",
    "softmax_backward": "softmax",
    "lstm_backward": "lstm_layer",
}


@once
def test_a_wrong_sign_is_found_in_every_family():
    reason = sim.unavailable_reason()
    if reason:
        pytest.skip(f"no simulated device: {reason}")
    command = [sys.executable, str(ROOT / "tools/mutate_kernels.py"), "--kernels", *SIGNS]
    command += ["--rule", "minus", "--each", "1", "--least", "100", "--", "tests/ops/test_ops.py"]
    command += ["-k", f"test_gradient_in_float64 and ({' or '.join(SIGNS.values())})"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for kernel in SIGNS:
        assert f"| {kernel} | 1 | 1 |" in done.stdout
