"""vjp, jvp, hvp, jacobian and hessian: against formulas, and each other."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Tensor, grad, hessian, hvp, jacobian, jvp, linearize, vjp

A = np.array([[1.0, 2.0, -1.0], [0.5, -1.0, 3.0]])


def curved(dev):
    a = dev(A)
    return lambda x: cunet.tanh(a @ x)


def slope(x):
    """Return the Jacobian of `curved`."""
    return (1 / np.cosh(A @ x) ** 2)[:, None] * A


X, V, G = np.array([0.3, -0.2, 0.5]), np.array([1.0, 2.0, -1.0]), np.array([2.0, -3.0])


def test_vjp(dev):
    y, pull = vjp(curved(dev), dev(X))
    np.testing.assert_allclose(host(y), np.tanh(A @ X))
    for scale in (1, 2):  # as often as one likes
        np.testing.assert_allclose(host(pull(dev(scale * G))), scale * G @ slope(X), rtol=1e-14)
    assert not isinstance(y, Tensor) and not isinstance(pull(dev(G)), Tensor)


def test_jvp(dev):
    y, dy = jvp(curved(dev), (dev(X),), (dev(V),))
    np.testing.assert_allclose(host(y), np.tanh(A @ X))
    np.testing.assert_allclose(host(dy), slope(X) @ V, rtol=1e-14)


def test_linearize(dev):
    y, push = linearize(curved(dev), dev(X))
    np.testing.assert_allclose(host(y), np.tanh(A @ X))
    for scale in (1, 2):
        np.testing.assert_allclose(host(push(dev(scale * V))), scale * slope(X) @ V, rtol=1e-14)
    third = grad(lambda x: linearize(grad(energy), x)[1](dev(V)).sum())(dev(X))
    expected = grad(lambda x: hvp(energy, (x,), (dev(V),)).sum())(dev(X))
    np.testing.assert_allclose(host(third), host(expected), rtol=1e-13)
    assert host(linearize(lambda x: Tensor(dev(G)), dev(X))[1](dev(V))).tolist() == [0, 0]
    # The gradient of a logarithm of a determinant looks at what arrives: it must not be 0 there.
    m = dev(A[:, :2])
    slogdet = linearize(lambda m: cunet.linalg.slogdet(m)[1], m)[1](m)
    assert float(slogdet) == pytest.approx(2)


def test_jacobian_by_rows_and_by_columns(dev):
    np.testing.assert_allclose(host(jacobian(curved(dev))(dev(X))), slope(X), rtol=1e-14)
    a = dev(A.T)
    tall = host(jacobian(lambda x: cunet.sin(a @ x))(dev(G)))
    np.testing.assert_allclose(tall, np.cos(A.T @ G)[:, None] * A.T, rtol=1e-14)
    square = jacobian(lambda x, k: k * x.T)(dev(A), 2.0)
    assert square.shape == (3, 2, 2, 3)
    assert host(square)[1, 0, 0, 1] == 2 and host(square).sum() == 12


def energy(x):
    return (x[0] ** 3 * x[1] + cunet.exp(x[1] * x[2])).sum()


def curvature(x):
    a, b, c = x
    e = np.exp(b * c)
    return np.array([[6 * a * b, 3 * a * a, 0], [3 * a * a, c * c * e, e + b * c * e], [0, e + b * c * e, b * b * e]])


def test_hessian_and_hvp(dev):
    np.testing.assert_allclose(host(hessian(energy)(dev(X))), curvature(X), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(host(hvp(energy, (dev(X),), (dev(V),))), curvature(X) @ V, rtol=1e-13)


def test_what_is_linear_or_constant_has_derivatives_of_0(dev):
    x = dev(X)
    assert host(hessian(lambda x: x.sum())(x)).tolist() == np.zeros((3, 3)).tolist()
    assert host(hvp(lambda x: x.sum(), (x,), (x,))).tolist() == [0, 0, 0]
    assert host(jvp(lambda x: Tensor(dev(G)), (x,), (x,))[1]).tolist() == [0, 0]
    assert host(jacobian(lambda x: Tensor(dev(G)))(x)).tolist() == np.zeros((2, 3)).tolist()
    assert host(vjp(lambda x: Tensor(dev(G)), x)[1](dev(G))).tolist() == [0, 0, 0]


def test_trees_and_several_arguments(dev):
    def f(p, k):
        return {"product": p["a"] * p["b"][0] * k, "sum": p["a"].sum()}

    p, k = {"a": dev(np.array([1.0, 2.0])), "b": [dev(np.array([3.0, 4.0]))]}, dev(np.array(2.0))
    value, pull = vjp(f, p, k)
    assert host(value["product"]).tolist() == [6, 16]
    gp, gk = pull({"product": dev(np.ones(2)), "sum": dev(np.array(10.0))})
    assert host(gp["a"]).tolist() == [16, 18] and host(gp["b"][0]).tolist() == [2, 4] and host(gk) == 11
    direction = {"a": dev(np.array([1.0, 0.0])), "b": [dev(np.array([0.0, 1.0]))]}
    _, dy = jvp(f, (p, k), (direction, dev(np.array(1.0))))
    assert host(dy["product"]).tolist() == [6 + 3, 4 + 8] and host(dy["sum"]) == 1
    hp, hk = hvp(lambda p, k: (p["a"] ** 2 * k).sum(), (p, k), (direction, dev(np.array(1.0))))
    assert host(hp["a"]).tolist() == [4 + 2, 4] and host(hk) == 2 and host(hp["b"][0]).tolist() == [0, 0]


def test_within_each_other(dev):
    """Forward over reverse, reverse over forward, and derivatives of a Hessian."""
    x, v = dev(X), dev(V)
    _, forward = jvp(lambda x: grad(energy)(x), (x,), (v,))
    np.testing.assert_allclose(host(forward), curvature(X) @ V, rtol=1e-13)
    reverse = grad(lambda x: jvp(energy, (x,), (v,))[1].sum())(x)
    np.testing.assert_allclose(host(reverse), curvature(X) @ V, rtol=1e-13)
    h = 1e-5
    third = host(grad(lambda x: (hessian(energy)(x) * dev(A.T @ A)).sum())(x))
    for k in range(3):
        step = h * np.eye(3)[k]
        expected = ((curvature(X + step) - curvature(X - step)) / (2 * h) * (A.T @ A)).sum()
        assert third[k] == pytest.approx(expected, rel=1e-8)


def test_hessian_is_symmetric_and_hvp_is_its_product(rng, dev):
    w = dev(rng.standard_normal((4, 5)))

    def loss(x):
        return F.cross_entropy(F.layer_norm(F.gelu(x @ w), 5), dev(np.array([1, 3])))

    x, v = dev(rng.standard_normal((2, 4))), rng.standard_normal((2, 4))
    full = host(hessian(loss)(x)).reshape(8, 8)
    np.testing.assert_allclose(full, full.T, atol=1e-14)
    np.testing.assert_allclose(host(hvp(loss, (x,), (dev(v),))).ravel(), full @ v.ravel(), rtol=1e-11, atol=1e-13)


def test_float32_stays_float32(dev):
    x = dev(X.astype(np.float32))
    for found in (hessian(energy)(x), hvp(energy, (x,), ([1.0, 2.0, -1.0],)), jacobian(cunet.sin)(x)):
        assert found.dtype == np.float32


def test_what_does_not_fit_is_refused(dev):
    x = dev(X)
    with pytest.raises(TypeError, match="vjp: the function must return Tensors, got .*array"):
        vjp(lambda x: x.data, x)
    with pytest.raises(ValueError, match=r"hvp: the function must return one element, got shape \(3,\)"):
        hvp(cunet.sin, (x,), (x,))
    with pytest.raises(ValueError, match=r"jvp: tangents must have shapes \[\(3,\)\], got \[\(2,\)\]"):
        jvp(cunet.sin, (x,), (dev(G),))
    with pytest.raises(ValueError, match=r"vjp: the cotangent must have shapes \[\(3,\)\], got \[\(2,\)\]"):
        vjp(cunet.sin, x)[1](dev(G))
    with pytest.raises(ValueError, match="hessian: the function must return one element"):
        hessian(cunet.sin)(x)


def test_a_hessian_vector_product_costs_two_gradients(rng):
    """In products of matrices, which are what a net's gradient costs."""
    from cunet.kernels import listening

    w = [rng.standard_normal(s) for s in ((6, 8), (8, 8), (8, 3))]

    def loss(w):
        y = cunet.tensor(rng.standard_normal((5, 6)))
        return (cunet.tanh(cunet.tanh(y @ w[0]) @ w[1]) @ w[2]).sum()

    def products(run):
        count = [0]

        def count_products(kernel, args, options, proceed):
            count[0] += kernel.name == "product" and all(isinstance(a, np.ndarray) for a in args)
            return proceed()

        with listening(count_products):
            run()
        return count[0]

    first = products(lambda: grad(loss)(w))
    assert products(lambda: hvp(loss, (w,), (w,))) <= 19 and first == 8
