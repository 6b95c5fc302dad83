"""The example of uncertainty: who is asked several times is less sure of what it has not seen."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("sklearn")
EXAMPLE = Path(__file__).parents[2] / "examples" / "uncertainty.py"
ARGUMENTS = ["--data", "digits", "--epochs", "12", "--networks", "3", "--samples", "20", "--hidden", "64"]


@pytest.mark.cpu_only
def test_networks_are_less_sure_and_agree_less_about_what_is_turned(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["uncertainty.py", *ARGUMENTS])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    rows = {line[:12].strip(): [float(x) for x in re.findall(r"[\d.]+", line[12:])] for line in out.splitlines()}
    upright, turned = np.reshape(rows["turned  0"], (3, 3)), np.reshape(rows["turned 90"], (3, 3))
    assert upright[2, 0] < 10 < turned[2, 0]  # errors of the ensemble, in percent
    assert (upright[:, 1] < turned[:, 1]).all()  # all are less sure
    assert upright[0, 2] == turned[0, 2] == 0  # one network agrees with itself
    assert upright[2, 2] < turned[2, 2]  # networks of other seeds agree less
    assert upright[1, 2] > 0 < turned[1, 2]  # and so do masks with each other
    assert "expected calibration error" in out


@pytest.mark.cpu_only
def test_images_are_turned_about_their_middle():
    rotated = runpy.run_path(str(EXAMPLE))["rotated"]
    images = np.random.default_rng(0).random((2, 64)).astype(np.float32)
    np.testing.assert_array_equal(rotated(images, 0), images)
    quarter = rotated(images, 90).reshape(2, 8, 8)
    np.testing.assert_allclose(quarter, np.rot90(images.reshape(2, 8, 8), -1, axes=(1, 2)), atol=1e-5)
