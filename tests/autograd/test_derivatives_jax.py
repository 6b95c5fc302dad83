"""jvp, hvp and hessian of functions and nets written for NumPy, against JAX."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import jax_functions
import numpy as np
import pytest
from helpers import host

import cunet

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed"),
]


@pytest.fixture(scope="session")
def by_jax(tmp_path_factory):
    file = tmp_path_factory.mktemp("jax") / "found.npz"
    program = Path(jax_functions.__file__)
    subprocess.run([sys.executable, program, file], check=True)  # its threads end with it
    with np.load(file) as found:
        return dict(found)


def near(found, expected):
    np.testing.assert_allclose(host(found), expected, rtol=1e-8, atol=1e-8 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("name", jax_functions.FUNCTIONS)
def test_the_same_derivatives(name, by_jax):
    x, v = jax_functions.drawn(name)

    def f(x):
        return jax_functions.FUNCTIONS[name](np, x)

    value, slope = cunet.jvp(f, (x,), (v,))
    near(value, by_jax[f"{name} value"])
    near(slope, by_jax[f"{name} slope"])
    hessian = by_jax[f"{name} hessian"]
    near(cunet.hessian(f)(x), hessian)
    near(cunet.hvp(f, (x,), (v,)), np.tensordot(hessian, v, 2))
