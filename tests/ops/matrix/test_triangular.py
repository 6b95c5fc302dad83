"""Cholesky and QR where they are empty, not defined, or used on."""

import numpy as np
import pytest
from helpers import host

from cunet import Tensor, linalg
from cunet.device import is_gpu_array
from cunet.testing import gradcheck

SPD = np.array([[4.0, 2.0], [2.0, 3.0]])


def test_the_gradient_of_cholesky_is_that_of_a_symmetric_matrix(dev):
    x = Tensor(dev(SPD), requires_grad=True)
    linalg.cholesky(x)[1, 0].backward()  # a_21 / sqrt(a_11): by a_21 1 / 2, of which each side has half
    np.testing.assert_allclose(host(x.grad), [[-0.125, 0.25], [0.25, 0]], atol=1e-15)


def test_the_lower_triangle_is_read(dev):
    np.testing.assert_allclose(host(linalg.cholesky(dev([[4.0, 9.0], [2.0, 3.0]]))), np.linalg.cholesky(SPD))


def test_a_gradient_above_the_diagonal_means_nothing(dev):
    a, b = (Tensor(dev(SPD), requires_grad=True) for _ in range(2))
    linalg.cholesky(a).backward(dev([[1.0, 0.0], [2.0, 3.0]]))
    linalg.cholesky(b).backward(dev([[1.0, 9.0], [2.0, 3.0]]))
    assert (host(a.grad) == host(b.grad)).all()
    q, r = (Tensor(dev(SPD), requires_grad=True) for _ in range(2))
    linalg.qr(q).R.backward(dev([[1.0, 2.0], [0.0, 3.0]]))
    linalg.qr(r).R.backward(dev([[1.0, 2.0], [9.0, 3.0]]))
    assert (host(q.grad) == host(r.grad)).all()


def test_the_gradient_of_qr_where_there_is_none_is_an_error_that_says_why_and_not_finite_on_a_gpu(dev):
    a = Tensor(dev(np.ones((3, 2))), requires_grad=True)
    loss = linalg.qr(a * dev([[1.0, 0.0]])).R.sum()
    if is_gpu_array(a.data):
        loss.backward()
        assert not np.isfinite(host(a.grad)).all()
    else:
        with pytest.raises(
            np.linalg.LinAlgError, match="^qr: the gradient needs the first 2 columns of a linearly indep"
        ):
            loss.backward()


def test_no_positive_definite_matrix_is_an_error_that_says_so_and_not_looked_at_on_a_gpu(dev):
    a = dev(-np.eye(2))
    if is_gpu_array(a):
        assert linalg.cholesky(a).shape == (2, 2)
    else:
        with pytest.raises(
            np.linalg.LinAlgError, match="^cholesky: a must be positive definite, got a matrix that is not$"
        ):
            linalg.cholesky(a)


@pytest.mark.parametrize("f", [linalg.cholesky, lambda a: linalg.qr(a).R], ids=["cholesky", "qr"])
@pytest.mark.parametrize("shape", [(0, 0), (0, 2, 2)])
def test_factors_of_nothing(f, shape, dev):
    x = Tensor(dev(np.zeros(shape, np.float32)), requires_grad=True)
    y = f(x)
    assert y.shape == shape
    y.sum().backward()
    assert x.grad.shape == shape


def test_equations_by_qr_have_the_gradient_of_the_solution(dev, rng):
    a, b = rng.standard_normal((3, 3)) + 3 * np.eye(3), rng.standard_normal(3)

    def by_qr(a, b):
        q, r = linalg.qr(a)
        return linalg.solve(r, q.T @ b)

    gradcheck(by_qr, dev(a), dev(b))
    x, y = (Tensor(dev(a), requires_grad=True) for _ in range(2))
    by_qr(x, Tensor(dev(b))).sum().backward()
    linalg.solve(y, dev(b)).sum().backward()
    np.testing.assert_allclose(host(x.grad), host(y.grad), rtol=1e-10)


@pytest.mark.parametrize("shape", [(4, 3), (3, 5), (2, 3, 2), (1, 1)])
def test_qr_has_numpys_values_and_differentiates_one_part_alone(shape, dev, rng):
    a = rng.standard_normal(shape)
    for k, name in enumerate("QR"):
        np.testing.assert_allclose(host(linalg.qr(dev(a))[k]), np.linalg.qr(a)[k], atol=1e-14)
        gradcheck(lambda x, name=name: getattr(linalg.qr(x), name), dev(a), rtol=1e-5)


def test_what_does_not_fit_is_named(dev):
    with pytest.raises(ValueError, match=r"cholesky: a must have shape \(\.\.\., N, N\), got \(2, 3\)"):
        linalg.cholesky(dev(np.ones((2, 3))))
    with pytest.raises(ValueError, match=r"qr: a must have shape \(\.\.\., M, N\), got \(3,\)"):
        linalg.qr(dev(np.ones(3)))
