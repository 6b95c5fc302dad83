"""`numpy.linalg` on Tensors runs the ops of that name."""

import numpy as np
import pytest
from helpers import host

from cunet import Tensor
from cunet.ops.numpy_linalg import LINALG
from cunet.testing import gradcheck


def symmetric(x):
    return (x + x.T) / 2


#: Calls on a matrix (3, 3) that is not far from symmetric, with positive eigenvalues.
CALLS = {
    "cholesky": lambda x: np.linalg.cholesky(symmetric(x)),
    "det": lambda x: np.linalg.det(x),
    "eigh": lambda x: np.linalg.eigh(symmetric(x)).eigenvalues,
    "eigvalsh": lambda x: np.linalg.eigvalsh(symmetric(x), "U"),
    "inv": lambda x: np.linalg.inv(a=x),
    "lstsq": lambda x: np.linalg.lstsq(x[:, :2], x[:, 2], rcond=None)[0],
    "matrix_power": lambda x: np.linalg.matrix_power(x, 3),
    "norm": lambda x: np.linalg.norm(x, "nuc") + np.linalg.norm(x, axis=1, keepdims=True),
    "pinv": lambda x: np.linalg.pinv(x[:, :2]),
    "qr": lambda x: np.linalg.qr(x).R,
    "slogdet": lambda x: np.linalg.slogdet(x).logabsdet,
    "solve": lambda x: np.linalg.solve(x, x[0]) + np.linalg.solve(np.eye(3), x[0]),
    "svd": lambda x: np.linalg.svd(x, compute_uv=False) + np.linalg.svd(x).S,
    "svdvals": lambda x: np.linalg.svdvals(x),
}


def test_every_function_is_called():
    assert sorted(f.__name__ for f in LINALG) == sorted(CALLS)


@pytest.mark.cpu_only
@pytest.mark.parametrize("name", CALLS)
def test_a_function_of_numpy_runs_the_op(name, rng):
    a = rng.standard_normal((3, 3)) / 4 + np.diag([2.0, 3.0, 4.0])
    x = Tensor(a, requires_grad=True)
    y = CALLS[name](x)
    assert isinstance(y, Tensor) and y.requires_grad
    np.testing.assert_allclose(host(y), CALLS[name](a), rtol=1e-10)
    gradcheck(CALLS[name], a, rtol=1e-5)
