"""The example of the curvature of a loss: Lanczos finds the outermost eigenvalues."""

import runpy
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "hessian_eigenvalues.py"


@pytest.mark.cpu_only
def test_the_outermost_eigenvalues_are_those_of_the_matrix(rng):
    lanczos = runpy.run_path(str(EXAMPLE))["lanczos"]
    q = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    a = q @ np.diag([10.0, -5.0, *np.linspace(0, 1, 28)]) @ q.T
    found = lanczos(lambda v: a @ v, 30, 12, rng)
    assert found[-1] == pytest.approx(10) and found[0] == pytest.approx(-5)


@pytest.mark.cpu_only
def test_training_leaves_curvature(capsys):
    pytest.importorskip("sklearn")
    spectra = runpy.run_path(str(EXAMPLE))["main"](None, 4, 2, 60)
    assert (spectra["before"][-1] > 0) and "after training" in capsys.readouterr().out
