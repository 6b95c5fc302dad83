"""Products beside NumPy's BLAS."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "product_rates.py"


def test_each_layout_is_measured():
    command = [sys.executable, str(TOOL), "--shapes", "3x4x5", "16x600x70", "--seconds", "0.001"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    header, rule, first, second = done.stdout.splitlines()
    assert header.count("|") == rule.count("|") == first.count("|") == 5
    assert second.startswith("| 16x600x70 |") and second.count("(") == 3
