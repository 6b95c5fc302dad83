"""What docs/training.md shows is true: its code runs from top to bottom, and learns."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sources import programs

from cunet.train.metrics.named import _KNOWN

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def test_the_code_runs_from_top_to_bottom(tmp_path):
    pytest.importorskip("matplotlib", reason="the page draws: pip install -e '.[plot]'")
    code = "\n".join(programs(PAGE))
    checks = """
assert history[-1]["valid_accuracy"] > 0.8 and found["top2"] > 0.9
assert trainer.history[-1].keys() >= {"loss", "error", "penalty"}
"""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", code + checks]
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    first, second = map(int, run.stdout.splitlines()[-2].split())
    assert first == second < 20


def test_all_names_of_metrics_are_on_the_page():
    named = set(re.findall(r"`(\w+)`", PAGE.split("## Metrics")[1]))
    assert set(_KNOWN) <= named
