"""What is compiled in the background, before it is needed: who comes for it waits, and nothing outlives the process."""

import time

import numpy as np
import pytest
from compiled_helpers import SHAPES, launcher, ours, values
from helpers import run_script
from native_helpers import gone, needs_compiler, once, wrapper

from cunet.kernels import KERNELS
from cunet.kernels.backends.native import ahead, build, cache, compiler, text

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow, once, needs_compiler]

#: Begins programs: `expect` has ELU compiled in the background, `idle` waits until nothing is.
BEGIN = """
import time
import numpy as np
import cunet
from cunet import F, nn
from cunet.kernels import KERNELS
from cunet.kernels.backends.native import ahead, native

def expect():
    native.expect([KERNELS["elu_forward"], KERNELS["elu_backward"]], "f")

def idle():
    while any(thread.is_alive() for thread in ahead.queue._threads):
        time.sleep(0.01)

x = np.linspace(-1, 1, 7, dtype=np.float32)
"""


def log_of(folder):
    """Return what a log says, without times and numbers of processes."""
    lines = (folder / "cache" / "cunet" / "native.log").read_text().splitlines()
    return [line.split(maxsplit=3)[3].partition(" in ")[0] + ":" + line.partition(" s:")[2] for line in lines]


@pytest.fixture
def counted(tmp_path, home):
    """Return the environment of a compiler that counts its calls, is slow with ELU, and has its own place for files."""
    (tmp_path / "tmp").mkdir()
    mark = f'echo >>{tmp_path}/calls; if grep -q elu_forward "$src"; then touch {tmp_path}/began; sleep 1; fi'
    return {**home, "CXX": wrapper(tmp_path / "g++", mark), "TMPDIR": str(tmp_path / "tmp")}


def calls(folder):
    return len((folder / "calls").read_text())


def test_a_kernel_gives_the_same_bits_alone_and_among_others(on, tmp_path, monkeypatch, rng):
    chosen = ["elu_forward", "gelu_backward", "log_softmax_backward", "moments", "softmax_stats", "label_backward"]
    wide = np.dtype("f")
    shape = (9, 67)
    arguments = {}
    for name in chosen:
        ins = KERNELS[name].spec.ins
        arguments[name] = [values(p, SHAPES["full"](shape) if p.type == "T" else (), wide, rng) for p in ins]
        arguments[name] = [a if a.ndim else a.item() for a in arguments[name]]
    found = []
    for way in ("alone", "together"):
        monkeypatch.setattr(cache.place, "chosen", tmp_path / way)
        (tmp_path / way).mkdir()
        others = [KERNELS[name] for name in (ours("elementwise")[:20] if way == "together" else ())]
        members = list(dict.fromkeys([*others, *(KERNELS[name] for name in chosen)]))
        units = [build.unit(members, wide)] if others else [build.unit([k], wide) for k in members]
        assert compiler.compile_all(units) == [None] * len(units)
        assert len({path.stat().st_ino for path in (tmp_path / way).iterdir()}) == len(units)
        results = []
        for name in chosen:
            monkeypatch.setattr(KERNELS[name], "prepared", {})
            options = {"axis": (1,), "keepdims": True} if KERNELS[name].spec.kind == "reduction" else {}
            out = launcher(KERNELS[name], wide)(*arguments[name], **options)
            results.append([a.tobytes() for a in (out if isinstance(out, tuple) else (out,))])
        found.append(results)
        assert len(list((tmp_path / way).iterdir())) == len(members)  # nothing was compiled again
    assert found[0] == found[1]


def test_what_is_there_ahead_of_its_need_is_not_compiled_again(tmp_path, counted):
    done = run_script(BEGIN + "expect()\nidle()\nF.elu(x)\nexpect()\nidle()\n", counted)
    assert done.stderr == ""
    assert sorted(log_of(tmp_path)) == ["compiled ahead: elu_forward_f elu_backward_f", "compiled ahead: runtime"] or (
        sorted(log_of(tmp_path))[-1] == "compiled ahead: runtime"
    )
    before = calls(tmp_path)
    run_script(BEGIN + "expect()\nidle()\nF.elu(x)\n", counted)
    assert calls(tmp_path) == before


def test_what_is_needed_later_waits_and_shares_no_library(monkeypatch):
    queue = ahead.Queue()
    monkeypatch.setattr(queue, "_hire", lambda: None)
    monkeypatch.setattr(cache, "kept", set)
    unit = {name: text.Unit("head\n", (text.Part(name, f"// {name}\n"),)) for name in ("back", "both", "one", "two")}
    queue.add([unit["back"], unit["both"]], later=True)
    queue.add([unit["one"], unit["both"], unit["two"]])
    queue.add([unit["both"]], later=True)
    monkeypatch.setattr(queue, "_share", 8)
    monkeypatch.setattr(ahead, "cores", lambda: 3)
    taken = [queue._take() for _ in range(3)]
    assert [sorted(part.name for part in found[0].parts) for found in taken if found] == [
        ["both", "one", "two"],
        ["back"],
    ]


def test_who_needs_what_is_being_compiled_waits_for_it(tmp_path, counted):
    wait = f"import os\nwhile not os.path.exists({str(tmp_path / 'began')!r}): time.sleep(0.01)\n"
    done = run_script(BEGIN + "expect()\n" + wait + "F.elu(x)\nidle()\nprint(F.elu(x).data[0])", counted)
    assert float(done.stdout) == pytest.approx(np.expm1(-1), rel=1e-6)
    names = " ".join(line.partition(":")[2] for line in log_of(tmp_path)).split()
    assert sorted(names) == ["elu_backward_f", "elu_forward_f", "runtime"]  # each once


def test_compilers_and_their_files_end_with_the_process(tmp_path, counted):
    slow = wrapper(tmp_path / "slow", f"echo $$ >>{tmp_path}/pids; exec sleep 300")
    wait = f"import os\nwhile not os.path.exists({str(tmp_path / 'pids')!r}): time.sleep(0.01)\n"
    began = time.monotonic()
    done = run_script(BEGIN + "expect()\n" + wait, {**counted, "CXX": slow})
    assert time.monotonic() - began < 100
    assert done.stderr == ""
    assert gone(map(int, (tmp_path / "pids").read_text().split()))
    assert not list((tmp_path / "tmp").iterdir())


def test_a_child_does_what_threads_of_its_parent_began(tmp_path, counted):
    wait = f"import os\nwhile not os.path.exists({str(tmp_path / 'began')!r}): time.sleep(0.01)\n"
    fork = """
    import signal, sys, warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
    pid = os.fork()
    if not pid:
        signal.alarm(100)
        sys.exit(0 if F.elu(x).data[0] < 0 else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), F.elu(x).data[0] < 0)
    """
    done = run_script(BEGIN + "expect()\n" + wait + fork.replace("\n    ", "\n"), counted)
    assert done.stdout == "0 True\n"


def test_what_fails_ahead_is_said_when_it_is_needed(tmp_path, home):
    picky = wrapper(tmp_path / "g++", 'if grep -q elu_forward "$src"; then echo not this one >&2; exit 1; fi')
    code = BEGIN + "expect()\nidle()\nprint('nothing yet', flush=True)\nprint(F.elu(x).data[0])\n"
    done = run_script(code, {**home, "CXX": picky})
    assert done.stdout.startswith("nothing yet\n-0.63")
    assert done.stderr.count("UserWarning") == 1
    assert "kernel 'elu_forward'" in done.stderr


def test_a_model_is_compiled_when_it_is_there(tmp_path, home):
    code = BEGIN + (
        "model = nn.Sequential(nn.Linear(7, 3), F.elu, nn.LayerNorm(3))\n"
        "cunet.Trainer(model, F.mse_loss, cunet.optim.Adam(model.parameters()), device='cpu')\n"
        "idle()\n"
        "from cunet.kernels.backends.native import compiler\n"
        "compiler._compile = None\n"  # nothing is compiled any more
        "loss = F.mse_loss(model(x[None]), x[None, :3])\n"
        "loss.backward()\n"
    )
    run_script(code, home)
    names = " ".join(line.partition(":")[2] for line in log_of(tmp_path)).split()
    assert {"runtime", "elu_forward_f", "elu_backward_f", "normalize_f", "mse_backward_f", "adam_f"} <= set(names)
    assert not any("elu_forward_f" in line and "elu_backward_f" in line for line in log_of(tmp_path))
    assert len(names) == len(set(names))


def test_a_long_log_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(cache.place, "chosen", tmp_path / "native")
    monkeypatch.setattr(cache, "_LONG", 100)
    for k in range(20):
        cache.note(f"line {k}")
    text = (tmp_path / "native.log").read_text()
    assert text.endswith("line 19\n") and len(text) < 200
    monkeypatch.setattr(cache.place, "temporary", True)
    cache.note("of a folder that ends with the process")
    assert (tmp_path / "native.log").read_text() == text


def test_a_first_prediction_waits_for_nothing_that_replays_later_ones(tmp_path, home):
    answered, late = tmp_path / "answered", tmp_path / "late"
    wait = f"for k in $(seq 300); do [ -e {answered} ] && break; sleep 0.1; done; [ -e {answered} ] || touch {late}"
    patient = wrapper(tmp_path / "g++", f'if grep -q cunet_plan_start "$src"; then {wait}; fi')
    code = BEGIN + (
        "trainer = cunet.Trainer(nn.Sequential(nn.Linear(1, 3), nn.ELU()), F.mse_loss, None, device='cpu')\n"
        "first = trainer.predict(x[:, None])\n"
        f"open({str(answered)!r}, 'w').close()\n"
        "assert all((trainer.predict(x[:, None]) == first).all() for _ in range(8))\n"
        "print(trainer.reports()['predict'].replays)\n"
    )
    done = run_script(code, {**home, "CXX": patient})
    assert int(done.stdout) > 0
    assert not late.exists()
