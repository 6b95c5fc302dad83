"""Gradients of functions of gradients, of nets, against PyTorch's double backward."""

import numpy as np
import pytest
from helpers import host
from torch_helpers import assert_same_gradients, in_torch

import cunet
from cunet import F, Tensor, grad, nn

torch = pytest.importorskip("torch")
tnn = torch.nn


def flat(*layers):
    return lambda m: m.Sequential(*[layer(m) for layer in layers])


def dense(a, b):
    return lambda m: m.Linear(a, b)


def conv(a, b, **options):
    return lambda m: m.Conv2d(a, b, 3, **options)


def layer(name, *args, **options):
    return lambda m: getattr(m, name)(*args, **options)


IMAGE, ROWS = (3, 2, 8, 8), (5, 6)
NETS = {
    **{
        f"mlp {name}": (ROWS, flat(dense(6, 8), layer(name), dense(8, 8), layer(name), dense(8, 3)))
        for name in ("Tanh", "GELU", "SiLU", "Softplus", "ELU", "Mish", "Sigmoid", "Softsign", "LogSigmoid", "SELU")
    },
    "layer norm": (ROWS, flat(dense(6, 8), layer("LayerNorm", 8), layer("GELU"), dense(8, 3))),
    "batch norm": (ROWS, flat(dense(6, 8), layer("BatchNorm1d", 8), layer("Tanh"), dense(8, 3))),
    "critic": (
        IMAGE,
        flat(
            conv(2, 4, stride=2, padding=1),
            layer("LeakyReLU", 0.2),
            layer("InstanceNorm2d", 4),
            conv(4, 4, padding=1, groups=2),
            layer("SiLU"),
            layer("AvgPool2d", 2),
            layer("Flatten"),
            dense(16, 1),
        ),
    ),
    "conv, batch norm, max pool": (
        IMAGE,
        flat(conv(2, 3), layer("BatchNorm2d", 3), layer("Tanh"), layer("MaxPool2d", 2), layer("Flatten"), dense(27, 3)),
    ),
    "transposed, group norm": (
        IMAGE,
        flat(layer("ConvTranspose2d", 2, 4, 3, stride=2), layer("GroupNorm", 2, 4), layer("GELU"), layer("Flatten")),
    ),
    "glu, softmax": (ROWS, flat(dense(6, 8), layer("GLU"), layer("Softmax", 1))),
    "bilinear, prelu": (ROWS, flat(dense(6, 8), layer("PReLU"), dense(8, 4), layer("LogSoftmax", 1))),
}


@pytest.mark.parametrize("name", NETS)
def test_gradient_penalty(name, rng, dev):
    """By all parameters: of the squared gradient of an output by the input, next to the output itself."""
    shape, make = NETS[name]
    model, theirs = make(nn), make(tnn)
    model = model.astype(np.float64).to(cunet.device.device_of(dev(np.ones(1))))
    theirs = in_torch(torch, model, theirs)
    x = rng.standard_normal(shape)
    g = grad(lambda x: F.softplus(model(x)).sum(), create_graph=True)(dev(x))
    (((g**2).sum() + 0.1) ** 0.5 + model(dev(x)).mean()).backward()
    tx = torch.tensor(x, requires_grad=True)
    (tg,) = torch.autograd.grad(tnn.functional.softplus(theirs(tx)).sum(), tx, create_graph=True)
    (((tg**2).sum() + 0.1) ** 0.5 + theirs(torch.tensor(x)).mean()).backward()
    np.testing.assert_allclose(host(g), tg.detach().numpy(), rtol=1e-9, atol=1e-11)
    assert_same_gradients(model, theirs)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_nets(kind, rng, dev):
    ours, theirs = getattr(nn, kind)(3, 4, num_layers=2), getattr(tnn, kind)(3, 4, num_layers=2)
    ours = ours.astype(np.float64).to(cunet.device.device_of(dev(np.ones(1))))
    theirs = in_torch(torch, ours, theirs)
    x = rng.standard_normal((5, 2, 3))
    g = grad(lambda x: (ours(x)[0] ** 2).sum(), create_graph=True)(dev(x))
    (g**2).sum().backward()
    tx = torch.tensor(x, requires_grad=True)
    (tg,) = torch.autograd.grad((theirs(tx)[0] ** 2).sum(), tx, create_graph=True)
    (tg**2).sum().backward()
    np.testing.assert_allclose(host(g), tg.detach().numpy(), rtol=1e-9, atol=1e-11)
    assert_same_gradients(ours, theirs)


def test_third_derivative_of_a_net(rng, dev):
    """A network in a differential equation of third order: ``|u_xxx|**2`` by the weights."""
    arrays = [rng.standard_normal(s) for s in ((1, 7), (7,), (7, 1))]
    x = rng.standard_normal((6, 1))

    def slope(u):
        return lambda x: grad(lambda x: u(x).sum())(x)

    def loss(w, b, v):
        return (slope(slope(slope(lambda x: cunet.tanh(x @ w + b) @ v)))(dev(x)) ** 2).sum()

    found = grad(loss, (0, 1, 2))(*map(dev, arrays))
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    u, tx = None, torch.tensor(x, requires_grad=True)
    u = torch.tanh(tx @ tensors[0] + tensors[1]) @ tensors[2]
    for _ in range(3):
        (u,) = torch.autograd.grad(u.sum(), tx, create_graph=True)
    (u**2).sum().backward()
    for g, t in zip(found, tensors, strict=True):
        np.testing.assert_allclose(host(g), t.grad.numpy(), rtol=1e-9)


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal, rng, dev):
    arrays = [rng.standard_normal(s) for s in ((2, 4, 3), (2, 5, 3), (2, 5, 2))]

    def penalty(q, k, v):
        g = grad(lambda q: (F.scaled_dot_product_attention(q, k, v, is_causal=causal) ** 2).sum())(q)
        return (g**3).sum()

    found = grad(penalty, (0, 1, 2))(*map(dev, arrays))
    q, k, v = (torch.tensor(a, requires_grad=True) for a in arrays)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    (g,) = torch.autograd.grad((y**2).sum(), q, create_graph=True)
    (g**3).sum().backward()
    for ours, t in zip(found, (q, k, v), strict=True):
        np.testing.assert_allclose(host(ours), t.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_buffers_of_batch_norm_move_once(rng, dev):
    model = nn.BatchNorm1d(3)
    before = host(model.running_mean.data).copy()
    x = rng.standard_normal((6, 3)).astype(np.float32)
    model = model.to(cunet.device.device_of(dev(np.ones(1))))
    g = grad(lambda x: (model(x) ** 3).sum(), create_graph=True)(dev(x))
    (g**2).sum().backward()
    np.testing.assert_allclose(host(model.running_mean.data), 0.9 * before + 0.1 * x.mean(0), rtol=1e-5)
    assert isinstance(model.weight, Tensor) and model.weight.grad is not None
