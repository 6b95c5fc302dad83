"""`numpy.linalg` on Tensors runs the ops of that name."""

import numpy as np
import pytest
from helpers import host

from cunet import Tensor
from cunet.ops.numpy_linalg import COMPOSED, LINALG
from cunet.testing import gradcheck


def symmetric(x):
    return (x + x.T) / 2


#: Calls on a matrix (3, 3) that is not far from symmetric, with positive eigenvalues.
CALLS = {
    "cholesky": lambda x: np.linalg.cholesky(symmetric(x)),
    "cond": lambda x: np.linalg.cond(x) + np.linalg.cond(x, -2) + np.linalg.cond(x, "fro") + np.linalg.cond(x, 1),
    "cross": lambda x: np.linalg.cross(x, x[0]) + np.linalg.cross(x, x[:, 1:2], axis=0),
    "det": lambda x: np.linalg.det(x),
    "diagonal": lambda x: np.linalg.diagonal(x[None], offset=-1),
    "eigh": lambda x: np.linalg.eigh(symmetric(x)).eigenvalues,
    "eigvalsh": lambda x: np.linalg.eigvalsh(symmetric(x), "U"),
    "inv": lambda x: np.linalg.inv(a=x),
    "lstsq": lambda x: np.linalg.lstsq(x[:, :2], x[:, 2], rcond=None)[0],
    "matmul": lambda x: np.linalg.matmul(x, x[0]),
    "matrix_norm": lambda x: np.linalg.matrix_norm(x[None]) + np.linalg.matrix_norm(x, ord=1, keepdims=True),
    "matrix_transpose": lambda x: np.linalg.matrix_transpose(x[None]),
    "matrix_power": lambda x: np.linalg.matrix_power(x, 3),
    "multi_dot": lambda x: np.linalg.multi_dot([x[0], x, x.T, x[:, 1:]]),
    "norm": lambda x: np.linalg.norm(x, "nuc") + np.linalg.norm(x, axis=1, keepdims=True),
    "outer": lambda x: np.linalg.outer(x[0], x[:, 1]),
    "pinv": lambda x: np.linalg.pinv(x[:, :2]),
    "qr": lambda x: np.linalg.qr(x).R,
    "slogdet": lambda x: np.linalg.slogdet(x).logabsdet,
    "solve": lambda x: np.linalg.solve(x, x[0]) + np.linalg.solve(np.eye(3), x[0]),
    "svd": lambda x: np.linalg.svd(x, compute_uv=False) + np.linalg.svd(x).S,
    "svdvals": lambda x: np.linalg.svdvals(x),
    "tensordot": lambda x: np.linalg.tensordot(x, x, axes=1),
    "tensorinv": lambda x: np.linalg.tensorinv(x.reshape(3, 1, 3)[:, :, :], ind=1),
    "tensorsolve": lambda x: np.linalg.tensorsolve(x.reshape(3, 1, 3), x[0]),
    "trace": lambda x: np.linalg.trace(x[None], offset=1),
    "vecdot": lambda x: np.linalg.vecdot(x, x[0]) + np.linalg.vecdot(x, x[:, 1:2], axis=0),
    "vector_norm": lambda x: np.linalg.vector_norm(x, axis=(0, 1), keepdims=True) + np.linalg.vector_norm(x, ord=3),
}


def test_every_function_is_called():
    assert sorted(f.__name__ for f in (*LINALG, *COMPOSED)) == sorted(CALLS)


@pytest.mark.cpu_only
@pytest.mark.parametrize("name", CALLS)
def test_a_function_of_numpy_runs_the_op(name, rng):
    a = rng.standard_normal((3, 3)) / 4 + np.diag([2.0, 3.0, 4.0])
    x = Tensor(a, requires_grad=True)
    y = CALLS[name](x)
    assert isinstance(y, Tensor) and y.requires_grad
    np.testing.assert_allclose(host(y), CALLS[name](a), rtol=1e-10)
    gradcheck(CALLS[name], a, rtol=1e-5)


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: np.linalg.tensorinv(x, 0), ValueError, "tensorinv: ind must be at least 1, got 0"),
        (lambda x: np.linalg.tensorsolve(x, x[0], axes=(0,)), TypeError, r"np\.linalg\.tensorsolve .*takes no axes="),
        (lambda x: np.linalg.multi_dot([x, x], out=np.empty((3, 3))), TypeError, "multi_dot .*takes no out="),
        (lambda x: np.linalg.cross(x[:, :2], x[:, :2]), TypeError, "takes no vectors of another length than 3"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(Tensor(np.eye(3), requires_grad=True))


@pytest.mark.cpu_only
def test_the_rank_has_no_gradient():
    x = Tensor(np.diag([1.0, 2.0, 0.0]), requires_grad=True)
    assert np.linalg.matrix_rank(x) == 2
