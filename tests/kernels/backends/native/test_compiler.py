"""The compiled route with no compiler, a bad one or a slow one: training works, and says what it does.

Each case runs real processes, with an empty cache of their own.
"""

import signal
import sys
import time

import pytest
from helpers import run_script
from native_helpers import (
    IMPORT_BUILD,
    IMPORT_NATIVE,
    NUMPY,
    SMALL,
    TRAIN,
    executable,
    gone,
    needs_compiler,
    once,
    said,
    start,
    wait_for,
    wrapper,
)

from cunet.kernels.backends.native import compiler
from cunet.system.cpu import cores

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow, once]


def test_without_a_compiler_numpy_runs_silently(tmp_path, home):
    done = run_script(SMALL, {"PATH": str(tmp_path), "CXX": "", **home})
    assert said(done) == NUMPY
    assert done.stderr == ""
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("#!/bin/sh\necho it is broken >&2\nexit 1\n", "it is broken"),
        ("#!/bin/sh\nexit 0\n", "no library"),
        ("#!/bin/sh\nprintf '\\377\\376 bad bytes' >&2\nexit 1\n", "bad bytes"),
        ("nonsense", "format"),
        ('#!/bin/sh\nfor a; do out="$a"; done\necho nonsense >"$out"\n', "too short"),
    ],
    ids=["fails", "makes nothing", "bytes that are no text", "no program", "makes what cannot be loaded"],
)
def test_with_a_broken_compiler_numpy_runs_and_one_warning_says_so(content, word, tmp_path, home):
    broken = executable(tmp_path / "g++", content)
    first, *message = said(run_script(SMALL, {"CXX": broken, **home}))
    assert first == "result 2 warnings 1"
    text = "\n".join(message)
    for part in (broken, "CUNET_NATIVE=0", word):
        assert part in text


def test_a_net_trains_with_a_broken_compiler_as_without(tmp_path, home):
    broken = executable(tmp_path / "g++", "#!/bin/sh\nexit 1\n")
    done = run_script(TRAIN, {"CXX": broken, **home})
    assert done.stdout == run_script(TRAIN, {"CUNET_NATIVE": "0"}).stdout
    assert done.stderr.count("UserWarning") == 1
    assert done.stderr.startswith("<string>:")  # the line of the program, not one of cunet's


def test_switched_off_in_the_environment(tmp_path, home):
    assert said(run_script(SMALL, {"CUNET_NATIVE": "0", **home})) == NUMPY
    assert not (tmp_path / "cache").exists()


@needs_compiler
def test_a_kernel_that_does_not_compile_runs_on_numpy_alone(tmp_path, home):
    picky = wrapper(tmp_path / "g++", 'if grep -q l1_backward "$src"; then echo not this one >&2; exit 1; fi')
    code = """
        import warnings
        import cunet
        from cunet.kernels import KERNELS
        from cunet.kernels.backends.native import native

        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for name in ("l1_forward", "l1_backward", "mse_forward", "mse_backward"):
                native.prepare(KERNELS[name], "f")
        print(sorted(k.name for k in KERNELS.values() if k.prepared.get("f") is False), len(seen), seen[0].message)
        print(sum(bool(k.prepared.get("f")) for k in KERNELS.values()))
    """
    first, *rest = said(run_script(code, {"CXX": picky, **home}))
    assert first.startswith("['l1_backward'] 1 cunet: kernel 'l1_backward' (cunet.ops.loss.regression) runs on NumPy")
    assert "not this one" in rest
    assert int(rest[-1]) == 3  # all others of the two functions


@needs_compiler
def test_a_file_that_does_not_compile_leaves_its_work_to_numpy(tmp_path, home):
    code = """
        import numpy as np
        import cunet
        from cunet import functional as F

        x = cunet.tensor(np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32))
        print([F.max_pool2d(x, k).data.sum() for k in (2, 3)])
    """
    picky = wrapper(tmp_path / "g++", 'if grep -q "typedef float T" "$src"; then echo not this one >&2; exit 1; fi')
    done = run_script(code, {"CXX": picky, **home})
    assert (
        done.stderr.count("UserWarning: cunet: function 'cunet_pool' runs on NumPy")
        == done.stderr.count("UserWarning")
        == 1
    )
    assert "not this one" in done.stderr
    assert done.stdout == run_script(code, {"CUNET_NATIVE": "0"}).stdout


@needs_compiler
def test_a_compiler_that_hangs_is_stopped_with_what_it_started(tmp_path, home):
    hanging = executable(tmp_path / "g++", f"#!/bin/sh\nsleep 300 &\necho $$ $! >{tmp_path}/pids\nwait\n")
    began = time.monotonic()
    done = run_script(
        IMPORT_BUILD + "build.TIMEOUT = 1.0\n" + SMALL,
        {"CXX": hanging, **home},
    )
    assert time.monotonic() - began < 100
    first, *message = said(done)
    assert first == "result 2 warnings 1"
    assert f"{hanging} did not end within 1 s and was stopped" in message
    assert gone(map(int, (tmp_path / "pids").read_text().split()))


@needs_compiler
def test_a_compiler_that_hangs_later_is_not_asked_again(tmp_path, home):
    hanging = wrapper(tmp_path / "g++", f'echo >>{tmp_path}/calls; grep -q cunet_start "$src" || exec sleep 300')
    done = run_script(
        IMPORT_NATIVE + IMPORT_BUILD + "native.runtime()\nbuild.TIMEOUT = 1.0\n" + TRAIN,
        {"CXX": hanging, **home},
    )
    assert done.stderr.count("UserWarning") == 1
    assert "no more kernels are compiled in this process" in done.stderr
    calls = len((tmp_path / "calls").read_text())
    assert calls <= 2 + cores()  # the runtime, the first need, and what is compiled ahead of others
    assert said(done) == said(run_script(TRAIN, {"CUNET_NATIVE": "0"}))


#: Turns a library into one for another processor, by its header.
FOREIGN = """
"{compiler}" "$@" || exit 1
if {unless}; then :; else printf '\\363' | dd of="$out" bs=1 seek=18 conv=notrunc 2>/dev/null; fi
exit 0
"""


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="changes ELF's header")
@pytest.mark.parametrize("unless", ["false", 'grep -q cunet_start "$src"'], ids=["always", "after the runtime"])
def test_a_compiler_for_another_processor_is_warned_of_once(unless, tmp_path, home):
    foreign = wrapper(tmp_path / "g++", FOREIGN.format(compiler=compiler.compiler(), unless=unless))
    pooled = "\nF.max_pool2d(cunet.tensor(np.ones((1, 1, 4, 4), np.float32)), 2)\n"
    done = run_script(TRAIN + pooled, {"CXX": foreign, **home})
    assert done.stderr.count("UserWarning") == 1
    assert foreign in done.stderr
    assert "another kind of processor" in done.stderr
    assert done.stdout == run_script(TRAIN, {"CUNET_NATIVE": "0"}).stdout


@needs_compiler
def test_a_text_that_cannot_be_loaded_does_not_end_compiling(home):
    """Its own fault: it calls what is nowhere."""
    declared = """y = x * nowhere(x)", preamble='extern "C" float nowhere(float);'"""
    code = (
        SMALL.replace('y = x * 3"', declared)
        + """
@elementwise("T x", "T y", "y = x + 1")
def other(x):
    return x + 1 + (x.size == 1)

print(other(np.ones(1, np.float32)))
"""
    )
    first, *message = said(run_script(code, home))
    assert first == "result 2 warnings 1"
    assert "undefined symbol: nowhere" in "\n".join(message)
    assert message[-1] == "[2.]"


@needs_compiler
def test_ctrl_c_stops_the_compilers(tmp_path, home):
    slow = wrapper(
        tmp_path / "g++", f"echo $$ >{tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; exec sleep 300"
    )
    process = start(SMALL, {"CXX": slow, **home})
    wait_for(tmp_path / "pid", process)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert gone([int((tmp_path / "pid").read_text())])
    assert not list((tmp_path / "cache" / "cunet" / "native").iterdir())


def test_ctrl_c_while_a_compiler_starts_stops_it_too(tmp_path, home):
    slow = wrapper(tmp_path / "g++", "exec sleep 300")
    code = f"""
        import signal
        from cunet.kernels.backends.native import compiler
        from cunet.kernels.backends.native.text import single

        signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background a shell has it ignored
        begin = compiler._start

        def interrupted(stem, text):
            process = begin(stem, text)
            open({str(tmp_path / "pid")!r}, "w").write(str(process.pid))
            signal.raise_signal(signal.SIGINT)  # before anybody knows of it
            return process

        compiler._start = interrupted
        try:
            compiler.compile_all([single("x", "int x;")])
        except KeyboardInterrupt:
            print("stopped")
    """
    assert run_script(code, {"CXX": slow, **home}).stdout == "stopped\n"
    assert gone([int((tmp_path / "pid").read_text())])


def test_the_name_that_the_compiler_is_called_by_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", str(tmp_path / "clang++"))
    (tmp_path / "clang++").symlink_to(executable(tmp_path / "clang", ""))  # as clang++ is installed; and so does ccache
    assert compiler.compiler.__wrapped__() == str(tmp_path / "clang++")
