"""Eigenvalues and singular values: where they are equal or 0, at the ends of the range, and of nothing."""

import numpy as np
import pytest
from helpers import host

from cunet import Tensor, linalg
from cunet.testing import gradcheck


def gradient(f, a, dev, dtype=None):
    x = Tensor(dev(np.asarray(a), dtype), requires_grad=True)
    f(x).sum().backward()
    return host(x.grad)


def rotation(rng, n):
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def symmetric(rng, values):
    q = rotation(rng, len(values))
    return q * values @ q.T


def test_equal_eigenvalues_have_gradients(dev, rng):
    a = symmetric(rng, np.array([2.0, 2.0, 5.0]))
    for f in (linalg.eigvalsh, lambda x: linalg.eigh(x)[0]):
        np.testing.assert_allclose(gradient(lambda x, f=f: f(x) ** 3, a, dev), 3 * a @ a, atol=1e-10)
        np.testing.assert_allclose(gradient(f, np.eye(3), dev), np.eye(3), atol=1e-15)
        assert gradient(f, np.zeros((2, 2)), dev).tolist() == [[1, 0], [0, 1]]


def test_vectors_of_equal_eigenvalues_have_none_but_others_have(dev, rng):
    a = symmetric(rng, np.array([2.0, 2.0, 5.0]))
    assert np.isnan(gradient(lambda x: linalg.eigh(x)[1][:, 0] ** 2, a, dev)).all()

    def projector(x):
        v = linalg.eigh((x + x.T) / 2)[1][:, 2]
        return v.reshape(3, 1) * v

    gradcheck(projector, dev(a))


def test_vectors_that_the_loss_ignores_do_no_harm(dev, rng):
    a = np.stack([symmetric(rng, np.array([1.0, 2.0, 4.0])), np.eye(3)])

    def loss(x):
        w, v = linalg.eigh(x)
        return w.sum() + (v[0, :, 0] ** 4).sum()

    assert np.isfinite(gradient(loss, a, dev)).all()


def test_a_function_of_a_symmetric_matrix(dev, rng):
    """The derivative of a square root, by the equation that it solves."""
    a = symmetric(rng, np.array([0.5, 1.0, 3.0]))

    def root(x):
        w, v = linalg.eigh((x + x.T) / 2)
        return v * w**0.5 @ v.T

    gradcheck(root, dev(a))


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_the_gradient_does_not_leave_the_range(size, dev, rng):
    a = symmetric(rng, np.array([1.0, 2.0, 4.0]))

    def by_vectors(x):
        return linalg.eigh(x)[1][:, 0] ** 4

    def by_pairs(x):
        u, _, vh = linalg.svd(x)
        return u[:, 0] * vh[0]

    for f in (by_vectors, by_pairs):
        expected = gradient(f, a, dev) / size
        np.testing.assert_allclose(gradient(f, a * size, dev, np.float32) * size, expected * size, rtol=2e-4, atol=1e-5)


def test_the_gradient_of_eigh_is_symmetric_whichever_triangle_is_read(dev, rng):
    a = symmetric(rng, np.array([1.0, 2.0, 4.0]))
    grads = [gradient(lambda x, u=u: linalg.eigh(x, UPLO=u)[1] ** 4, a, dev) for u in "LU"]
    for g in grads:
        np.testing.assert_allclose(g, g.T, atol=1e-13)
    np.testing.assert_allclose(*grads, atol=1e-12)
    upper = np.triu(a)
    np.testing.assert_allclose(host(linalg.eigvalsh(dev(upper), "U")), [1, 2, 4], rtol=1e-12)


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (2, 4), (2, 3, 2)])
def test_the_sum_of_equal_singular_values_has_the_gradient_of_its_factors(shape, dev, rng):
    a = np.broadcast_to(np.eye(*shape[-2:]), shape) * 2.0
    for f in (linalg.svdvals, lambda x: linalg.svd(x)[1], lambda x: linalg.svd(x, full_matrices=False)[1]):
        np.testing.assert_allclose(gradient(f, a, dev), a / 2, atol=1e-15)


def test_singular_values_of_0_have_finite_gradients(dev):
    a = np.diag([2.0, 0.0, 0.0])[:, :2]
    g = gradient(lambda x: linalg.svdvals(x) ** 2, a, dev)
    np.testing.assert_allclose(g, 2 * a, atol=1e-15)
    assert np.isfinite(gradient(linalg.svdvals, np.zeros((3, 2)), dev)).all()


def test_vectors_of_equal_or_no_singular_values_have_none(dev):
    def vector(k):
        return lambda x: linalg.svd(x, full_matrices=False)[0][:, k]

    assert np.isnan(gradient(vector(0), np.eye(3), dev)).any()
    assert np.isnan(gradient(vector(1), np.diag([2.0, 0.0, 0.0])[:, :2], dev)).any()
    assert np.isfinite(gradient(vector(0), np.diag([3.0, 1.0, 1.0]), dev)).all()


def test_projectors_on_singular_vectors_of_rectangles(dev, rng):
    for shape in ((4, 2), (2, 4)):

        def low_rank(x):
            u, s, vh = linalg.svd(x, full_matrices=False)
            return u[:, :1] * s[:1] @ vh[:1]

        gradcheck(low_rank, dev(rng.standard_normal(shape)), rtol=1e-5)


def test_full_matrices_have_gradients_of_what_they_share_with_the_least(dev, rng):
    a = dev(rng.standard_normal((4, 2)))
    gradcheck(lambda x: linalg.svd(x)[1:], a)
    x = Tensor(a, requires_grad=True)
    with pytest.raises(ValueError, match=r"svd: vectors beyond the min\(M, N\) = 2 .* full_matrices=False"):
        linalg.svd(x).U.sum().backward()


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (0, 2, 2), (2, 0, 3)])
def test_factors_of_nothing(shape, dev):
    x = Tensor(dev(np.zeros(shape, np.float32)), requires_grad=True)
    u, s, vh = linalg.svd(x, full_matrices=False)
    assert s.shape == (*shape[:-2], min(shape[-2:]))
    (u.sum() + s.sum() + vh.sum() + linalg.svdvals(x).sum()).backward()
    assert x.grad.shape == shape and not host(x.grad).any()
    if shape[-1] == shape[-2]:
        w, v = linalg.eigh(x)
        (w.sum() + v.sum() + linalg.eigvalsh(x).sum()).backward()


def test_results_have_the_names_of_numpy(dev, rng):
    a = dev(symmetric(rng, np.array([1.0, 2.0, 4.0])))
    for f, plain in ((linalg.eigh, np.linalg.eigh), (linalg.svd, np.linalg.svd)):
        names = f(a)._fields
        assert plain(host(a))._fields == names


def test_what_does_not_fit_is_named(dev):
    for f in (linalg.eigh, linalg.eigvalsh):
        with pytest.raises(ValueError, match=rf"{f.__name__}: a must have shape \(\.\.\., N, N\), got \(2, 3\)"):
            f(dev(np.ones((2, 3))))
        with pytest.raises(ValueError, match=rf'{f.__name__}: UPLO must be "L" or "U", got \'l\''):
            f(dev(np.eye(2)), UPLO="l")
    for f in (linalg.svd, linalg.svdvals):
        with pytest.raises(ValueError, match=rf"{f.__name__}: a must have shape \(\.\.\., M, N\), got \(3,\)"):
            f(dev(np.ones(3)))
