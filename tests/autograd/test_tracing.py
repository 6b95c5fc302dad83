"""Derivatives of derivatives: nested transforms, and gradients that are differentiated with a model's."""

import sys

import ml_dtypes
import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Tensor, grad, nn, value_and_grad
from cunet.autograd import pulling, tracing
from cunet.kernels import elementwise


def derivative(f, n):
    """Return the nth derivative of an elementwise function, as a function of an array."""
    return f if n == 0 else lambda x: grad(lambda x: derivative(f, n - 1)(x).sum())(x)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_sine_and_its_derivatives(n, dev):
    x = np.array([-2.0, 0.0, 0.3, 1.5])
    expected = np.sin(x + n * np.pi / 2)
    np.testing.assert_allclose(host(derivative(cunet.sin, n)(dev(x))), expected, atol=1e-15)


def test_what_is_returned_where(dev):
    """Arrays to who asked from outside, Tensors to a function that is being differentiated."""
    seen = []

    def slope(x):
        seen.append(grad(lambda y: (y**3).sum())(x))
        return seen[0].sum()

    assert not isinstance(grad(slope)(dev([2.0])), Tensor)
    assert isinstance(seen[0], Tensor)
    value, gradient = value_and_grad(lambda y: (y**3).sum(), create_graph=True)(dev([2.0]))
    assert isinstance(value, Tensor) and isinstance(gradient, Tensor)


def test_perturbations_are_not_confused(dev):
    one, two, three = (dev(np.array(v)) for v in (1.0, 2.0, 3.0))
    assert host(grad(lambda x: x * grad(lambda y: x + y)(one))(two)) == 1
    assert host(grad(lambda x: x * grad(lambda y: x * y)(one))(two)) == 4
    assert host(grad(lambda x: grad(lambda y: x * y * y)(x))(three)) == 12


def test_what_does_not_depend_has_gradient_0(dev):
    x = dev([1.0, 2.0])
    assert host(grad(lambda x: grad(lambda y: (y * y).sum())(dev([3.0])).sum() + 0 * x.sum())(x)).tolist() == [0, 0]
    assert host(grad(lambda x: grad(lambda y: Tensor(dev([1.0])).sum())(x).sum())(x)).tolist() == [0, 0]


def test_by_name_in_trees_and_by_several(dev):
    def energy(p, scale):
        return (p["a"] ** 2 * p["b"][0]).sum() * scale

    def length(p):
        g, s = grad(energy, ("p", "scale"))(p, scale=dev(np.array(2.0)))
        return (g["a"] ** 2).sum() + (g["b"][0] * s).sum()

    p = {"a": dev(np.array([1.0, 2.0])), "b": [dev(np.array([3.0, 4.0]))]}
    found = grad(length)(p)
    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    s = (a * a * b).sum()  # g["a"] = 4 a b, g["b"] = 2 a a
    expected = 32 * a * b * b + 4 * a * s + (2 * a * a).sum() * 2 * a * b
    np.testing.assert_allclose(host(found["a"]), expected)
    np.testing.assert_allclose(host(found["b"][0]), 32 * a * a * b + (2 * a * a).sum() * a * a)


def test_no_grad_within_makes_a_constant(dev):
    def f(x):
        with cunet.no_grad():
            g = grad(lambda y: (y**3).sum())(x)
        return (x * g).sum()

    assert host(grad(f)(dev([2.0]))).tolist() == [12]


@pytest.mark.parametrize("f", [cunet.sqrt, cunet.log, lambda x: 1 / x, lambda x: x**0.5])
def test_a_branch_that_is_not_taken_stays_silent(f, dev):
    """Infinite slopes behind `where`: 0 times infinity would be NaN."""
    x = dev(np.array([0.0, 4.0]))
    safe = derivative(lambda x: cunet.where(x.data > 0, f(x), 0.0), 2)
    expected = {0: 0.0}
    assert np.isfinite(host(safe(x))).all()
    assert host(safe(x))[0] == expected[0]


def test_where_the_gradient_is_0_the_second_derivative_is_not(dev):
    """At the minimum of ``(exp(x) - 1)**2`` nothing arrives at exp: its slope is needed all the same."""
    x = dev(np.array([0.0]))
    assert host(derivative(lambda x: (cunet.exp(x) - 1) ** 2, 2)(x)).tolist() == [2]
    assert host(derivative(lambda x: cunet.log(x + 1) ** 2, 2)(x)).tolist() == [2]
    assert host(derivative(lambda x: cunet.tanh(x) ** 2, 2)(x)).tolist() == [2]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("n", [2, 3])
def test_half_types_keep_their_dtype(n, dtype, dev):
    x = dev(np.array([0.5, -1.0], dtype))
    found = derivative(F.gelu, n)(x)
    assert found.dtype == dtype
    exact = derivative(F.gelu, n)(dev(np.array([0.5, -1.0])))
    np.testing.assert_allclose(host(found).astype(float), host(exact), rtol=4 * float(ml_dtypes.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_hessians_of_half_types(dtype, dev):
    """Through products, sums, a norm and a loss, which add up in float32."""
    w = dev(np.linspace(-1, 1, 12).reshape(3, 4).astype(dtype))

    def loss(x):
        products = [h @ w.astype(x.dtype) for h in (x, F.layer_norm(x, 3))]
        return F.cross_entropy(F.silu(products[0]), dev(np.array([1, 3]))) + F.silu(products[1]).sum()

    x = np.array([[0.5, -1.0, 2.0], [1.0, 0.25, -0.5]])
    found, exact = (cunet.hessian(loss)(dev(x.astype(kind))) for kind in (dtype, np.float64))
    assert found.dtype == dtype
    top = np.abs(host(exact)).max()
    np.testing.assert_allclose(host(found).astype(float), host(exact), atol=8 * top * float(ml_dtypes.finfo(dtype).eps))


@pytest.mark.parametrize("x", [np.zeros((0, 3)), np.array(2.0), np.arange(6.0)[::-2], np.array([1.0, 2.0], ">f8")])
def test_odd_arrays(x, dev):
    if x.dtype.byteorder == ">" and not isinstance(dev(np.ones(1)), np.ndarray):
        pytest.skip("no GPU has such arrays")
    found = host(derivative(lambda x: F.softplus(x) * x, 2)(dev(x)))
    s = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(found, 2 * s + x * s * (1 - s), rtol=1e-12)


def test_create_graph_leaves_tensors(dev):
    x = Tensor(dev(np.array([1.0, 2.0])), requires_grad=True)
    with cunet.create_graph():
        loss = (x**3).sum()
    loss.backward(create_graph=True)
    loss.backward(create_graph=True)  # nothing was freed, and gradients add up
    assert isinstance(x.grad, Tensor)
    g, x.grad = x.grad / 2, None
    np.testing.assert_allclose(host(g), [3, 12])
    (g**2).sum().backward()
    np.testing.assert_allclose(host(x.grad), [36, 288])
    assert not isinstance(x.grad, Tensor)
    loss.backward()  # the ordinary way: arrays add up to arrays
    np.testing.assert_allclose(host(x.grad), [39, 300])


def test_create_graph_takes_a_gradient_and_leaves_those_of_intermediate_results(dev):
    x, w = (Tensor(dev(np.array(v)), requires_grad=True) for v in ([1.0, 2.0], [3.0, 4.0]))
    with cunet.create_graph(order=2):
        y = (x * x).retain_grad()
        z = y * y
        z.backward(w, create_graph=True)
    np.testing.assert_allclose(host(y.grad), 2 * np.array([3.0, 16.0]))
    g, x.grad = x.grad, None
    with cunet.create_graph():
        total = g.sum()
    total.backward(create_graph=True)  # g = 4 w x**3
    np.testing.assert_allclose(host(w.grad), [4, 32])
    np.testing.assert_allclose(host(x.grad), [36, 192])
    x.grad.sum().backward()
    np.testing.assert_allclose(host(w.grad), [4 + 12, 32 + 48])


def test_what_was_not_recorded_for_it_is_refused_by_name(dev):
    x = Tensor(dev(np.array([1.0, 2.0])), requires_grad=True)
    with pytest.raises(RuntimeError, match="the gradient of 'sum' cannot be differentiated.*cunet.create_graph"):
        (x * x).sum().backward(create_graph=True)
    assert x.grad is None
    with pytest.raises(ValueError, match="create_graph: order must be at least 1, got 0"), cunet.create_graph(0):
        pass


def test_a_freed_graph_is_refused(dev):
    x = Tensor(dev(np.array([1.0, 2.0])), requires_grad=True)
    with cunet.create_graph():
        y = x * x
        loss = y.sum()
    y.sum().backward()
    with pytest.raises(RuntimeError, match="the graph behind 'multiply' was freed"):
        loss.backward(create_graph=True)


def test_a_change_in_place_is_refused(dev):
    x = Tensor(dev(np.array([1.0, 2.0])), requires_grad=True)
    with cunet.create_graph():
        loss = (x * x).sum()
    x.mark_modified()
    with pytest.raises(RuntimeError, match="was modified in place after 'multiply' used it"):
        loss.backward(create_graph=True)


def test_a_users_op_is_differentiated_as_it_is_written(dev):
    @cunet.op
    def cube(x):
        return x * x * x, lambda gy: (3 * gy * x**2,)

    np.testing.assert_allclose(host(derivative(cube, 3)(dev(np.array([2.0])))), 6)


@elementwise("T x", "T y", "y = x * x * x")
def cube_forward(x):
    return x * x * x


@elementwise("T gy, T x", "T gx", "gx = 3 * gy * x * x")
def cube_backward(gy, x):
    return 3 * gy * x * x


def test_a_users_kernels_are_differentiated_by_their_texts(dev):
    @cunet.op
    def cube(x):
        return cube_forward(x), lambda gy: (cube_backward(gy, x),)

    np.testing.assert_allclose(host(derivative(cube, 3)(dev(np.array([2.0, -1.0])))), 6)


def test_a_users_op_that_cannot_is_refused_by_name(dev):
    @cunet.op
    def odd(x):
        return x * x, lambda gy: (gy * (x + x).view(),)

    with pytest.raises(
        TypeError, match="odd: its gradient cannot be differentiated, as it does not run on Tensors .*view"
    ):
        derivative(odd, 2)(dev(np.array([2.0])))

    @cunet.op
    def odder(x):
        return x * x * x.itemsize, lambda gy: (gy * x,)

    with pytest.raises(TypeError, match="odder: its gradient cannot be differentiated, as it does not run on Tensors"):
        derivative(odder, 2)(dev(np.array([2.0])))


def test_what_is_wrong_with_arguments_is_said_as_ever(dev):
    with pytest.raises(ValueError, match="matmul: inner lengths must be equal"):
        derivative(lambda x: x @ x[:1], 2)(dev(np.ones(2)))
    with pytest.raises(ValueError, match="batch_norm: training needs more than one value per channel"):
        derivative(lambda x: F.batch_norm(x, None, None, training=True), 2)(dev(np.ones((1, 3))))


def test_an_array_written_into_does_not_lose_a_derivative(dev):
    @cunet.op
    def selected(x):
        def vjp(gy):
            gx = cunet.device.array_module(x).zeros(x.shape)
            gx[1:] = gy * x[1:]
            return (gx,)

        return x[1:] ** 2 / 2, vjp

    with pytest.raises(TypeError):
        derivative(selected, 2)(dev(np.ones(3)))


def test_first_order_never_comes_here(dev):
    """A step runs no line of what second derivatives need."""
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Linear(8, 3)).to(
        cunet.device.device_of(dev(np.ones(1)))
    )
    files, seen = {module.__file__ for module in (tracing, pulling)}, set()

    def watch(frame, event, _):
        if event == "call":
            seen.add(frame.f_code.co_filename)

    x, before = Tensor(dev(np.ones((5, 4), np.float32) * np.arange(5, dtype=np.float32)[:, None])), sys.getprofile()
    sys.setprofile(watch)
    try:
        F.cross_entropy(model(x), dev(np.zeros(5, np.int64))).backward()
    finally:
        sys.setprofile(before)
    assert seen and not seen & files
