"""What README.md shows is true: the code runs as written, the extras exist, the way from an op to its text leads on."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from sources import programs

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = programs(README)


def run_python(code, folder):
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_each_python_block_runs_by_itself(number, tmp_path):
    if "Digits" in BLOCKS[number]:
        pytest.importorskip("sklearn")
    if "onnx" in BLOCKS[number]:
        pytest.importorskip("onnx.checker")
    run_python(BLOCKS[number], tmp_path)


def test_the_first_look_trains(tmp_path):
    pytest.importorskip("sklearn")
    (block,) = (b for b in BLOCKS if "value_and_grad" in b)
    checks = """
assert value.shape == () and np.allclose(gradient, 2 * np.tanh(v := np.linspace(-1, 1, 5)) * (1 - np.tanh(v) ** 2))
assert len(trainer.history) == 5 and trainer.history[-1]["valid_loss"] < trainer.history[0]["valid_loss"]
print(trainer.evaluate(test.arrays())["accuracy"])
"""
    assert float(run_python(block + checks, tmp_path).split()[-1]) > 0.8


def test_what_the_first_look_needs_is_installed_by_the_line_before_it():
    before, block = README.split("```python\n")[:2]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (command,) = re.findall(r"```sh\n(.*)\n```\n\n$", before)
    assert 'pip install -q -e ".[examples]"' in command
    assert "scikit-learn" in extras["examples"]
    assert block.index("Digits(") < block.index("value_and_grad")  # what is missing shows before anything else runs


def test_the_run_that_goes_on_saves_and_is_over_when_started_again(tmp_path):
    pytest.importorskip("sklearn")
    (block,) = (b for b in BLOCKS if "Checkpoint(" in b)
    first = run_python(block + "print(trainer.global_step)", tmp_path).split()[-1]
    assert list((tmp_path / "runs" / "digits").glob("step-*.safetensors"))
    assert run_python(block + "print(trainer.global_step)", tmp_path).split()[-1] == first


def test_the_kernel_of_ones_own_is_differentiable(tmp_path):
    (block,) = (b for b in BLOCKS if "@elementwise" in b)
    check = """
from cunet.testing import gradcheck
x = np.array([-3.0, -0.2, 0.7, 5.0])
assert np.allclose(my_softsign(x).data, [-0.75, -1 / 6, 7 / 17, 5 / 6])
gradcheck(my_softsign, x)
"""
    run_python(block + check, tmp_path)


def test_every_extra_that_is_named_can_be_installed():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = set(re.findall(r"\.\[(\w+)\]", README + CONTRIBUTING))
    assert {"examples", "dev", "cuda12", "cuda13"} <= named <= extras.keys()


def test_the_way_from_elu_to_its_text_gradient_tests_and_docs():
    """Every station that README names on the way holds what it says."""
    (way,) = (part for part in README.split("\n\n") if "To follow an op" in part)
    functional, block, rows, runner = re.findall(r"`((?:cunet|tests)/[\w/]+\.py)`", way)
    module = block.removeprefix("cunet/").removesuffix(".py").replace("/", ".")
    assert re.search(rf"^from \.{module} import .*\belu\b", (ROOT / functional).read_text(), re.MULTILINE)
    text = (ROOT / block).read_text()
    for kernel in ("forward", "backward"):
        assert re.search(rf'^@elementwise\(.*"[^"]*exp.*\)\ndef elu_{kernel}\(', text, re.MULTILINE)
    assert re.search(r'^@op\(arrays=1\)\ndef elu\(.*\n    """.*Source: Clevert', text, re.MULTILINE | re.DOTALL)
    assert re.search(r"^        \w+\.elu,$", (ROOT / rows).read_text(), re.MULTILINE)
    assert "from ops_helpers import" in (ROOT / runner).read_text()
    assert "import cases" in (ROOT / "tests/ops_helpers.py").read_text()
