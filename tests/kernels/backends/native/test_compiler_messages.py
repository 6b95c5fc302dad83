"""What a person is told while kernels are compiled: one line on a terminal, nothing in a file."""

import os
import subprocess
import sys

import pytest
from helpers import run_script
from native_helpers import (
    IMPORT_BUILD,
    NUMPY,
    SMALL,
    TRAIN,
    needs_compiler,
    once,
)

from cunet.kernels.backends.native import compiler

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow, once]


def at_terminal(code, env):
    """Return what a program writes to a terminal of 80 columns through stderr."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    full = {**os.environ, "CUNET_NATIVE": "1", **env}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, env=full)
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 4096):
            seen += part
    except OSError:  # Linux: the other side has closed it
        pass
    os.close(ours)
    output, _ = process.communicate()
    assert process.returncode == 0, seen
    return seen.decode(), output.decode()


NOW = IMPORT_BUILD + "build.PATIENCE = 0.0\n"


@needs_compiler
def test_a_terminal_is_told_once_that_kernels_are_compiled(home):
    seen, output = at_terminal(NOW + TRAIN, home)
    assert seen == compiler.COMPILING + "\r\n"
    assert len(compiler.COMPILING) < 80
    assert len(output.split()) == 2
    assert at_terminal(NOW + TRAIN, home)[0] == ""  # nothing is compiled


@needs_compiler
def test_a_file_is_not_told_but_the_log_is(home):
    assert run_script(NOW + SMALL, home).stderr == ""
    log = "import logging\nlogging.basicConfig(level=logging.INFO)\n"
    other = SMALL.replace("x * 3", "3 * x")
    assert run_script(log + NOW + other, home).stderr == f"INFO:cunet:{compiler.COMPILING}\n"


@needs_compiler
def test_who_waits_for_less_than_a_second_is_not_told(home):
    assert at_terminal(NOW.replace("0.0", "100.0") + SMALL, home)[0] == ""


@needs_compiler
def test_the_line_stands_above_the_bar(home):
    pytest.importorskip("tqdm")
    bar = "from tqdm import tqdm\nbar = tqdm(total=9, desc='epoch')\n"
    seen, _ = at_terminal(NOW + bar + SMALL + "bar.close()\n", home)
    lines = [line.split("\r")[-1] for line in seen.replace("\r\n", "\n").split("\n")]
    assert compiler.COMPILING in lines
    assert lines[lines.index(compiler.COMPILING) + 1].startswith("epoch:")


def test_a_terminal_is_told_that_there_is_no_compiler(tmp_path):
    seen, output = at_terminal(SMALL, {"PATH": str(tmp_path), "CXX": ""})
    assert seen.count("\n") == 1
    assert "no C++ compiler" in seen
    assert output.splitlines() == NUMPY


@needs_compiler
@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, "compiled by {compiler} into {cache}/cunet/native"),
        ({"CUNET_NATIVE": "0"}, "on NumPy, as CUNET_NATIVE=0 or cunet.native.disable() asks"),
        ({"PATH": "", "CXX": ""}, "on NumPy: no C++ compiler found, g++ would make them faster"),
        ({"CXX": "/bin/false"}, "on NumPy: /bin/false makes no libraries that run here"),
    ],
    ids=["compiled", "off", "no compiler", "broken"],
)
def test_the_doctor_says_how_kernels_run(env, words, tmp_path):
    code = "import cunet\nprint(cunet.device_info()['kernels'])"
    done = run_script(code, {"XDG_CACHE_HOME": str(tmp_path), **env})
    assert done.stdout.strip() == words.format(compiler=compiler.compiler(), cache=tmp_path)
