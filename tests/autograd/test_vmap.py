"""vmap: axes, nesting, gradients of samples, and what is refused."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Tensor, differentiable, grad, hessian, hvp, jacobian, jvp, nn, value_and_grad, vmap
from cunet.kernels import listening


def loop(f, *xs):
    """Return the results for each row of all arrays, stacked."""
    return np.stack([host(f(*[Tensor(x[k]) for x in xs])) for k in range(len(xs[0]))])


def close(found, expected, tolerance=1e-12):
    assert host(found).shape == host(expected).shape
    np.testing.assert_allclose(host(found), host(expected), rtol=tolerance, atol=tolerance)


def net(p, x):
    """Return what a perceptron makes of one sample, a vector."""
    return F.linear(F.gelu(F.linear(x, p["w"], p["b"])), p["v"])


def weights(rng, dev):
    return {name: dev(rng.standard_normal(shape) / 2) for name, shape in (("w", (6, 4)), ("b", (6,)), ("v", (3, 6)))}


def test_axes_in_and_out(rng, dev):
    x, y = rng.standard_normal((4, 3, 2)), rng.standard_normal((2, 5, 3))

    def f(x, y):
        assert x.shape == (4, 2) and y.shape == (2, 5)
        return x @ y, y.sum()

    full, total = vmap(f, (1, -1), (2, 0))(dev(x), dev(y))
    close(full, np.einsum("ikj,jlk->ilk", x, y))
    close(total, y.sum(axis=(0, 1)))
    assert isinstance(full, Tensor)
    moved = vmap(lambda x: x, 0, -1)(dev(x))
    close(moved, np.moveaxis(x, 0, -1))


def test_trees_and_arguments_that_are_the_same_for_all(rng, dev):
    p, x = weights(rng, dev), dev(rng.standard_normal((5, 4)))
    expected = np.stack([host(net(p, x[k])) for k in range(5)])
    close(vmap(lambda a: net(a["p"], a["x"]), ({"p": None, "x": 0},))({"p": p, "x": x}), expected)
    close(vmap(net, (None, 0))(p, x), expected)
    close(vmap(lambda x, scale: net(p, x) * scale, 0)(x, scale=dev(np.array(2.0)))[0], 2 * expected[0])
    out = vmap(lambda x: {"a": [x, x.sum()], "b": (cunet.tensor([1.0, 2.0]),)})(x)
    assert out["a"][0].shape == (5, 4) and out["a"][1].shape == (5,)
    assert host(out["b"][0]).tolist() == [[1, 2]] * 5
    ones = cunet.tensor([1.0])
    assert vmap(lambda x: (x, ones), 0, (0, None))(x)[1] is ones


def test_within_each_other(rng, dev):
    x, y = dev(rng.standard_normal((3, 4))), dev(rng.standard_normal((5, 4)))
    close(vmap(lambda a: vmap(lambda b: a @ b)(y))(x), host(x) @ host(y).T)
    close(vmap(vmap(cunet.sin))(x), np.sin(host(x)))
    close(vmap(vmap(lambda a, b: a + b, (0, None)), (None, 0))(x[0], y[:, 0]), host(x)[0] + host(y)[:, :1])
    picked = vmap(lambda a, k: vmap(lambda v: a[k] * v)(y[:, 0]))(x, dev(np.array([1, 0, 3])))
    close(picked, host(x)[[0, 1, 2], [1, 0, 3]][:, None] * host(y)[:, 0])
    sums = vmap(lambda a: vmap(grad(lambda b: (cunet.sin(b) * a).sum()))(y))(x)
    close(sums, np.cos(host(y)) * host(x)[:, None])


@pytest.mark.parametrize("order", [1, 2])
def test_gradients_of_samples_of_a_perceptron(order, rng, dev):
    p, x, t = weights(rng, dev), dev(rng.standard_normal((5, 4))), dev(np.array([0, 2, 1, 1, 0]))

    def loss(p, x, t):
        if order == 1:
            return F.cross_entropy(net(p, x), t)
        g = grad(lambda p: F.cross_entropy(net(p, x), t))(p)
        return sum((v * v).sum() for v in g.values())

    found = vmap(grad(loss), (None, 0, 0))(p, x, t)
    value, again = vmap(value_and_grad(loss), (None, 0, 0))(p, x, t)
    assert type(found["w"]) is type(x) and found["w"].shape == (5, 6, 4)
    for k in range(5):
        one = grad(loss)(p, x[k], t[k])
        for name in p:
            close(found[name][k], one[name], 1e-10)
            close(again[name][k], one[name], 1e-10)
        close(value[k], loss({n: Tensor(a) for n, a in p.items()}, x[k], t[k]), 1e-10)


@pytest.mark.parametrize("order", [1, 2])
def test_gradients_of_samples_of_a_convolutional_net(order, rng, dev):
    p = {"c": (4, 2, 3, 3), "b": (4,), "g": (4,), "d": (3, 4, 2, 2), "v": (2, 12)}
    p = {name: dev(rng.standard_normal(shape) / 2) for name, shape in p.items()}
    x, t = dev(rng.standard_normal((3, 2, 6, 6))), dev(np.array([0, 1, 1]))

    def loss(p, x, t):
        h = F.silu(F.group_norm(F.conv2d(x[None], p["c"], p["b"], padding=1), 2, p["g"]))
        h = F.max_pool2d(F.conv2d(F.avg_pool2d(h, 2), p["d"]), 1)
        return F.cross_entropy(F.linear(h.reshape(-1), p["v"]), t)

    def one(p, x, t):
        g = grad(loss)(p, x, t)
        return sum((v * v).sum() for v in g.values())

    f = grad(loss if order == 1 else one)
    found = vmap(f, (None, 0, 0))(p, x, t)
    for k in range(3):
        for name, g in f(p, x[k], t[k]).items():
            close(found[name][k], g, 1e-10)


def test_around_and_within_other_transforms(rng, dev):
    x, v = dev(rng.standard_normal((3, 4))), dev(rng.standard_normal((3, 4)))

    def f(x):
        return cunet.tanh(x) * x.sum()

    def g(x):
        return (f(x) ** 2).sum()

    close(vmap(jacobian(f))(x), np.stack([host(jacobian(f)(a)) for a in x]))
    close(vmap(jacobian(lambda x: f(x)[:2]))(x), np.stack([host(jacobian(f)(a))[:2] for a in x]))
    close(vmap(jacobian(lambda s: cunet.sin(s * x[0])))(x[:, 0]), loop(lambda s: cunet.cos(s * x[0]) * x[0], x[:, 0]))
    close(vmap(hessian(g))(x), np.stack([host(hessian(g)(a)) for a in x]))
    whole = host(jacobian(vmap(f))(x))
    assert whole.shape == (3, 4, 3, 4) and not whole[0, :, 1].any()
    close(whole[1, :, 1], jacobian(f)(x[1]))
    close(vmap(lambda x, v: jvp(f, (x,), (v,))[1])(x, v), jvp(vmap(f), (x,), (v,))[1])
    products = [host(hvp(g, (a,), (b,))) for a, b in zip(x, v, strict=True)]
    close(vmap(lambda x, v: hvp(g, (x,), (v,)))(x, v), np.stack(products))
    close(vmap(lambda x, v: cunet.vjp(f, x)[1](v))(x, v), cunet.vjp(vmap(f), x)[1](v))
    close(vmap(lambda x, v: cunet.linearize(f, x)[1](v))(x, v), jvp(vmap(f), (x,), (v,))[1])
    close(grad(lambda x: vmap(lambda a: grad(g)(a).sum())(x).sum())(x), vmap(lambda a: hessian(g)(a).sum(axis=0))(x))


def test_a_model_and_its_parameters(rng, dev, device):
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)).to(device)
    x = dev(rng.standard_normal((5, 2, 4, 4)).astype(np.float32))
    with model.evaluating():
        y = vmap(lambda x: model(x[None])[0])(x)
        close(y, model(x), 1e-5)
        y.sum().backward()
        slopes = vmap(grad(lambda x: model(x[None])[0, 1]))(x)
    assert model[0].weight.grad.shape == (3, 2, 3, 3) and slopes.shape == x.shape
    with pytest.raises(TypeError, match=r"vmap: .* asks for the values of a sample"):
        vmap(lambda x: model(x[None])[0])(x)  # running statistics would differ by sample


def test_layers_with_samples_of_their_own(rng, dev, device):
    """Their parameters are the same for all: what they make is what they make of the whole batch."""
    x = rng.standard_normal((5, 6, 4)).astype(np.float32)
    lstm = nn.LSTM(4, 3, batch_first=True, bidirectional=True).to(device)
    encoder = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True).to(device)
    close(vmap(lambda x: lstm(x)[0])(dev(x)), lstm(dev(x))[0], 1e-5)
    lengths = vmap(lambda x: lstm(x[None], lengths=[4])[0][0])(dev(x))
    close(lengths, lstm(dev(x), lengths=[4] * 5)[0], 1e-5)
    for layer in (encoder, nn.PositionalEncoding(4, 0.0, batch_first=True).to(device)):
        close(vmap(lambda x, layer=layer: layer(x[None])[0])(dev(x)), layer(dev(x)), 1e-5)
    slopes = vmap(grad(lambda x: encoder(x[None]).sum()))(dev(x))
    close(slopes, grad(lambda x: encoder(x).sum())(dev(x)), 1e-5)
    labels = dev(np.array([1, 0, 2]))
    close(vmap(lambda k: F.one_hot(k, 3))(labels), F.one_hot(labels, 3))
    table = nn.Embedding(3, 2).to(device)
    close(vmap(table)(labels), table(labels))


def test_what_differs_by_sample_is_chosen_by_where(rng, dev):
    x, t = dev(rng.standard_normal((4, 3))), dev(np.array([0.1, -0.2, 0.3, 0.0]))

    def f(x, t):
        return cunet.where((x > t) & (x < 1) | (x >= 2.0) | ~(x >= -1), x, np.sin(x) + cunet.isnan(x))

    a, b = host(x), host(t)[:, None]
    close(vmap(f)(x, t), np.where((a > b) & (a < 1) | (a >= 2) | (a < -1), a, np.sin(a)))
    assert host(vmap(lambda x: x.argmax())(x)).tolist() == a.argmax(axis=1).tolist()
    assert host(vmap(lambda x: x == x.max())(x)).tolist() == (a == a.max(axis=1, keepdims=True)).tolist()
    close(vmap(lambda x: cunet.topk(x, 2)[0] + cunet.sort(x)[:2])(x), -np.sort(-a)[:, :2] + np.sort(a)[:, :2])
    close(vmap(lambda x: np.clip(x, -0.5, 0.5) + np.maximum(x, t[0]))(x), a.clip(-0.5, 0.5) + np.maximum(a, b[0]))


def test_a_kernel_of_ones_own(rng, dev):
    x, k = dev(rng.standard_normal((4, 3))), dev(rng.standard_normal(4))
    bell = differentiable("T x, T k", "T y", "y = exp(-k * x * x)", name="vmap_bell")
    close(vmap(lambda x, k: bell(x, k))(x, k), np.exp(-host(k)[:, None] * host(x) ** 2))
    close(vmap(grad(lambda x, k: bell(x, k).sum()))(x, k), grad(lambda x: bell(x, k[:, None]).sum())(x))


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (2, 0)])
def test_no_samples_one_and_empty_ones(shape, dev):
    x = dev(np.ones(shape))
    assert vmap(lambda x: cunet.exp(x).sum())(x).shape == shape[:1]
    assert vmap(grad(lambda x: (x * x).sum()))(x).shape == shape
    assert vmap(lambda x: x.reshape(-1, 1) @ x[None])(x).shape == (shape[0], shape[1], shape[1])
    assert vmap(lambda x: F.conv1d(x[None], dev(np.ones((2, 1, 1)))))(dev(np.ones((shape[0], 3)))).shape[0] == shape[0]
    w = dev(np.ones((2, 1, 1)))
    g = vmap(grad(lambda w, x: F.conv1d(x[None], w).sum()), (None, 0))(w, dev(np.ones((shape[0], 3))))
    assert g.shape == (shape[0], 2, 1, 1)


@pytest.mark.parametrize("x", [np.arange(24.0).reshape(4, 6)[::-2, ::3], np.arange(6.0).reshape(3, 2).astype(">f8")])
def test_odd_arrays(x, dev):
    if x.dtype.byteorder == ">" and not isinstance(dev(np.ones(1)), np.ndarray):
        pytest.skip("no GPU has such arrays")
    f = grad(lambda x: (F.softplus(x) * x[0]).sum())
    close(vmap(f)(dev(x)), np.stack([host(f(dev(a))) for a in x]))
    close(vmap(cunet.sin, 1, 1)(dev(x)), np.sin(x))


def test_float16_keeps_its_dtype(dev):
    x = dev(np.array([[1.0, 2.0], [3.0, 4.0]], np.float16))
    y = vmap(lambda x: x.mean() * 2)(x)
    assert y.dtype == np.float16 and host(y).tolist() == [3, 7]
    assert vmap(grad(lambda x: (x * x).sum()))(x).dtype == np.float16


def test_no_loop_is_run(rng, dev):
    """As many kernels for 50 samples as for 2."""

    def count(n):
        x, calls = dev(rng.standard_normal((n, 4))), []

        def listener(kernel, args, options, proceed):
            calls.append(kernel.name)
            return proceed()

        with listening(listener):
            vmap(grad(net_loss), (None, 0))(p, x)
        return len(calls)

    p = weights(rng, dev)

    def net_loss(p, x):
        return (net(p, x) ** 2).sum()

    assert count(50) == count(2) > 0


@pytest.mark.cpu_only
def test_a_sample_is_of_no_use_afterwards():
    kept = []
    vmap(lambda x: kept.append(x) or x)(np.ones((3, 2)))
    with pytest.raises(RuntimeError, match="sample of a vmap that is over"):
        kept[0] + 1
    assert repr(kept[0]) == "Mapped(shape=(2,), dtype=float64, samples=3)"
    assert len(kept[0]) == 2 and kept[0].size == 2 and kept[0].device == "cpu"
