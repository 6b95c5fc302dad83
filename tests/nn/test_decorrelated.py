"""Decorrelated batch norm: ZCA whitening, equal eigenvalues, few directions, running statistics, what goes wrong."""

import numpy as np
import pytest
from helpers import host
from module_helpers import check_within_vmap

from cunet import Tensor, nn
from cunet.testing import gradcheck


def whitening(rows, eps):
    """Return the ZCA matrix of rows of channels (C, values), by eigenvectors."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(centred @ centred.T / rows.shape[1] + eps * np.eye(len(rows)))
    return vectors / np.sqrt(values) @ vectors.T


def mixed(rng, shape):
    """Draw data whose channels, on axis 1, are correlated."""
    x = rng.standard_normal(shape)
    return np.moveaxis(np.moveaxis(x, 1, -1) @ rng.standard_normal((shape[1], shape[1])) + 2.0, -1, 1)


@pytest.mark.parametrize(("shape", "groups"), [((40, 4), 1), ((40, 4), 2), ((5, 6, 4, 3), 2), ((9, 3, 5), 3)])
def test_training_is_zca_whitening_of_each_group(shape, groups, device, dev, rng):
    layer = nn.DecorrelatedBatchNorm(shape[1], groups, 0.01, 0.25, iterations=30, dtype=np.float64).to(device)
    gamma, beta = rng.standard_normal(shape[1]), rng.standard_normal(shape[1])
    layer.weight.data, layer.bias.data = dev(gamma), dev(beta)
    x = mixed(rng, shape)
    y, size = host(layer(dev(x))), shape[1] // groups
    rows = np.moveaxis(x, 1, 0).reshape(shape[1], -1)
    for g in range(groups):
        part = slice(g * size, (g + 1) * size)
        w = whitening(rows[part], 0.01)
        centred = rows[part] - rows[part].mean(axis=1, keepdims=True)
        expected = (w @ centred) * gamma[part, None] + beta[part, None]
        np.testing.assert_allclose(np.moveaxis(y, 1, 0).reshape(shape[1], -1)[part], expected, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(host(layer.running_whitening)[g], 0.75 * np.eye(size) + 0.25 * w, atol=1e-8)
    np.testing.assert_allclose(host(layer.running_mean), 0.25 * rows.mean(axis=1), rtol=1e-12)
    assert host(layer.num_batches_tracked) == 1
    before = {k: host(v) for k, v in layer.state_dict().items()}
    y = host(layer.eval()(dev(x[:1])))  # a sample's result does not depend on its batch
    moved = rows - before["running_mean"][:, None]
    for g in range(groups):
        part = slice(g * size, (g + 1) * size)
        expected = (before["running_whitening"][g] @ moved[part]) * gamma[part, None] + beta[part, None]
        found = np.moveaxis(y, 1, 0).reshape(shape[1], -1)[part]
        np.testing.assert_allclose(found, expected[:, : found.shape[1]], rtol=1e-10, atol=1e-10)
    assert all((host(layer.state_dict()[k]) == v).all() for k, v in before.items())


def test_five_steps_are_those_of_the_paper(device, dev, rng):
    """Its iteration is not coupled: ``P = (3 P - P**3 S) / 2``, the same in exact arithmetic."""
    layer = nn.DecorrelatedBatchNorm1d(4, eps=0.01, affine=False, dtype=np.float64).to(device)
    x = mixed(rng, (30, 4))
    centred = (x - x.mean(axis=0)).T
    s = centred @ centred.T / 30 + 0.01 * np.eye(4)
    p = np.eye(4)
    for _ in range(5):
        p = (3 * p - p @ p @ p @ (s / np.trace(s))) / 2
    np.testing.assert_allclose(host(layer(dev(x))).T, p / np.sqrt(np.trace(s)) @ centred, rtol=1e-10)


@pytest.mark.parametrize("iterations", [5, 25])
def test_gradients_also_where_eigenvalues_are_equal(iterations, device, dev, rng):
    layer = nn.DecorrelatedBatchNorm1d(4, 2, 0.01, momentum=0.0, iterations=iterations, dtype=np.float64).to(device)
    corners = np.array([[a, b, c, 1.0] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])  # S = I, and 0 in the last
    for x in (mixed(rng, (6, 4)), corners):

        def run(x, weight, bias):
            layer.weight, layer.bias = weight, bias
            return layer(x)

        gradcheck(run, dev(x), dev(rng.standard_normal(4)), dev(rng.standard_normal(4)))


def test_second_derivatives(device, dev, rng):
    layer = nn.DecorrelatedBatchNorm1d(2, eps=0.1, momentum=0.0, affine=False, dtype=np.float64).to(device)
    gradcheck(lambda x: layer(x), dev(mixed(rng, (4, 2))), order=2)


def test_few_samples_and_one_direction_stay_finite(device, dev, rng):
    layer = nn.DecorrelatedBatchNorm1d(8, iterations=20).to(device)
    for scale in (1.0, 1e4, 1e-4):
        line = (rng.standard_normal((3, 1)) * np.ones((1, 8)) * scale).astype(np.float32)
        x = Tensor(dev(line), requires_grad=True)
        y = layer(x)
        (y**2).sum().backward()
        assert np.isfinite(host(y)).all() and np.isfinite(host(x.grad)).all()
        assert abs(host(y)).max() < 10


def test_dtypes_layouts_and_edges(device, dev, rng):
    layer = nn.DecorrelatedBatchNorm2d(4, 2).to(device)
    x = dev(rng.standard_normal((6, 4, 3, 5)).astype(np.float32))
    y = layer(Tensor(x.astype(np.float16)))
    assert y.dtype == np.float16 and layer.running_whitening.dtype == np.float32
    half = nn.DecorrelatedBatchNorm2d(4, 2).to(device).astype(np.float16)
    assert half.running_whitening.dtype == np.float32 and half(x).dtype == np.float16
    turned = x.transpose(0, 1, 3, 2)
    np.testing.assert_allclose(host(layer(turned)), host(layer(x)).transpose(0, 1, 3, 2), rtol=1e-4, atol=1e-5)
    assert layer.eval()(dev(np.zeros((0, 4, 2, 2), np.float32))).shape == (0, 4, 2, 2)
    names = ["weight", "bias", "running_mean", "running_whitening", "num_batches_tracked"]
    assert list(layer.state_dict()) == names
    other = nn.DecorrelatedBatchNorm2d(4, 2).to(device).eval()
    other.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(host(other(x)), host(layer(x)))
    assert list(nn.DecorrelatedBatchNorm2d(4, affine=False).state_dict()) == names[2:]
    assert nn.DecorrelatedBatchNorm1d(3, bias=False).to(device)(x[:, :3, 0]).shape == (6, 3, 5)
    assert "num_groups=2, iterations=5" in repr(layer)


def test_evaluation_goes_within_vmap(device, dev, rng):
    check_within_vmap(nn.DecorrelatedBatchNorm1d(4, 2).to(device), dev(rng.standard_normal((6, 4)).astype(np.float32)))


@pytest.mark.cpu_only
def test_what_goes_wrong():
    layer = nn.DecorrelatedBatchNorm1d(4)
    with pytest.raises(
        ValueError, match="DecorrelatedBatchNorm1d: training needs more than one value per channel, got"
    ):
        layer(np.ones((1, 4), np.float32))
    assert layer.num_batches_tracked.item() == 0
    with pytest.raises(ValueError, match="DecorrelatedBatchNorm: num_groups must divide num_features = 6, got 4"):
        nn.DecorrelatedBatchNorm(6, 4)
    with pytest.raises(ValueError, match="DecorrelatedBatchNorm: iterations must be an int of at least 1, got 0"):
        nn.DecorrelatedBatchNorm(6, iterations=0)
    with pytest.raises(TypeError, match="DecorrelatedBatchNorm: momentum must be a number, got None"):
        nn.DecorrelatedBatchNorm(6, momentum=None)
    with pytest.raises(ValueError, match=r"DecorrelatedBatchNorm1d: x must have num_features = 4 on axis 1, got"):
        layer(np.ones((4, 3), np.float32))
