"""Hessian-vector products of activations: value and tangent in one kernel, and one way back for both."""

import numpy as np
import pytest
from helpers import host, turn
from ops_helpers import along

import cunet
from cunet import F, grad, hvp, jvp
from cunet.autograd.duals import of_pair
from cunet.kernels import listening
from cunet.ops.activation.registry import ACTIVATIONS

X = np.array([-800.0, -90.0, -3.3, -1.0, -0.3, -0.0, 0.0, 0.2, 0.7, 2.5, 17.0, 90.0, 800.0])
PAIRS = [
    e.function for e in ACTIVATIONS.values() if isinstance(vars(e.function.__wrapped__).get("duals", (0,))[0], of_pair)
]


#: Of these the kernels are compiled: with numbers, with branches, with helpers, and of the output.
TEXTS = [F.tanh, F.relu, F.elu, F.gelu]


@pytest.fixture
def numpy_bodies():
    was = cunet.native.enabled()
    cunet.native.disable()
    yield
    if was:
        cunet.native.enable()


def weighted(activation, w):
    """Return a function in which the tangent of the second activation moves, and that of the first does not."""
    return lambda x: (activation(activation(x) * w) * w).sum()


def double(f, v):
    """Return the product by two ways back."""
    return grad(along(f, (v,)))


def kernels_of(run):
    called = []

    def listener(kernel, args, options, proceed):
        if not any(isinstance(a, cunet.Tensor) for a in args):
            called.append(kernel.name)
        return proceed()

    with listening(listener):
        run()
    return called


def test_there_are_pairs():
    assert len(PAIRS) > 15


def judge(activation, x, v, w, u):
    f, two = weighted(activation, w), double(weighted(activation, w), v)
    np.testing.assert_allclose(host(hvp(f, (x,), (v,))), host(two(x)), rtol=1e-11, atol=1e-13)
    third = host(grad(lambda x: (two(x) * u).sum())(x))
    again = host(grad(lambda x: (hvp(f, (x,), (v,)) * u).sum())(x))
    np.testing.assert_allclose(again, third, rtol=1e-10, atol=1e-12)
    forward = host(jvp(lambda x: hvp(f, (x,), (v,)), (x,), (u,))[1])
    np.testing.assert_allclose(forward, third, rtol=1e-10, atol=1e-12)


@pytest.mark.cpu_only
def test_of_every_activation_it_is_that_of_two_ways_back(rng, numpy_bodies):
    v, w, u = (rng.uniform(0.5, 1, X.shape) for _ in range(3))
    for activation in PAIRS:
        with turn(activation.__name__):
            judge(activation, X, v, w, u)


@pytest.mark.parametrize("activation", TEXTS)
def test_texts_do_as_bodies_do(activation, rng, dev):
    judge(activation, *(dev(a) for a in (X, *rng.uniform(0.5, 1, (3, X.size)))))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_dtypes_and_what_is_far_out(dtype, dev):
    """NaN stands only where that of two ways back has it."""
    most = np.finfo(dtype).max
    x = np.array([-np.inf, -most, -1e4, -2.0, 0.0, 0.5, 1e4, most, np.inf, np.nan]).astype(dtype)
    for activation in (F.tanh, F.elu):
        with turn(activation.__name__):
            x_, one = dev(x), dev(np.ones_like(x))
            f = weighted(activation, one)
            found, expected = host(hvp(f, (x_,), (one,))), host(double(f, one)(x_))
            assert found.dtype == dtype
            assert not (np.isnan(found) & ~np.isnan(expected)).any()
            close = dict(rtol=4e-3, atol=1e-3) if dtype == np.float16 else dict(rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(found[3:6].astype(float), expected[3:6].astype(float), **close)


@pytest.mark.parametrize("x", [np.zeros((0, 3)), np.array(2.0), np.arange(6.0)[::-2], np.array([1.0, 2.0], ">f8")])
def test_odd_arrays(x, dev):
    if x.dtype.byteorder == ">" and not isinstance(dev(np.ones(1)), np.ndarray):
        pytest.skip("no GPU has such arrays")
    found = hvp(lambda x: F.tanh(F.tanh(x)).sum(), (dev(x),), (dev(x),))
    t, s = np.tanh(x), np.tanh(np.tanh(x))
    slope, outer = 1 - t * t, 1 - s * s
    np.testing.assert_allclose(host(found), (-2 * s * outer * slope**2 - 2 * t * slope * outer) * x, rtol=1e-12)
    assert found.shape == x.shape


def test_how_many_kernels_that_takes(dev):
    """The first tangent is a direction, of which nobody wants the gradient: by the same kernel, without that."""
    x = dev(np.array([0.5, 1.0]))
    called = kernels_of(lambda: hvp(lambda x: cunet.square(F.tanh(F.relu(F.tanh(x)))).sum(), (x,), (x,)))
    names = ["tanh_forward_dual", "relu_forward_dual", "tanh_forward_dual"]
    assert [name for name in called if "forward" in name] == names + [f"{name}_backward" for name in names[::-1]]
    assert not any(name.startswith(("tanh", "relu")) and "forward" not in name for name in called)


def test_of_samples(rng, dev):
    x, v = (dev(rng.standard_normal((3, 4))) for _ in range(2))

    def f(x):
        return F.gelu(F.silu(x) * x).sum()

    rows = [host(hvp(f, (a,), (b,))) for a, b in zip(x, v, strict=True)]
    np.testing.assert_allclose(host(cunet.vmap(lambda x, v: hvp(f, (x,), (v,)))(x, v)), rows, rtol=1e-12)
    within = hvp(lambda x: cunet.vmap(f)(x).sum(), (x,), (v,))
    np.testing.assert_allclose(host(within), rows, rtol=1e-12)


def test_a_value_alone_and_a_tangent_alone_go_back(dev):
    """What is asked of `jvp` within: of the value, of the tangent, and of both."""
    x, v = dev(np.array([0.3, -0.8])), dev(np.array([1.0, 2.0]))
    t, s = np.tanh(host(x)), 1 - np.tanh(host(x)) ** 2

    def pick(a, b):
        def f(x):
            y, moved = jvp(F.tanh, (x,), (v,))
            return (a * y + b * moved).sum() if a and b else (y if a else moved).sum()

        return host(grad(f)(x))

    np.testing.assert_allclose(pick(1, 0), s, rtol=1e-12)
    np.testing.assert_allclose(pick(0, 1), -2 * t * s * host(v), rtol=1e-12)
    np.testing.assert_allclose(pick(3, 2), 3 * s - 4 * t * s * host(v), rtol=1e-12)
    moving = grad(lambda v: jvp(F.tanh, (x,), (v,))[1].sum())(v)
    np.testing.assert_allclose(host(moving), s, rtol=1e-12)
