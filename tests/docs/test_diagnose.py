"""What docs/diagnose.md shows is true: its code runs, and every cause is on it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sources import programs

from cunet.diagnose.causes import ADVICE

pytestmark = pytest.mark.cpu_only

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "diagnose.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_code_runs_and_prints_what_the_page_shows(tmp_path):
    code = "\n".join(programs(PAGE))
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
                         capture_output=True, text=True)  # fmt: skip
    assert run.returncode == 0, run.stderr
    shown = re.search(r"^```\n(finding.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
    assert run.stdout.startswith(shown)


def test_every_cause_is_in_the_table():
    cells = re.findall(r"^\| ([a-z ,]+) \|", PAGE, re.MULTILINE)
    named = [cause for cell in cells for cause in cell.split(", ") if cause != "finding"]
    assert sorted(named) == sorted(ADVICE)
