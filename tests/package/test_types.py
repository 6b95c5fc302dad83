"""What type checkers see: ops, functions and arithmetic of Tensors have real types."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.cpu_only

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_mypy_accepts_right_uses_and_refuses_wrong_ones():
    pytest.importorskip("mypy", reason="mypy is not installed; it comes with the extra [dev]")
    command = [sys.executable, "-m", "mypy", "tests/package/typed_uses.py"]
    env = os.environ | {"MYPYPATH": str(ROOT)}
    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr


def test_modules_of_autograd_import_those_before_them_in_this_list():
    order = [
        "pytorch",
        "stepwise",
        "tape",
        "operators",
        "methods",
        "sample",
        "tensor",
        "mapped",
        "nesting",
        "exchange",
        "op",
    ]
    order += [
        "derived",
        "tracing",
        "pulling",
        "tangents",
        "duals",
        "forward",
        "linear",
        "rules",
        "differentiable",
        "custom",
        "implicit",
        "transforms",
        "vmap",
        "derivatives",
        "matrices",
    ]
    folder = ROOT / "cunet" / "autograd"
    assert sorted(order) == sorted(p.stem for p in folder.glob("*.py") if p.stem != "__init__")
    for place, name in enumerate(order):
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]  # under TYPE_CHECKING as well
        assert {node.module for node in froms if node.level == 1} <= set(order[:place]), name
