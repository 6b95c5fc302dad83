"""custom_root and fixed_point: against formulas, at every order, forward and reverse."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor, grad, hessian, hvp, jacobian, jvp, nn
from cunet.testing import gradcheck


def cube_root(a):
    """Return the cube root by a residual; found without Tensors."""
    return cunet.custom_root(lambda x, a: x**3 - a, lambda a: a ** (1 / 3))(a)


def derivative(f, n):
    return f if n == 0 else lambda x: grad(lambda x: derivative(f, n - 1)(x).sum())(x)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_root_and_its_derivatives(n, dev):
    a = np.array([0.5, 2.0, 8.0])
    factor = {1: 1 / 3, 2: -2 / 9, 3: 10 / 27}[n]
    found = host(derivative(cube_root, n)(dev(a)))
    np.testing.assert_allclose(found, factor * a ** (1 / 3 - n), rtol=1e-12)


def test_forward_and_each_within_the_other(dev):
    a = np.array([0.5, 2.0, 8.0])
    x, v = dev(a), dev(np.array([1.0, -2.0, 3.0]))
    second = -2 / 9 * a ** (-5 / 3)
    y, t = jvp(cube_root, (x,), (v,))
    np.testing.assert_allclose(host(y), np.cbrt(a), rtol=1e-15)
    np.testing.assert_allclose(host(t), a ** (-2 / 3) / 3 * host(v), rtol=1e-12)
    np.testing.assert_allclose(host(hvp(lambda a: cube_root(a).sum(), (x,), (v,))), second * host(v), rtol=1e-12)
    over = jvp(grad(lambda a: cube_root(a).sum()), (x,), (v,))[1]
    np.testing.assert_allclose(host(over), second * host(v), rtol=1e-12)
    twice = jvp(lambda a: jvp(cube_root, (a,), (v,))[1], (x,), (v,))[1]
    np.testing.assert_allclose(host(twice), second * host(v) ** 2, rtol=1e-12)
    np.testing.assert_allclose(host(jacobian(cube_root)(x)), np.diag(a ** (-2 / 3) / 3), rtol=1e-12)
    np.testing.assert_allclose(host(hessian(lambda a: cube_root(a).sum())(x)), np.diag(second), rtol=1e-12, atol=1e-15)


def test_a_system_of_equations(rng, dev):
    a, b = dev(rng.standard_normal((2, 2)) + 3 * np.eye(2)), dev(rng.standard_normal(2))
    root = cunet.custom_root(lambda x, a, b: a @ x + x**3 - b, newton)
    gradcheck(root, a, b, order=3)
    gradcheck(root, a, b, order=2, forward=True)


def newton(a, b):
    xp = cunet.device.array_module(a)
    x = xp.zeros_like(b)
    for _ in range(60):
        x = x - xp.linalg.solve(a + 3 * xp.diag(x**2), a @ x + x**3 - b)
    return x


def test_what_is_given_solves_the_linear_equations(rng, dev):
    calls = []

    def solve(matvec, b):
        calls.append(b)
        return b / matvec(cunet.device.array_module(b).ones_like(b))  # of a diagonal matrix

    root = cunet.custom_root(lambda x, a: x * x - a, lambda a: a**0.5, linear_solve=solve)
    found = hessian(lambda a: (root(a) ** 3).sum())(dev(np.array([4.0, 9.0])))
    np.testing.assert_allclose(host(found), np.diag([0.75 / 2, 0.75 / 3]), atol=1e-14)
    assert calls


def test_parameters_of_a_module_get_gradients(rng, dev, device):
    layer = nn.Linear(3, 3).to(device)
    layer.weight.data = dev(0.2 * rng.standard_normal((3, 3)))
    layer.bias.data = dev(rng.standard_normal(3))
    u = dev(rng.standard_normal((2, 3)))
    x = cunet.fixed_point(lambda x: cunet.tanh(layer(x) + u), 0 * u)
    (x**2).sum().backward()
    w, b, y = (host(a.data) for a in (layer.weight, layer.bias, x))
    np.testing.assert_allclose(y, np.tanh(y @ w.T + b + host(u)), rtol=1e-10)
    s = 1 - y**2
    expected = np.zeros_like(w)
    for k in range(2):
        adjoint = np.linalg.solve((np.eye(3) - s[k][:, None] * w).T, 2 * y[k])
        expected += np.outer(adjoint * s[k], y[k])
    np.testing.assert_allclose(host(layer.weight.grad), expected, rtol=1e-9)


def test_a_fixed_point_twice(rng, dev):
    w, u = dev(0.1 * rng.standard_normal((2, 2))), dev(rng.standard_normal(2))

    def settled(w, u):
        return cunet.fixed_point(lambda x, w: cunet.tanh(w @ x + u), u.detach(), w)

    gradcheck(settled, w, u, order=2, forward=True)


def test_nothing_is_recorded_that_nobody_asks_for(dev):
    a = dev(np.array([4.0]))
    assert not cube_root(a).requires_grad
    with cunet.no_grad():
        assert not cube_root(Tensor(a, requires_grad=True)).requires_grad
    empty = cube_root(Tensor(a[:0], requires_grad=True))
    empty.sum().backward()


def test_what_does_not_fit_is_refused(dev):
    a = Tensor(dev(np.array([4.0])), requires_grad=True)
    with pytest.raises(ValueError, match=r"custom_root: the residual must be a Tensor of shape \(1,\), got shape \(\)"):
        cunet.custom_root(lambda x, a: (x - a).sum(), lambda a: a)(a)
    with pytest.raises(RuntimeError, match="fixed_point: max_iter=7 steps must suffice, got a last change of"):
        cunet.fixed_point(lambda x, a: a + x, dev(np.array([1.0])), a, max_iter=7)
