"""The generator and the critic: both learn, and what is drawn comes near to real digits."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def test_images_come_near_to_real_ones(tmp_path):
    distances = []
    for epochs in (0, 15):
        command = [sys.executable, "-W", "error", str(ROOT / "examples" / "digits_gan.py"), "--epochs", str(epochs)]
        run = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
                             capture_output=True, text=True)  # fmt: skip
        assert run.returncode == 0, run.stderr
        distances.append(float(re.search(r"nearest real one: (\d+\.\d+)", run.stdout)[1]))
    assert "critic_loss" in run.stdout
    assert distances[1] < 2.2 < 3 < distances[0]  # noise is 3.6 away, digits of others 1.0
