"""The example of the Morse potential: the chain is at rest, and its frequencies are those of springs."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "morse.py"


@pytest.mark.cpu_only
def test_what_it_prints(capsys):
    runpy.run_path(str(EXAMPLE))["main"]()
    out = capsys.readouterr().out
    assert float(re.search(r"at rest (\S+),", out).group(1)) < 1e-12
    found = [float(v) for v in re.findall(r"\d+\.\d*", out.partition("frequencies")[2])]
    # Springs between neighbours, and between the next: both 2 * depth * width**2, of half the distance.
    bonds, wide = np.eye(12)[1:] - np.eye(12)[:-1], (np.eye(12)[2:] - np.eye(12)[:-2]) / 2
    squares = np.linalg.eigvalsh(9 * bonds.T @ bonds + 2.25 * wide.T @ wide)
    np.testing.assert_allclose(found, np.sqrt(np.maximum(squares, 0)), atol=1e-3)
