"""The example of a network that learns from an equation."""

import re
import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "pinn.py"


@pytest.mark.cpu_only
def test_what_it_prints(capsys):
    runpy.run_path(str(EXAMPLE))["main"](None, 1)
    out = capsys.readouterr().out
    assert float(re.search(r"largest error (\S+)", out).group(1)) < 1.5
