"""Switchable normalisation: the paper's formula, its shares, the norms it is made of, and what goes wrong."""

import math

import numpy as np
import pytest
from helpers import host
from module_helpers import check_within_vmap

from cunet import Tensor, nn
from cunet.testing import gradcheck


def moments(values):
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((v - mean) ** 2 for v in values) / len(values)


def shares(weights):
    powers = [math.exp(w) for w in weights]
    return [p / math.fsum(powers) for p in powers]


def expected(x, layer, batch=None):
    """Return what the formula gives: of each set of values by itself; `batch` gives the batch's moments by channel."""
    gamma, beta, mean_weight, var_weight = (
        host(p).tolist() for p in (layer.weight, layer.bias, layer.mean_weight, layer.var_weight)
    )
    y = np.empty_like(x)
    for n, c in np.ndindex(*x.shape[:2]):
        found = [moments(x[n, c].ravel().tolist()), moments(x[n].ravel().tolist())]
        found.append(batch[c] if batch else moments(x[:, c].ravel().tolist()))
        mean, var = (
            math.fsum(w * part[k] for w, part in zip(shares(weights), found, strict=True))
            for k, weights in enumerate((mean_weight, var_weight))
        )
        y[n, c] = (x[n, c] - mean) / math.sqrt(var + layer.eps) * gamma[c] + beta[c]
    return y


def filled(rng, dev, device, channels, **options):
    layer = nn.SwitchableNorm(channels, dtype=np.float64, **options).to(device)
    for p in layer.parameters():
        p.data = dev(rng.standard_normal(p.shape))
    return layer


@pytest.mark.parametrize("shape", [(3, 2, 5), (1, 2, 3, 2), (2, 3, 1), (2, 2, 2, 1, 3)])
def test_training_and_evaluation_are_the_formula(shape, device, dev, rng):
    layer = filled(rng, dev, device, shape[1], eps=0.01, momentum=0.25)
    x = rng.standard_normal(shape) * 2 + 1
    np.testing.assert_allclose(host(layer(dev(x))), expected(x, layer), rtol=1e-11, atol=1e-12)
    batch = [moments(x[:, c].ravel().tolist()) for c in range(shape[1])]
    np.testing.assert_allclose(host(layer.running_mean), [0.25 * m for m, _ in batch], rtol=1e-12)
    np.testing.assert_allclose(host(layer.running_var), [0.75 + 0.25 * v for _, v in batch], rtol=1e-12)
    assert host(layer.num_batches_tracked) == 1
    running = list(zip(host(layer.running_mean).tolist(), host(layer.running_var).tolist(), strict=True))
    before = {k: host(v) for k, v in layer.state_dict().items()}
    np.testing.assert_allclose(host(layer.eval()(dev(x))), expected(x, layer, running), rtol=1e-11, atol=1e-12)
    assert all((host(layer.state_dict()[k]) == v).all() for k, v in before.items())


def test_with_all_weight_on_one_it_is_that_norm(device, dev, rng):
    x = dev(rng.standard_normal((4, 3, 5, 5)).astype(np.float32) + 1)
    norms = (nn.InstanceNorm2d(3), nn.GroupNorm(1, 3), nn.BatchNorm2d(3))
    for k, norm in enumerate(norms):
        layer = nn.SwitchableNorm2d(3).to(device)
        chosen = np.where(np.arange(3) == k, 60, -60).astype(np.float32)
        layer.mean_weight.data, layer.var_weight.data = dev(chosen), dev(chosen)
        np.testing.assert_allclose(host(layer(x)), host(norm.to(device)(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_gradients(training, device, dev, rng):
    layer = filled(rng, dev, device, 2, eps=0.01, momentum=0.0).train(training)
    names = ["weight", "bias", "mean_weight", "var_weight"]

    def run(x, *parameters):
        for name, p in zip(names, parameters, strict=True):
            setattr(layer, name, p)
        return layer(x)

    gradcheck(run, dev(rng.standard_normal((3, 2, 4))), *[getattr(layer, name).data for name in names])


def test_variances_survive_a_mean_far_from_0(device, dev, rng):
    x = (rng.standard_normal((4, 2, 50)) + 4096).astype(np.float32)
    layer = nn.SwitchableNorm1d(2).to(device)
    y = host(layer(dev(x)))
    wide = filled(rng, dev, device, 2)
    for p, q in zip(wide.parameters(), layer.parameters(), strict=True):
        p.data = q.data.astype(np.float64)
    np.testing.assert_allclose(y, expected(x.astype(np.float64), wide), atol=2e-3)


def test_dtypes_layouts_and_edges(device, dev, rng):
    layer = nn.SwitchableNorm2d(3).to(device)
    x = dev(rng.standard_normal((2, 3, 4, 6)).astype(np.float32))
    assert layer(Tensor(x.astype(np.float16))).dtype == np.float16 and layer.running_var.dtype == np.float32
    turned = x.transpose(0, 1, 3, 2)[:, :, ::2]
    np.testing.assert_allclose(host(layer(turned)), host(layer(dev(np.ascontiguousarray(host(turned))))), rtol=1e-5)
    assert layer(dev(np.zeros((0, 3, 2, 2), np.float32))).shape == (0, 3, 2, 2)
    names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked", "mean_weight", "var_weight"]
    assert list(layer.state_dict()) == names
    assert list(nn.SwitchableNorm2d(3, affine=False).state_dict()) == names[2:]
    assert nn.SwitchableNorm2d(3, bias=False).to(device)(x).shape == x.shape


def test_evaluation_goes_within_vmap(device, dev, rng):
    check_within_vmap(nn.SwitchableNorm1d(2).to(device), dev(rng.standard_normal((4, 2, 5)).astype(np.float32)))


@pytest.mark.cpu_only
def test_what_goes_wrong():
    with pytest.raises(ValueError, match=r"SwitchableNorm2d: x must have 4 axes, got shape \(2, 3\)"):
        nn.SwitchableNorm2d(3)(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="SwitchableNorm: num_features must be an int of at least 1, got 0"):
        nn.SwitchableNorm(0)
