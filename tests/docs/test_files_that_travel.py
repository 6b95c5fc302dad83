"""What docs/files-that-travel.md shows is true: its code runs from top to bottom."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sources import programs

from cunet.onnx import readers as readers
from cunet.onnx.reading import READERS

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "files-that-travel.md").read_text(encoding="utf-8")


def test_the_code_runs_from_top_to_bottom(tmp_path):
    pytest.importorskip("onnxruntime", reason="needs onnx and onnxruntime")
    code = "\n".join(programs(PAGE))
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    shown, names, loss, answer, shape, shared = run.stdout.splitlines()
    assert shown == "OnnxModel(x -> output, 7 nodes)" and "0.weight" in names
    assert float(loss) < 1 and answer.endswith(" 0 1 2 3 4 5 6 7 8 9")
    assert (shape, shared) == ("(1, 10)", "7.0 True")


def test_the_number_of_nodes_is_the_one_on_the_page():
    assert f"{len(READERS)} types of nodes" in PAGE
