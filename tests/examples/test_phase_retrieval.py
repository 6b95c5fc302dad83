"""The example of phase retrieval: the object is found."""

import re
import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "phase_retrieval.py"


@pytest.mark.cpu_only
def test_what_it_prints(capsys):
    runpy.run_path(str(EXAMPLE))["main"]()
    out = capsys.readouterr().out
    assert float(re.search(r"relative error (\S+)", out).group(1)) < 1e-3
