"""The example of a gradient penalty: slopes come to 1, and images near to digits."""

import re
import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("sklearn")

EXAMPLE = Path(__file__).parents[2] / "examples" / "wgan_gp.py"


@pytest.mark.cpu_only
def test_the_penalty_holds_the_slope_and_images_come_near(capsys):
    runpy.run_path(str(EXAMPLE))["main"](None, 30)
    out = capsys.readouterr().out
    first, last = map(float, re.search(r"sees: (\S+) at first, (\S+) in the end", out).groups())
    slope = float(re.search(r"slope of the critic: (\S+)", out)[1])
    nearest = float(re.search(r"nearest real one: (\S+)", out)[1])
    assert 0.8 < slope < 1.1 and last < 0.7 * first and nearest < 2.6  # noise is 3.6 away
