"""Filter response normalisation: the paper's formula, gradients, one sample at a time, and what goes wrong."""

import math

import numpy as np
import pytest
from helpers import host

from cunet import nn
from cunet.autograd.tensor import Tensor
from cunet.testing import gradcheck


def filled(layer, rng, dev):
    for p in layer.parameters():
        p.data = dev(rng.standard_normal(p.data.shape).astype(p.data.dtype))
    return layer


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 7), (1, 3, 1, 1), (4, 3), (2, 3, 2, 1, 3)])
@pytest.mark.parametrize("threshold", [True, False])
def test_values_are_those_of_the_formula(shape, threshold, dev, rng):
    layer = filled(nn.FilterResponseNorm(3, 0.01, threshold=threshold, dtype=np.float64), rng, dev)
    x = rng.standard_normal(shape) + 2.0  # a mean, which is not taken off
    y = host(layer(dev(x)))
    gamma, beta = host(layer.weight), host(layer.bias)
    for n, c in np.ndindex(*shape[:2]):
        values = [float(v) for v in np.ravel(x[n, c])]
        root = math.sqrt(math.fsum(v * v for v in values) / len(values) + 0.01)
        expected = [v / root * gamma[c] + beta[c] for v in values]
        if threshold:
            expected = [max(v, float(host(layer.tau)[c])) for v in expected]
        np.testing.assert_allclose(np.ravel(y[n, c]), expected, rtol=1e-12)


def test_gradients(dev, rng):
    layer = filled(nn.FilterResponseNorm(3, 0.01, dtype=np.float64), rng, dev)
    x = dev(rng.standard_normal((2, 3, 5)))

    def run(x, weight, bias, tau):
        layer.weight, layer.bias, layer.tau = weight, bias, tau
        return layer(x)

    gradcheck(run, x, layer.weight.data, layer.bias.data, layer.tau.data)


def test_begins_as_relu_of_the_normalised_and_sees_samples_alone(device, dev, rng):
    layer = nn.FilterResponseNorm(3).to(device)
    x = rng.standard_normal((4, 3, 5, 5)).astype(np.float32)
    y = host(layer(dev(x)))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, np.maximum(x / np.sqrt((x**2).mean((2, 3), keepdims=True)), 0), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(host(layer(dev(x[1:2]))), y[1:2])
    np.testing.assert_array_equal(host(layer.eval()(dev(x))), y)
    assert layer(dev(np.zeros((0, 3, 4), np.float32))).shape == (0, 3, 4)
    assert not host(layer(dev(np.zeros((1, 3, 4), np.float32)))).any()
    assert sorted(layer.state_dict()) == ["bias", "tau", "weight"]


def test_it_trains(device, dev, rng):
    layer = nn.FilterResponseNorm(2).to(device)
    (layer(Tensor(dev(rng.standard_normal((3, 2, 8)).astype(np.float32)))) ** 2).sum().backward()
    assert all(np.abs(host(p.grad)).max() > 0 for p in (layer.weight, layer.bias))
    assert layer.tau.grad is not None


@pytest.mark.cpu_only
def test_what_goes_wrong():
    with pytest.raises(ValueError, match=r"FilterResponseNorm: x must have num_features = 3 on axis 1, got shape \(3,"):
        nn.FilterResponseNorm(3)(np.ones((3, 2, 4), np.float32))
    with pytest.raises(ValueError, match="FilterResponseNorm: num_features must be an int of at least 1, got 0"):
        nn.FilterResponseNorm(0)
    with pytest.raises(ValueError, match="FilterResponseNorm: eps"):
        nn.FilterResponseNorm(3, -1.0)
    assert repr(nn.FilterResponseNorm(3)) == "FilterResponseNorm(3, eps=1e-06)"
