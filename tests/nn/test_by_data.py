"""First values by a batch and by depth: the variances and formulas of the papers, and what stays as it was."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Generator, nn
from cunet.nn.utils.parametrizations import weight_norm


def net(dtype=np.float32):
    cunet.manual_seed(1)
    first, second = nn.Conv2d(3, 8, 3, dtype=dtype), nn.ConvTranspose2d(8, 4, 3, groups=2, dtype=dtype)
    third, last = nn.Linear(144, 10, dtype=dtype), nn.Linear(10, 5, False, dtype=dtype)
    head = nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), third, nn.Tanh(), last
    return nn.Sequential(first, nn.BatchNorm2d(8), nn.Tanh(), second, *head)


def outputs(model, x):
    """Return what each linear and convolution layer gives, with its axis of channels."""
    found = []
    for layer in model:
        x = layer(x)
        if hasattr(layer, "weight") and not isinstance(layer, nn.BatchNorm):
            found.append((host(x), -1 if isinstance(layer, nn.Linear) else 1))
    return found


def test_lsuv_gives_orthonormal_weights_and_outputs_of_variance_1(device, dev, rng):
    model, x = net().eval().to(device), dev(3 * rng.standard_normal((16, 3, 6, 6)).astype(np.float32) + 1)
    biases = [host(layer.bias) for layer in model if getattr(layer, "bias", None) is not None]
    assert nn.init.lsuv_(model, x, tol=0.01, generator=Generator(3)) is model
    for out, _ in outputs(model, x):
        assert abs(out.var() - 1) < 0.011
    w = host(model[7].weight).astype(np.float64)
    np.testing.assert_allclose(w @ w.T, np.eye(10) * (w @ w.T)[0, 0], atol=1e-5 * (w @ w.T)[0, 0])
    after = [host(layer.bias) for layer in model if getattr(layer, "bias", None) is not None]
    assert all((a == b).all() for a, b in zip(biases, after, strict=True))


def test_a_weight_is_scaled_as_often_as_is_said(device, dev, rng):
    layer = nn.Linear(4, 4, dtype=np.float64).to(device)
    layer.bias.data = layer.bias.data * 0 + dev(np.arange(4.0))
    x = rng.standard_normal((9, 4))
    nn.init.lsuv_(layer, dev(x), max_iterations=1, generator=Generator(3))
    expected = cunet.init.get("orthogonal")((4, 4), Generator(3), np.float64)
    expected = expected / (x @ expected.T + np.arange(4.0)).std()
    np.testing.assert_allclose(host(layer.weight), expected, rtol=1e-12)


@pytest.mark.parametrize("norm", [None, weight_norm])
def test_data_dependent_gives_each_channel_mean_0_and_variance_1(norm, device, dev, rng):
    model, x = net(np.float64).eval().to(device), dev(3 * rng.standard_normal((16, 3, 6, 6)) + 1)
    if norm:
        for layer in (model[0], model[7]):
            norm(layer)
    nn.init.data_dependent_(model, x)
    for out, axis in outputs(model, x):
        others = tuple(a for a in range(out.ndim) if a != axis % out.ndim)
        np.testing.assert_allclose(out.std(axis=others), 1, rtol=1e-6)
        if out.shape[-1] != 5:  # the last one has no bias
            np.testing.assert_allclose(out.mean(axis=others), 0, atol=1e-6)


def test_nothing_else_is_changed(device, dev, rng):
    model = net().to(device)
    norm = model[1]
    before = {name: host(value) for name, value in norm.state_dict().items()}
    for fill in (nn.init.lsuv_, nn.init.data_dependent_):
        fill(model, dev(rng.standard_normal((4, 3, 6, 6)).astype(np.float32)))
    assert all((host(value) == before[name]).all() for name, value in norm.state_dict().items())
    assert all(module.training for module in model.modules())
    assert cunet.random.default_generator("dropout").call == 0 and all(p.grad is None for p in model.parameters())
    constant = nn.Linear(3, 2).to(device)
    nn.init.data_dependent_(constant, dev(np.ones((4, 3), np.float32)))
    assert np.isfinite(host(constant.weight)).all()


def test_fixup_scales_by_depth_and_begins_as_the_identity(device):
    def branch():
        return nn.Sequential(nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 1))

    branches, head = [branch().to(device) for _ in range(8)], nn.Linear(16, 10).to(device)
    nn.init.fixup_(branches, head, generator=Generator(3))
    expected = np.sqrt(2 / (16 * 9)) * 8 ** (-1 / 4)
    for layers in branches:
        for k in (0, 2):
            assert host(layers[k].weight).std() == pytest.approx(expected, rel=0.06)
        assert not host(layers[4].weight).any() and not any(host(layers[k].bias).any() for k in (0, 2, 4))
    assert not host(head.weight).any() and not host(head.bias).any()


@pytest.mark.cpu_only
def test_what_goes_wrong():
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="lsuv_: tol must be above 0 and max_iterations at least 1, got 0 and 10"):
        nn.init.lsuv_(nn.Linear(3, 2), x, tol=0)
    with pytest.raises(ValueError, match="lsuv_: 0 must have a shape; call the model once first"):
        nn.init.lsuv_(nn.Sequential(nn.Linear(None, 2)), x)
    with pytest.raises(ValueError, match="data_dependent_: Linear must have a shape"):
        nn.init.data_dependent_(nn.Linear(None, 2), x)
    with pytest.raises(ValueError, match="fixup_: each branch must have a linear or convolution layer"):
        nn.init.fixup_([nn.ReLU()])
