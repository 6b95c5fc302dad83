"""compute-sanitizer's memcheck on some kernels, forward and backward."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..cases import chosen, ways
from ..rows import Rows, Skipped
from ..setting import ROOT, Setting

ELEMENTS = 100_000


def run(setting: Setting, rows: Rows) -> None:
    """Check all, in one process: to start one takes most of the time."""
    names = setting.form.sanitized
    rows.measure([(f"memcheck {', '.join(names)}", functools.partial(_check, setting.form.device, names))])


def _check(device: str, names: Sequence[str]) -> dict[str, Any]:
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        raise Skipped("compute-sanitizer is not installed")
    program = [sys.executable, str(ROOT / "tools" / "gpu_record.py"), "--device", device, "--once", *names]
    done = subprocess.run([tool, "--tool", "memcheck", *program], capture_output=True, text=True, cwd=ROOT)
    errors = re.search(r"ERROR SUMMARY: (\d+) error", done.stdout)
    if done.returncode or errors is None:
        raise RuntimeError(f"exit status {done.returncode}: {(done.stdout + done.stderr)[-250:]}")
    return {"errors": int(errors[1])}


def once(setting: Setting, names: Sequence[str]) -> None:
    """Run cases once both ways: the program that is checked.

    Each array is memory of its own: in a pool what lies behind its end is another's, which no tool can see.
    """
    setting.xp.cuda.set_allocator(None)
    for case in chosen(tuple(names)):
        for _, call, _ in ways(case, setting.xp, ELEMENTS, np.float32):
            call()
    setting.xp.cuda.Device().synchronize()
