"""What the simulated device rounds as a GPU does, with ``CUNET_SIM_FLOATS=gpu``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sim

sim.namespace_or_skip()

ROOT = Path(__file__).parents[2]
PROGRAM = """
import numpy as np
from sim import namespace as xp
fused = xp.ElementwiseKernel("T x, T y, T z", "T w", "w = x * y + z", "fused")
for dtype in ("float32", "float64"):
    tiny = np.finfo(dtype).smallest_normal
    x = xp.asarray(np.array([1 + np.finfo(dtype).eps, tiny, tiny / 4], dtype))
    y = xp.asarray(np.array([1 - np.finfo(dtype).eps, 0.5, 1], dtype))
    z = xp.asarray(np.array([-1, 0, 0], dtype))
    print(*(fused(x, y, z).get() != 0).astype(int))
"""


@pytest.mark.cpu_only
@pytest.mark.parametrize(("floats", "expected"), [("cpu", ["0 1 1", "0 1 1"]), ("gpu", ["1 0 0", "1 1 1"])])
def test_sums_of_products_are_fused_and_subnormals_flushed(floats, expected):
    """eps**2 is lost where the product is rounded; what float64 kernels do is not flushed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env={**os.environ, "CUNET_SIM_FLOATS": floats},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == expected


@pytest.mark.cpu_only
def test_other_roundings_are_refused():
    done = subprocess.run(
        [sys.executable, "-c", "import sim.state"], cwd=ROOT, env={**os.environ, "CUNET_SIM_FLOATS": "tpu"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "CUNET_SIM_FLOATS must be cpu or gpu, got tpu" in done.stderr
