"""Layer-normalised recurrent layers: loops over numbers, longer sequences, scale."""

import math

import numpy as np
import pytest
from helpers import host, training_step
from recurrent_helpers import NORMED, build, parts

import cunet
from cunet import nn


def normalised(values, eps=1e-5):
    mean = math.fsum(values) / len(values)
    var = math.fsum((v - mean) ** 2 for v in values) / len(values)
    return [(v - mean) / math.sqrt(var + eps) for v in values]


def logistic(v):
    return 1 / (1 + math.exp(-v))


def normed_step(kind, x, h, c, w_ih, w_hh):
    n = len(h)
    gx, gh = ([float(np.dot(row, v)) for row in w] for w, v in ((w_ih, x), (w_hh, h)))
    if kind == "GRU":
        both = [a + b for a, b in zip(normalised(gx[: 2 * n]), normalised(gh[: 2 * n]), strict=True)]
        r, z = [logistic(v) for v in both[:n]], [logistic(v) for v in both[n:]]
        new = zip(normalised(gx[2 * n :]), r, normalised(gh[2 * n :]), strict=True)
        return [(1 - z[k]) * math.tanh(a + q * b) + z[k] * h[k] for k, (a, q, b) in enumerate(new)], c
    s = [a + b for a, b in zip(normalised(gx), normalised(gh), strict=True)]
    if kind == "RNN":
        return [math.tanh(v) for v in s], c
    i, f, g, o = (s[k * n : (k + 1) * n] for k in range(4))
    c = [logistic(f[k]) * c[k] + logistic(i[k]) * math.tanh(g[k]) for k in range(n)]
    return [logistic(o[k]) * math.tanh(v) for k, v in enumerate(normalised(c))], c


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_layer_normalised_layers_against_loops_over_numbers(kind, device, dev, rng):
    layer = build(device, getattr(nn, f"LayerNorm{kind}"), 3, 4)
    cell = layer.cells[0]
    x = rng.standard_normal((5, 2, 3))
    y, state = layer(dev(x))
    for b in range(2):
        h, c = [0.0] * 4, [0.0] * 4
        for t in range(5):
            h, c = normed_step(kind, x[t, b], h, c, host(cell.weight_ih), host(cell.weight_hh))
            np.testing.assert_allclose(host(y)[t, b], h, rtol=1e-9)
        last = [host(s)[0, b] for s in parts(state)]
        np.testing.assert_allclose(last, [h, c] if kind == "LSTM" else [h], rtol=1e-9)
    alone = cell(dev(x[0]))
    np.testing.assert_allclose(host(parts(alone)[0]), host(y)[0], rtol=1e-11)


@pytest.mark.parametrize("make", NORMED)
def test_a_layer_normalised_network_runs_on_longer_sequences_than_it_trained_on(make, device, dev, rng):
    """What the first steps give does not depend on how many follow, on the batch or on the mode."""
    layer = build(device, make, 2, 4, num_layers=2)
    optimizer = cunet.optim.SGD(layer.parameters(), lr=0.1)

    @training_step
    def step(x):
        layer.zero_grad()
        (layer(x)[0] ** 2).sum().backward()
        optimizer.step()

    for _ in range(7):
        step(dev(rng.standard_normal((5, 8, 2))))
    x = rng.standard_normal((60, 3, 2))
    trained = host(layer(dev(x[:5]))[0])
    layer.eval()
    long = host(layer(dev(x))[0])
    np.testing.assert_allclose(long[:5], trained, rtol=1e-6, atol=1e-9)  # a norm of small values magnifies rounding
    np.testing.assert_allclose(host(layer(dev(x[:, 1:2]))[0]), long[:, 1:2], rtol=1e-6, atol=1e-9)
    assert np.isfinite(long).all()


@pytest.mark.parametrize("make", NORMED)
def test_the_scale_of_the_input_weights_does_not_matter(make, device, dev, rng):
    layer = build(device, make, 3, 4)
    x = dev(rng.standard_normal((4, 2, 3)) * 100)
    before = host(layer(x)[0])
    layer.cells[0].weight_ih.data = layer.cells[0].weight_ih.data * 50
    np.testing.assert_allclose(host(layer(x)[0]), before, rtol=1e-4)
