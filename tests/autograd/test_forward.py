"""Forward mode: of every op, against gradients; nested; and what it costs."""

import itertools
import tracemalloc

import numpy as np
import pytest
from helpers import host
from ops_helpers import TABLE, along, draw, every_op, number_of, run, which

import cunet
from cunet import F, Tensor, grad, jvp, nn
from cunet import device as backend

#: Ops of each kind of rule, which are differentiated twice in each way.
KINDS = """
multiply divide power where matmul linear conv2d layer_norm cross_entropy softmax lstm_layer max_pool2d getitem sum var
max prod cumsum gelu rfft interpolate dropout scaled_dot_product_attention sort det solve concatenate split
"""


def dot(xs, ys):
    """Return the sum of products, and that of their sizes."""
    products = [(host(x) * host(y)).astype(np.float64) for x, y in zip(xs, ys, strict=True)]
    return sum(p.sum() for p in products), sum(np.abs(p).sum() for p in products)


@every_op
def test_forward_is_the_transpose_of_backward(case, rng, dev):
    arrays = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, np.float64)]
    wanted = which(case, arrays)
    xs = [arrays[i] for i in wanted]

    def f(*xs):
        full = list(arrays)
        for i, x in zip(wanted, xs, strict=True):
            full[i] = x
        return [y for y in run(case, full) if backend.is_floating(y.dtype)]

    directions = [dev(rng.standard_normal(x.shape)) for x in xs]
    values, slopes = jvp(f, tuple(xs), tuple(directions))
    weights = [dev(rng.standard_normal(y.shape)) for y in values]
    gradients = cunet.vjp(f, *xs)[1](weights)
    found, _ = dot(weights, slopes)
    expected, size = dot(directions, gradients if len(xs) > 1 else [gradients])
    for y, plain, t in zip(f(*map(Tensor, xs)), values, slopes, strict=True):
        np.testing.assert_array_equal(host(plain), host(y.data))
        assert t.shape == y.shape and t.dtype == y.dtype
    assert abs(found - expected) <= 1e-10 * max(size, 1e-2)


@pytest.mark.parametrize("name", KINDS.split())
def test_over_reverse_and_under_it(name, rng, dev):
    case = next(case for case in TABLE if getattr(case.op, "__name__", "") == name)
    arrays = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, np.float64)]
    f, xs = number_of(case, arrays, rng, dev)
    directions, argnums = tuple(dev(rng.standard_normal(x.shape)) for x in xs), tuple(range(len(xs)))
    _, over = jvp(lambda *xs: grad(f, argnums)(*xs), tuple(xs), directions)
    under = grad(lambda *xs: jvp(f, xs, directions)[1], argnums)(*xs)
    double = grad(along(f, directions), argnums)(*xs)
    for a, b, c in zip(over, under, double, strict=True):
        size = np.abs(host(c)).max(initial=1e-2)
        np.testing.assert_allclose(host(a), host(c), rtol=0, atol=1e-9 * size)
        np.testing.assert_allclose(host(b), host(c), rtol=0, atol=1e-9 * size)


def slope(f, x):
    data = x.data if isinstance(x, Tensor) else x
    return jvp(f, (x,), (backend.array_module(data).ones_like(data),))[1]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_forward_within_forward(n, dev):
    def derivative(f, n):
        return f if n == 0 else lambda x: slope(derivative(f, n - 1), x)

    x = np.array([-2.0, 0.0, 0.3, 1.5])
    np.testing.assert_allclose(host(derivative(cunet.sin, n)(dev(x))), np.sin(x + n * np.pi / 2), atol=1e-15)


def test_perturbations_are_not_confused(dev):
    one, two = dev(np.array(1.0)), dev(np.array(2.0))
    assert host(slope(lambda x: x * slope(lambda y: x + y, one), two)) == 1
    assert host(slope(lambda x: x * grad(lambda y: x * y)(one), two)) == 4
    assert host(grad(lambda x: x * slope(lambda y: x * y, one))(two)) == 4
    assert host(slope(lambda x: x * cunet.no_grad()(lambda: x * x)(), two)) == 4


def derived(f, mode, count):
    """Return the derivative of a function of a list of arrays in either mode, and of how many it is one."""
    if mode == "forward":
        return lambda xs: jvp(lambda *a: f(a), tuple(xs[:count]), tuple(xs[count:]))[1], 2 * count

    def pulled(xs):
        return [*cunet.vjp(lambda *a: f(a), *xs[:count])[1](list(xs[count:]))]

    return pulled, count


@pytest.mark.parametrize("modes", list(itertools.product(("forward", "reverse"), repeat=3)), ids="-".join)
def test_modes_within_each_other(modes, rng, dev):
    """What moves are arguments, tangents and cotangents of those within, all of them."""

    def f(xs):
        return [cunet.sin(xs[0]) * xs[1]]

    outer, count = f, 2
    for mode in modes[:2]:
        within, results = outer, len(outer([dev(rng.standard_normal(3)) for _ in range(count)]))
        outer, count = derived(within, mode, count)
        count += 0 if mode == "forward" else results
    xs, vs = ([dev(rng.standard_normal(3)) for _ in range(count)] for _ in range(2))
    values = [[x + step * v for x, v in zip(xs, vs, strict=True)] for step in (1e-5, -1e-5)]
    slopes = [(host(a) - host(b)) / 2e-5 for a, b in zip(*map(outer, values), strict=True)]
    last, _ = derived(outer, modes[2], count)
    if modes[2] == "forward":
        for t, expected in zip(last([*xs, *vs]), slopes, strict=True):
            np.testing.assert_allclose(host(t), expected, rtol=1e-7, atol=1e-8)
        return
    weights = [dev(rng.standard_normal(3)) for _ in slopes]
    found = sum(float((host(g) * host(v)).sum()) for g, v in zip(last([*xs, *weights]), vs, strict=True))
    assert found == pytest.approx(sum((s * host(w)).sum() for s, w in zip(slopes, weights, strict=True)), rel=1e-7)


def test_values_of_gradients_within_move(dev):
    """What `value_and_grad` returns has tangents too, its value and its gradient."""

    def f(x):
        value, g = cunet.value_and_grad(lambda x: (x**3).sum())(x)
        return value * g

    x = dev(np.array([2.0]))
    assert host(slope(f, x)).tolist() == [12 * 12 + 8 * 12]


@pytest.mark.parametrize("f", [F.relu, cunet.abs, lambda x: cunet.maximum(x, 0.0), cunet.sqrt, F.hardtanh])
def test_corners_and_infinite_slopes_are_those_of_gradients(f, dev):
    x = dev(np.array([0.0, -0.0, 1.0, -1.0, 4.0]))
    np.testing.assert_array_equal(host(slope(f, x)), host(grad(lambda x: f(x).sum())(x)))
    assert host(jvp(f, (x,), (0 * x,))[1])[0] == 0


@pytest.mark.parametrize("x", [np.zeros((0, 3)), np.array(2.0), np.arange(6.0)[::-2], np.array([1.0, 2.0], ">f8")])
def test_odd_arrays(x, dev):
    if x.dtype.byteorder == ">" and not isinstance(dev(np.ones(1)), np.ndarray):
        pytest.skip("no GPU has such arrays")
    _, found = jvp(lambda x: F.softplus(x) * x + x.prod(), (dev(x),), (dev(x),))
    s = 1 / (1 + np.exp(-x))
    expected = (np.logaddexp(0, x) + x * s) * x + x.size * x.prod()
    np.testing.assert_allclose(host(found), expected, rtol=1e-12)


def test_of_a_number_arrays_come(dev):
    x = dev(np.array(0.5))
    for f in (cunet.exp, cunet.sin, cunet.tanh, lambda x: x * x, lambda x: x.sum(), lambda x: 2.0 - x):
        y, t = jvp(f, (x,), (x,))
        assert type(y) is type(t) is type(x)
        assert y.shape == t.shape == ()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_dtypes_are_kept(dtype, dev):
    x = dev(np.array([0.5, -1.0], dtype))
    y, t = jvp(lambda x: F.gelu(x) * x / 3, (x,), (x,))
    assert y.dtype == t.dtype == dtype
    exact = jvp(lambda x: F.gelu(x) * x / 3, (dev(np.array([0.5, -1.0])),), (dev(np.array([0.5, -1.0])),))[1]
    np.testing.assert_allclose(host(t).astype(float), host(exact), rtol=4e-3 if dtype == np.float16 else 1e-6)


def test_a_model_with_parameters_buffers_and_checkpoints(rng, dev, device):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).to(device)
    x, v = (dev(rng.standard_normal((5, 3)).astype(np.float32)) for _ in range(2))
    _, plain = jvp(model, (x,), (v,))
    _, again = jvp(lambda x: cunet.checkpoint(model, x), (x,), (v,))
    h = 1e-2
    near = (host(model(x + h * v).data) - host(model(x - h * v).data)) / (2 * h)
    np.testing.assert_allclose(host(plain), near, atol=2e-3)
    np.testing.assert_array_equal(host(plain), host(again))
    assert all(p.grad is None for p in model.parameters())


def test_backward_within_forward_is_refused(dev):
    def f(x):
        (x * x).sum().backward()
        return x

    with pytest.raises(RuntimeError, match="differentiated forward has no way back; use cunet.grad there"):
        jvp(f, (dev(np.ones(2)),), (dev(np.ones(2)),))


def test_an_op_whose_gradient_cannot_be_differentiated_is_named(dev):
    @cunet.op
    def looks(x):
        return x * 2, lambda gy: (gy + 0 * gy.tobytes()[0],)

    with pytest.raises(TypeError, match="looks: its gradient cannot be differentiated"):
        jvp(looks, (dev(np.ones(2)),), (dev(np.ones(2)),))


def chain(x):
    for _ in range(20):
        x = cunet.tanh(cunet.exp(x) * x)
    return x


@pytest.mark.cpu_only
def test_nothing_is_kept_on_the_way():
    x = np.zeros(20_000)
    jvp(chain, (x,), (x,))
    tracemalloc.start()
    jvp(chain, (x,), (x,))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * x.nbytes  # of 40 results, and as many slopes
