"""Batch renormalisation: the paper's algorithm, its limits and their schedule, modes, and what goes wrong."""

import math
import statistics

import numpy as np
import pytest
from helpers import host
from module_helpers import check_within_vmap

from cunet import Tensor, nn
from cunet.testing import gradcheck


def limits(seen, r_max, d_max, r_steps, d_steps):
    """Return the limits after `seen` batches."""

    def share(first, last):
        return 1.0 if seen >= last else 0.0 if seen < first else (seen - first) / (last - first)

    return 1 + (r_max - 1) * share(*r_steps), d_max * share(*d_steps)


def channel(values, running, bounds, eps):
    """Return normalised values, and the mean and the deviation of the batch."""
    mean, std = statistics.fmean(values), math.sqrt(statistics.pvariance(values) + eps)
    r = min(max(std / running[1], 1 / bounds[0]), bounds[0])
    d = min(max((mean - running[0]) / running[1], -bounds[1]), bounds[1])
    return [(v - mean) / std * r + d for v in values], mean, std


@pytest.mark.parametrize("axis", [1, -1])
def test_training_is_the_algorithm_of_the_paper(axis, device, dev, rng):
    options = {"r_max": 1.5, "d_max": 0.75, "r_steps": (1, 4), "d_steps": (2, 2)}
    layer = nn.BatchRenorm(2, 0.01, 0.3, axis=axis, dtype=np.float64, **options).to(device)
    layer.weight.data, layer.bias.data = dev(np.array([2.0, -0.5])), dev(np.array([0.25, 1.0]))
    running = [[0.0, 1.0], [0.0, 1.0]]
    for k in range(6):
        x = rng.standard_normal((3, 2, 4)) * (1 + k) + k - 2
        y = host(layer(dev(np.moveaxis(x, 1, axis))))
        for c in range(2):
            values = x[:, c].ravel().tolist()
            expected, mean, std = channel(values, running[c], limits(k, **options), 0.01)
            gamma, beta = (2.0, -0.5)[c], (0.25, 1.0)[c]
            np.testing.assert_allclose(
                np.moveaxis(y, axis, 1)[:, c].ravel(), [gamma * v + beta for v in expected], rtol=1e-12, atol=1e-12
            )
            running[c] = [0.7 * running[c][0] + 0.3 * mean, 0.7 * running[c][1] + 0.3 * std]
    np.testing.assert_allclose(np.stack([host(layer.running_mean), host(layer.running_std)], 1), running, rtol=1e-12)
    assert host(layer.num_batches_tracked) == 6 and layer.num_batches_tracked.dtype == np.int64


def test_the_limits_are_those_of_the_paper(device):
    layer = nn.BatchRenorm1d(1, dtype=np.float64).to(device)
    one = Tensor(layer.running_mean.data + 1)
    for seen, r_max, d_max in [(0, 1, 0), (5000, 1, 0), (15000, 11 / 7, 2.5), (25000, 15 / 7, 5), (90000, 3, 5)]:
        layer.num_batches_tracked.data = layer.num_batches_tracked.data * 0 + seen
        found = [layer._corrections(one * sign * 100, one * size) for sign, size in ((1, 100), (-1, 0.01))]
        np.testing.assert_allclose([host(v)[0] for v in found[0]], [r_max, d_max], rtol=1e-12)
        np.testing.assert_allclose([host(v)[0] for v in found[1]], [1 / r_max, -d_max], rtol=1e-12)


def test_without_limits_in_its_way_training_gives_what_evaluation_gives(device, dev, rng):
    layer = nn.BatchRenorm2d(3, 1e-5, 0.1, True, 100.0, 100.0, (3, 3), (3, 3)).to(device)
    twin = nn.BatchNorm2d(3).to(device)
    for _ in range(3):  # batch norm, until the running statistics are worth something
        x = dev((rng.standard_normal((2, 3, 4, 4)) * 3 + 1).astype(np.float32))
        np.testing.assert_allclose(host(layer(x)), host(twin(x)), rtol=1e-4, atol=1e-5)
    expected = host(layer.eval()(x))
    assert abs(expected - host(twin.eval()(x))).max() > 0.1
    before = layer.state_dict()
    np.testing.assert_allclose(host(layer(x[:1])), expected[:1], rtol=1e-5, atol=1e-6)
    assert all((host(layer.state_dict()[k]) == host(v)).all() for k, v in before.items())
    np.testing.assert_allclose(host(layer.train()(x)), expected, rtol=1e-4, atol=1e-5)


def test_no_gradient_goes_through_the_corrections(device, dev, rng):
    """That of x is batch norm's, times r; a numerical gradient would see the correction move."""
    layer = nn.BatchRenorm1d(3, 0.01, 0.1, r_steps=(0, 0), d_steps=(0, 0), dtype=np.float64).to(device)
    layer.running_std.data = dev(np.array([0.5, 1.0, 9.0]))
    x, gy = rng.standard_normal((5, 3)), dev(rng.standard_normal((5, 3)))
    std = np.sqrt(x.var(axis=0) + 0.01)
    r = np.clip(std / np.array([0.5, 1.0, 9.0]), 1 / 3, 3)
    twin, found = nn.BatchNorm1d(3, 0.01, affine=False, dtype=np.float64).to(device), []
    for norm in (layer, twin):
        a = Tensor(dev(x), requires_grad=True)
        norm(a).backward(gy)
        found.append(host(a.grad))
    np.testing.assert_allclose(found[0], found[1] * r, rtol=1e-10)


def test_gradients_of_weight_and_bias_and_of_evaluation(device, dev, rng):
    layer = nn.BatchRenorm1d(3, momentum=0.0, r_steps=(0, 0), d_steps=(0, 0), dtype=np.float64).to(device)
    x = dev(rng.standard_normal((4, 3)) * 2)

    def run(weight, bias, x=x):
        layer.weight, layer.bias = weight, bias
        return layer(x)

    w, b = dev(rng.standard_normal(3)), dev(rng.standard_normal(3))
    gradcheck(run, w, b)
    layer.eval()
    gradcheck(run, w, b, x)


def test_state_dtypes_and_layouts(device, dev, rng):
    layer = nn.BatchRenorm1d(3).to(device)
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_std", "num_batches_tracked"]
    x = dev(rng.standard_normal((8, 6)).astype(np.float32))[:, ::2]
    y = layer(Tensor(x.astype(np.float16)))
    assert y.dtype == np.float16 and layer.running_std.dtype == np.float32
    assert layer.astype(np.float16).running_std.dtype == np.float32 and layer.weight.dtype == np.float16
    other = nn.BatchRenorm1d(3).to(device)
    other.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(host(other.eval()(x)), host(layer.astype(np.float32).eval()(x)))
    np.testing.assert_allclose(host(other(x)), host(other(dev(np.ascontiguousarray(host(x))))), rtol=1e-6)
    assert layer(dev(np.zeros((0, 3), np.float32))).shape == (0, 3)
    assert list(nn.BatchRenorm1d(3, affine=False).state_dict())[0] == "running_mean"
    assert repr(nn.BatchRenorm2d(3)) == "BatchRenorm2d(3, eps=1e-05, momentum=0.01)"


def test_evaluation_goes_within_vmap(device, dev, rng):
    check_within_vmap(nn.BatchRenorm1d(3).to(device), dev(rng.standard_normal((4, 3)).astype(np.float32)))


@pytest.mark.cpu_only
def test_what_goes_wrong():
    layer = nn.BatchRenorm1d(3)
    with pytest.raises(ValueError, match="training needs more than one value per channel, got 1"):
        layer(np.ones((1, 3), np.float32))
    assert layer.num_batches_tracked.item() == 0 and not layer.running_mean.data.any()
    for options, said in [
        ({"r_max": 0.5}, "r_max must be at least 1 and d_max at least 0, got 0.5 and 5.0"),
        ({"d_max": -1}, "r_max must be at least 1 and d_max at least 0, got 3.0 and -1"),
        ({"r_steps": (4, 2)}, r"r_steps must be two numbers of batches that do not fall, got \(4, 2\)"),
        ({"d_steps": 5}, "d_steps must be two numbers of batches that do not fall, got 5"),
        ({"momentum": 2}, "momentum must be None or within"),
    ]:
        with pytest.raises(ValueError, match=f"BatchRenorm1d: {said}"):
            nn.BatchRenorm1d(3, **options)
    with pytest.raises(TypeError, match="BatchRenorm1d: momentum must be a number, got None"):
        nn.BatchRenorm1d(3, momentum=None)
    with pytest.raises(ValueError, match=r"BatchRenorm2d: x must have 4 axes, got shape \(2, 3\)"):
        nn.BatchRenorm2d(3)(np.ones((2, 3), np.float32))
