"""Gradients that are given, and values that are computed again."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Tensor, checkpoint, custom_jvp, custom_vjp, grad, hessian, hvp, jvp, nn
from cunet.device import device_of
from cunet.testing import gradcheck


def test_a_linear_pair_has_every_derivative(dev):
    calls = []

    def forward(x):
        calls.append("forward")
        return x[..., ::-1] * 2

    def adjoint(g, x):
        calls.append("adjoint")
        return g[..., ::-1] * 2

    mirrored = custom_vjp(forward, adjoint, linear=True)
    x = np.array([1.0, -2.0, 0.5])
    expected = np.diag(2 * (4 * 3 * (2 * x[::-1]) ** 2)[::-1]) * 2
    np.testing.assert_allclose(host(hessian(lambda x: (mirrored(x) ** 4).sum())(dev(x))), expected)
    assert {"forward", "adjoint"} == set(calls)


def test_a_pair_that_is_not_linear_is_differentiated_as_backward_is_written(dev):
    def forward(x, y, *, k):
        return np.asarray(x) ** 3 * y * k if isinstance(x, np.ndarray) else x**3 * y * k

    def backward(g, x, y, *, k):
        return 3 * k * g * x**2 * y, k * g * x**3

    cubic = custom_vjp(forward, backward)
    x, y = dev(np.array([2.0, -1.0])), dev(np.array([1.0, 3.0]))
    gx, gy = grad(lambda x, y: cubic(x, y, k=2.0).sum(), (0, 1))(x, y)
    np.testing.assert_allclose(host(gx), 6 * host(x) ** 2 * host(y))
    np.testing.assert_allclose(host(gy), 2 * host(x) ** 3)
    second = grad(lambda x: grad(lambda x: cubic(x, y, k=2.0).sum())(x).sum())(x)
    np.testing.assert_allclose(host(second), 12 * host(x) * host(y))


def test_a_pair_goes_forward_too(dev):
    x, v = dev(np.array([1.0, -2.0, 0.5])), dev(np.array([1.0, 2.0, 3.0]))
    mirrored = custom_vjp(lambda x: x[..., ::-1] * 2, lambda g, x: g[..., ::-1] * 2, linear=True)
    assert host(jvp(mirrored, (x,), (v,))[1]).tolist() == [6, 4, 2]
    cubic = custom_vjp(lambda x: x**3, lambda g, x: 3 * g * x**2)
    np.testing.assert_allclose(host(jvp(cubic, (x,), (v,))[1]), 3 * host(x) ** 2 * host(v))


def scaled_product(dev):
    """Return ``k x y**3`` by its tangent."""

    def forward(x, y, *, k):
        return k * x * y**3

    def tangent(tx, ty, x, y, *, k):
        return k * (tx * y**3 + 3 * x * y**2 * ty)

    return lambda x, y: custom_jvp(forward, tangent)(x, y, k=2.0)


def test_a_tangent_that_is_given(dev):
    f, x, y = scaled_product(dev), dev(np.array([2.0, -1.0])), dev(np.array([1.0, 3.0]))
    gradcheck(f, x, y, order=3, forward=True)
    gx, gy = grad(lambda x, y: f(x, y).sum(), (0, 1))(x, y)
    np.testing.assert_allclose(host(gx), 2 * host(y) ** 3)
    np.testing.assert_allclose(host(gy), 6 * host(x) * host(y) ** 2)
    np.testing.assert_allclose(host(jvp(lambda x: f(x, y), (x,), (y,))[1]), 2 * host(y) ** 4)
    second = hvp(lambda y: f(x, y).sum(), (y,), (x,))
    np.testing.assert_allclose(host(second), 12 * host(x) ** 2 * host(y))
    assert f(x, 2.0).shape == (2,)


def test_a_tangent_of_a_number_and_of_integers(dev):
    f = custom_jvp(lambda x, k, n: k * x**2 + n, lambda tx, tn, x, k, n: 2 * k * x * tx)
    found = grad(lambda x: f(x, 3.0, dev(np.array([1, 2]))).sum())(dev(np.array([1.0, -2.0])))
    assert host(found).tolist() == [6, -12]


def test_what_is_no_tangent_is_refused(dev):
    x = dev(np.array([1.0, 2.0]))
    with pytest.raises(TypeError, match="custom_jvp: the tangent of double must be a Tensor, got int"):

        def double(x):
            return x * 2

        grad(lambda x: custom_jvp(double, lambda tx, x: 3)(x).sum())(x)
    with pytest.raises(ValueError, match=r"custom_jvp: the tangent of double must have shape \(2,\), got \(\)"):
        grad(lambda x: custom_jvp(double, lambda tx, x: tx.sum())(x).sum())(x)


def test_what_is_no_gradient_is_refused(dev):
    with pytest.raises(TypeError, match="double: vjp must return"):

        def double(x):
            return x * 2

        grad(lambda x: custom_vjp(double, lambda g, x: 3)(x).sum())(dev([1.0]))


def network(dev):
    cunet.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.GELU(), nn.Dropout(0.4), nn.Linear(6, 3))
    return model.astype(np.float64).to(device_of(dev(np.ones(1))))


@pytest.mark.parametrize("penalty", [False, True])
def test_checkpoint_changes_nothing(penalty, rng, dev):
    x = rng.standard_normal((7, 4))
    found = []
    for kept in (True, False):
        model = network(dev)
        leaf = Tensor(dev(x), requires_grad=True)

        def run(x, model=model, kept=kept):
            y = model(x) if kept else checkpoint(model, x)
            return (y**2).sum()

        if penalty:
            g = grad(run, create_graph=True)(leaf)
            ((g**2).sum() + F.dropout(g, 0.5).sum()).backward()
        else:
            (run(leaf) + F.dropout(leaf, 0.5).sum()).backward()
        state = [host(a) for a in model.state_dict().values()]
        found.append([host(leaf.grad), *[host(p.grad) for p in model.parameters()], *state])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_checkpoint_keeps_nothing_between(dev):
    seen = []

    def f(x):
        y = cunet.exp(x)
        seen.append(y)
        return y * y, y.data.shape[0] * x

    x = Tensor(dev(np.ones(3)), requires_grad=True)
    a, b = checkpoint(f, x)
    assert len(seen) == 1
    (a.sum() + b.sum()).backward()
    assert len(seen) == 2
    np.testing.assert_allclose(host(x.grad), 2 * np.e**2 + 3)


def test_checkpoint_of_checkpoints_and_without_gradients(dev):
    x = dev(np.array([0.3]))

    def deep(x):
        return checkpoint(lambda x: checkpoint(cunet.sin, cunet.sin(x)), x)

    expected = np.cos(np.sin(0.3)) * np.cos(0.3)
    np.testing.assert_allclose(host(grad(lambda x: deep(x).sum())(x)), expected)
    with cunet.no_grad():
        assert not checkpoint(cunet.sin, Tensor(x, requires_grad=True)).requires_grad
    assert not checkpoint(cunet.sin, Tensor(x)).requires_grad
    with pytest.raises(TypeError, match="checkpoint: the function must return a Tensor or a tuple of them, got "):
        checkpoint(lambda x: x.data, Tensor(x, requires_grad=True))
