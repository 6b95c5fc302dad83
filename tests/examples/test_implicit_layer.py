"""The example of an implicit layer: it learns."""

import re
import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "implicit_layer.py"


@pytest.mark.cpu_only
def test_what_it_prints(capsys):
    runpy.run_path(str(EXAMPLE))["main"](None, 4, 20)
    out = capsys.readouterr().out
    assert float(re.search(r"told apart (\S+)", out).group(1)) >= 0.4
