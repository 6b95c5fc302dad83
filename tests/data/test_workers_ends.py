"""Programs whose loader has workers, ended in one way or another: no process outlives them."""

import os
import signal
import subprocess
import sys
import time

import pytest
from sources import ROOT

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc"),
]

PROGRAM = """
import os, signal, sys, time
import cunet

signal.signal(signal.SIGINT, signal.default_int_handler)

class Slow:
    def __len__(self):
        return 400
    def __getitem__(self, i):
        if i >= 4:
            time.sleep(0.2)
        return float(os.getpid())

if __name__ == "__main__":
    loader = iter(cunet.data.Loader(Slow(), batch_size=2, workers=2, start_method=sys.argv[1]))
    print(int(next(loader)[0][0]), int(next(loader)[0][0]), flush=True)
    if sys.argv[2] == "wait":
        next(loader), time.sleep(60)
"""


def program(tmp_path, *args):
    """Start a program with two workers; return it, and their process numbers."""
    (tmp_path / "program.py").write_text(PROGRAM)
    started = subprocess.Popen(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", str(tmp_path / "program.py"), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return started, [int(word) for word in started.stdout.readline().split()]


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"  # nobody may be there to take note of its end
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    "start_method, end",
    [
        ("fork", "exit"),
        ("fork", "interrupt"),
        ("fork", "terminate"),
        ("fork", "kill"),
        ("spawn", "interrupt"),
        ("spawn", "kill"),
    ],
)
def test_nothing_is_left_when_the_program_ends(start_method, end, tmp_path):
    started, workers = program(tmp_path, start_method, "exit" if end == "exit" else "wait")
    assert len(set(workers)) == 2
    if end != "exit":
        number = {"interrupt": signal.SIGINT, "terminate": signal.SIGTERM, "kill": signal.SIGKILL}[end]
        to_all = end in ("interrupt", "terminate")  # as a terminal, or who manages services, does
        (os.killpg if to_all else os.kill)(started.pid, number)
    _, said = started.communicate(timeout=60)
    assert started.returncode == {"exit": 0, "interrupt": -signal.SIGINT}.get(
        end, -(signal.SIGTERM if end == "terminate" else signal.SIGKILL)
    )
    assert said.strip().endswith("KeyboardInterrupt") if end == "interrupt" else said == ""
    deadline = time.monotonic() + 20
    while any(map(lives, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
