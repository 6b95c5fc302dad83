"""The example of weights from which one step learns."""

import re
import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "maml.py"


@pytest.mark.cpu_only
def test_one_step_helps_from_weights_that_are_made_for_it(capsys):
    runpy.run_path(str(EXAMPLE))["main"](None, 150)
    errors = re.findall(r"error (\S+) before, (\S+) after one step", capsys.readouterr().out)
    (_, random), (_, average), (before, after) = ((float(a), float(b)) for a, b in errors)
    assert after < 0.9 * before and after < 0.5 * min(random, average)
