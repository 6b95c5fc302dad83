"""Determinants and their logarithms, where a matrix is singular, huge or empty."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor, linalg
from cunet.testing import gradcheck


def gradient(f, a, dev):
    x = Tensor(dev(a), requires_grad=True)
    f(x).backward()
    return host(x.grad)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_singular_matrix_has_the_gradient_of_its_cofactors(rank, dev, rng):
    a = rng.integers(1, 4, (3, rank)).astype(float) @ rng.integers(1, 4, (rank, 3)).astype(float)
    gradcheck(linalg.det, dev(a), atol=1e-6)
    expected = np.array(
        [[(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(3)] for i in range(3)]
    )
    np.testing.assert_allclose(gradient(lambda x: linalg.det(x), a, dev), expected, atol=1e-12)


def test_one_singular_matrix_leaves_others_alone(dev, rng):
    a = np.stack([rng.standard_normal((2, 2)), np.zeros((2, 2))])
    g = gradient(lambda x: linalg.det(x).sum(), a, dev)
    np.testing.assert_allclose(g[0], [[a[0, 1, 1], -a[0, 1, 0]], [-a[0, 0, 1], a[0, 0, 0]]], rtol=1e-12)
    assert not g[1].any()


def test_cofactors_whose_parts_leave_the_range(dev):
    d = np.array([1e30, 1e30, 1e-30, 1e-30], np.float32)
    g = gradient(lambda x: linalg.det(x), np.diag(d), dev)
    np.testing.assert_allclose(np.diag(g), [1e-30, 1e-30, 1e30, 1e30], rtol=1e-5)


def test_the_logarithm_leaves_no_range(dev):
    a = Tensor(dev(np.diag(np.full(4, -1e30, np.float32))), requires_grad=True)
    sign, y = linalg.slogdet(a)
    assert float(sign) == 1
    np.testing.assert_allclose(float(y), 4 * np.log(1e30), rtol=1e-6)
    y.backward()
    np.testing.assert_allclose(host(a.grad), np.diag(np.full(4, -1e-30)), rtol=1e-6)


def test_the_logarithm_of_a_singular_matrix(dev):
    a = np.stack([np.eye(2), np.ones((2, 2))])
    found = linalg.slogdet(Tensor(dev(a)))
    assert host(found.sign).tolist() == [1, 0] and host(found.logabsdet).tolist() == [0, -np.inf]
    g = gradient(lambda x: linalg.slogdet(x)[1].sum(), a, dev)
    assert (g[0] == np.eye(2)).all() and np.isnan(g[1]).all()

    def guarded(x):
        sign, y = linalg.slogdet(x)
        return cunet.where(sign.data != 0, y, 0.0).sum()

    g = gradient(guarded, a, dev)
    assert (g[0] == np.eye(2)).all() and not g[1].any()


def test_the_sign_has_no_gradient(dev):
    assert not gradient(lambda x: linalg.slogdet(x)[0], -np.eye(3), dev).any()


def test_nan_gives_nan_and_no_error(dev):
    a = np.stack([np.eye(2), np.full((2, 2), np.nan)])
    g = gradient(lambda x: linalg.det(x).sum(), a, dev)
    np.testing.assert_allclose(g[0], np.eye(2), atol=1e-12)
    assert np.isnan(g[1]).all()


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3, 3)])
def test_determinants_of_nothing(shape, dev):
    x = Tensor(dev(np.zeros(shape, np.float32)), requires_grad=True)
    y = linalg.det(x)
    assert y.shape == shape[:-2] and (host(y) == 1).all()
    sign, log = linalg.slogdet(x)
    assert (host(sign) == 1).all() and (host(log) == 0).all()
    (y.sum() + log.sum()).backward()
    assert x.grad.shape == shape and x.grad.dtype == np.float32


def test_what_is_not_square_is_named(dev):
    for f in (linalg.det, linalg.slogdet):
        with pytest.raises(ValueError, match=rf"{f.__name__}: a must have shape \(\.\.\., N, N\), got \(2, 3\)"):
            f(dev(np.zeros((2, 3))))
