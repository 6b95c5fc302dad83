"""The sanitizers' tool finds what it is for, and says so by its exit status."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sanitize as sanitizers
from native_helpers import needs_compiler, once

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow, once, needs_compiler]

ROOT = Path(__file__).resolve().parents[2]
TEST = """
from cunet.kernels.backends.native import compiler
from cunet.kernels.backends.native.text import single

def test_sum():
    text = 'extern "C" int sum(int n) { return 2147483640 + n; }'
    assert compiler.compile_all([single("sum", text)]) == [None]
    compiler.load(text).sum(NUMBER)
"""


def sanitize(*arguments):
    command = [sys.executable, str(ROOT / "tools" / "sanitize.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"CXX": "g++"})


def test_an_overflow_is_found_and_a_sum_is_clean(tmp_path):
    for number, found in ((10, True), (7, False)):
        file = tmp_path / f"test_{number}.py"
        file.write_text(TEST.replace("NUMBER", str(number)))
        done = sanitize("undefined", "--", "-q", "-s", str(file))
        if "has no lib" in done.stderr:
            pytest.skip(done.stderr)
        assert bool(done.returncode) == found, done.stdout + done.stderr
        assert ("signed integer overflow" in done.stderr) == found
        assert ("undefined: clean" in done.stdout) != found


def test_a_sanitizer_that_there_is_not_is_named():
    done = sanitize("adress")
    assert done.returncode == 2
    assert "there is no adress" in done.stderr


def test_what_measures_memory_is_left_out_and_all_else_is_there():
    file, test = sanitizers.MEASURED.split("::")
    assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")
    assert all((ROOT / sanitizers.NATIVE / name).exists() for name in sanitizers.TESTS)
