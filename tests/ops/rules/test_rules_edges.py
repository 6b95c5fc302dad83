"""Derivatives where formulas switch or leave the range, and where there are none."""

import mpmath
import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, grad


def derivative(f, n):
    return f if n == 0 else lambda x: grad(lambda x: derivative(f, n - 1)(x).sum())(x)


def softplus(x):
    return mpmath.log1p(mpmath.exp(x))


SMOOTH = {
    "tanh": (cunet.tanh, mpmath.tanh),
    "sigmoid": (F.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x))),
    "softplus": (F.softplus, softplus),
    "logsigmoid": (F.logsigmoid, lambda x: -softplus(-x)),
    "gelu": (F.gelu, lambda x: x * mpmath.ncdf(x)),
    "silu": (F.silu, lambda x: x / (1 + mpmath.exp(-x))),
    "mish": (F.mish, lambda x: x * mpmath.tanh(softplus(x))),
    "erf": (cunet.erf, mpmath.erf),
    "erfc": (cunet.erfc, mpmath.erfc),
    "tanhshrink": (F.tanhshrink, lambda x: x - mpmath.tanh(x)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_functions_at_0_and_far_out(name, n, dtype, dev):
    f, exact = SMOOTH[name]
    points = [0.0, -0.0, 0.5, -3.0, 20.0, -20.0, 90.0, -90.0, 800.0, -800.0]
    with mpmath.workdps(80):
        expected = [float(mpmath.diff(exact, mpmath.mpf(x), n)) for x in points]
    rtol, atol = (1e-9, 1e-15) if dtype == np.float64 else (1e-3, 1e-6)
    np.testing.assert_allclose(host(derivative(f, n)(dev(np.array(points, dtype)))), expected, rtol=rtol, atol=atol)


def test_a_loss_of_logits_at_0_and_far_out(dev):
    x = np.array([0.0, 30.0, -30.0, 800.0, -800.0])
    t = dev(np.array([0.3, 0.0, 1.0, 0.0, 1.0]))
    f = derivative(lambda x: F.binary_cross_entropy_with_logits(x, t, reduction="sum"), 2)
    with np.errstate(over="ignore"):
        expected = 1 / ((1 + np.exp(-x)) * (1 + np.exp(x)))
    np.testing.assert_allclose(host(f(dev(x))), expected, rtol=1e-12)


def test_rows_of_masked_scores_have_no_nan(dev):
    """A query that may attend to nothing gets 0, in each derivative."""
    q = dev(np.array([[1.0, 2.0], [0.5, -1.0]]))
    mask = dev(np.array([[True, False], [False, False]]))

    def attend(q):
        return (F.scaled_dot_product_attention(q, q, q, mask) ** 2).sum()

    found = host(cunet.hessian(attend)(q))
    assert np.isfinite(found).all()
    assert (found[1, :, 1] == 0).all()


def test_softmax_beside_infinities(dev):
    x = dev(np.array([[0.5, -np.inf, 1.0], [2.0, 1.0, -np.inf]]))

    def f(x):
        return (F.softmax(x, 1) ** 2).sum()

    found = host(cunet.hvp(f, (x,), (dev(np.ones((2, 3))),)))
    np.testing.assert_allclose(found, 0, atol=1e-15)


def test_a_hidden_class_of_cross_entropy(dev):
    x = dev(np.array([[0.5, -np.inf, 1.0]]))
    found = host(cunet.hessian(lambda x: F.cross_entropy(x, dev(np.array([2]))))(x))[0, :, 0]
    p = np.exp([0.5, 1.0]) / np.exp([0.5, 1.0]).sum()
    np.testing.assert_allclose(found[np.ix_([0, 2], [0, 2])], np.diag(p) - np.outer(p, p), rtol=1e-12)
    assert (found[1] == 0).all() and (found[:, 1] == 0).all()


def test_products_with_zeros(dev):
    x = dev(np.array([2.0, 0.0, 3.0, 0.0]))
    found = host(cunet.hessian(cunet.prod)(x))
    expected = np.zeros((4, 4))
    expected[1, 3] = expected[3, 1] = 6
    np.testing.assert_array_equal(found, expected)


def test_a_padding_row_gets_no_gradient_of_any_order(dev):
    index = dev(np.array([1, 0, 1]))
    w = dev(np.arange(6.0).reshape(3, 2))
    found = host(cunet.hessian(lambda w: (F.embedding(index, w, padding_idx=0) ** 3).sum())(w)).reshape(6, 6)
    np.testing.assert_allclose(np.diag(found), [0, 0, 24, 36, 0, 0])


def test_the_second_derivative_of_a_singular_determinant_is_refused(dev):
    a = dev(np.array([[1.0, 2.0], [2.0, 4.0]]))
    np.testing.assert_allclose(host(grad(cunet.linalg.det)(a)), [[4, -2], [-2, 1]], atol=1e-12)
    with pytest.raises(ValueError, match="det: of a singular matrix there is a first derivative only"):
        cunet.hessian(cunet.linalg.det)(a)
