"""variance_report: its figures, what it leaves behind (nothing), its table; and what initialisation does with depth."""

import math

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, nn
from cunet import random as cunet_random
from cunet.autograd.tensor import Tensor
from cunet.ops.math import exp, tanh


def deep(init, activation, depth=32, width=256, bias=False):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(width, width, bias=bias, init=init), activation]
    return nn.Sequential(*layers)


def last_variance(init, activation, rng, **kwargs):
    return nn.variance_report(deep(init, activation, **kwargs), rng.normal(size=(256, 256)).astype(np.float32))[-1]


# -- what depth does to a signal: 32 layers, standard normal inputs


@pytest.mark.parametrize(
    ("init", "activation", "low", "high"),
    [
        ("lecun_normal", tanh, 0.008, 0.025),  # about 0.015
        (lambda s, g, d: cunet.init.xavier_normal(5 / 3)(s, g, d), tanh, 0.38, 0.46),  # about 0.42
        ("kaiming_normal", F.relu, 0.25, 1.6),  # about 0.70, but it wanders
        ("lecun_normal", F.relu, 0.0, 1e-8),  # halves its power in every layer: 2**-32
    ],
    ids=["tanh LeCun", "tanh gain 5/3", "relu He", "relu LeCun"],
)
def test_variance_after_32_layers(init, activation, low, high, rng):
    assert low <= last_variance(init, activation, rng).variance <= high


def test_small_normal_weights_let_the_signal_die_and_large_ones_explode(rng):
    # Per layer the variance is multiplied by width * std**2 = 0.0256, so by 1e-51 in all, and float32 ends at 1e-45.
    report = nn.variance_report(deep(cunet.init.normal(std=0.01), tanh), rng.normal(size=(64, 256)).astype(np.float32))
    variances = [row.variance for row in report if row.kind == "tanh"]
    assert variances[0] == pytest.approx(0.0256, rel=0.1) and variances[-1] < 1e-40
    assert all(b < a for a, b in zip(variances, variances[1:], strict=False) if a > 0)
    assert report[0].gradient_norm < 1e-20 < 1 < report[-1].gradient_norm
    large = last_variance(cunet.init.normal(), F.relu, rng, depth=12)
    assert large.variance > 1e20


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_equal_weights_stay_equal_bit_for_bit(value, rng):
    model = nn.Sequential(nn.Linear(4, 8, init=value, bias_init=0), tanh, nn.Linear(8, 1, init=value, bias_init=0))
    x, target = rng.normal(size=(16, 4)).astype(np.float32), rng.normal(size=(16, 1)).astype(np.float32)
    for _ in range(50):
        model.zero_grad()
        ((model(x) - target) ** 2).mean().backward()
        for p in model.parameters():
            p.data = p.data - np.float32(0.1) * p.grad
    hidden, out = model[0].weight.data, model[2].weight.data
    assert (hidden == hidden[:1]).all() and (out == out[:, :1]).all()
    if value == 0:  # tanh(0) = 0: nothing reaches the hidden layer at all, only the last bias moves
        assert (hidden == 0).all() and (out == 0).all() and (model[2].bias.data != 0).all()
    else:
        assert (hidden != np.float32(value)).all()


def test_random_weights_do_not_stay_equal(rng):
    model = nn.Linear(4, 8)
    assert len(np.unique(model.weight.data, axis=0)) == 8


# -- the figures


def test_figures_of_a_net_that_can_be_computed_by_hand(device, dev):
    model = nn.Sequential(nn.Linear(2, 2, bias=False), exp).to(device)
    model.load_state_dict({"0.weight": [[1.0, 0.0], [0.0, 2.0]]})
    report = nn.variance_report(model, dev([[0.0, 1.0]], np.float32), loss=None)
    linear, function = report
    assert (linear.name, linear.kind, linear.shape) == ("0", "Linear", (1, 2))
    assert (function.name, function.kind) == ("1", "exp")
    assert (linear.mean, linear.variance) == (1, 1)  # of 0 and 2
    a, b = 1.0, math.exp(2)
    assert function.mean == pytest.approx((a + b) / 2) and function.variance == pytest.approx((b - a) ** 2 / 4)
    noise = cunet.Generator(0, "variance_report").rng().standard_normal((1, 2))[0]
    assert function.gradient_norm == pytest.approx(math.hypot(*noise))
    assert linear.gradient_norm == pytest.approx(math.hypot(noise[0] * a, noise[1] * b))


def test_with_a_loss_the_batch_has_a_target(dev, device):
    model = nn.Sequential(nn.Linear(2, 2, init="eye", bias=False)).to(device)
    batch = dev([[1.0, 2.0], [3.0, 4.0]], np.float32), dev([[0.0, 0.0], [0.0, 0.0]], np.float32)
    (row,) = nn.variance_report(model, batch, loss=lambda y, t: ((y - t) ** 2).sum())
    assert row.gradient_norm == pytest.approx(2 * math.sqrt(1 + 4 + 9 + 16))


def test_names_lead_to_the_layer_and_a_layer_used_twice_has_two_rows():
    inner = nn.Sequential(nn.Linear(3, 3), F.relu)
    model = nn.Sequential({"head": nn.Linear(3, 3), "body": inner, "again": inner})
    report = nn.variance_report(model, np.ones((2, 3), np.float32))
    assert [row.name for row in report] == ["head", "body.0", "body.1", "body.0", "body.1"]


def test_several_inputs():
    assert len(nn.variance_report(nn.Bilinear(2, 3, 4), (np.ones((5, 2)), np.ones((5, 3))))) == 1


def test_a_frozen_model_and_no_grad_still_show_gradients(rng):
    model = nn.Sequential(nn.Linear(3, 3), tanh, nn.Linear(3, 3))
    x = rng.normal(size=(4, 3)).astype(np.float32)
    expected = nn.variance_report(model, x)
    model.requires_grad_(False)
    with cunet.no_grad():
        assert nn.variance_report(model, x) == expected
    assert all(row.gradient_norm > 0 for row in expected)


def test_an_embedding_takes_integers():
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    assert nn.variance_report(model, np.array([[1, 2], [3, 4]]))[0].shape == (2, 2, 3)
    model.requires_grad_(False)
    assert nn.variance_report(model, np.array([1]))[0].gradient_norm == 0


# -- what it leaves behind


class Stateful(nn.Module):
    """Change all the kinds of state that a forward pass can change."""

    def __init__(self):
        self.total = Tensor(np.zeros(3, np.float32))
        self.mean = Tensor(np.zeros(3, np.float32))
        self.calls = 0
        self.generator = cunet.Generator(4)

    def forward(self, x):
        self.total.data += 1
        self.mean = Tensor(np.ones(3, np.float32))
        self.calls += 1
        self.generator.next()
        cunet_random.default_generator("dropout").next()
        cunet_random.default_generator("never used before").next()
        return x * 1


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_changed(fails):
    model = nn.Sequential(nn.Linear(3, 3), Stateful(), nn.BatchNorm1d(3), nn.Dropout(0.5))
    model[2].eval()
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    model(x).sum().backward()
    gradients = [p.grad.copy() for p in model.parameters()]
    state, streams = model.state_dict(), cunet_random.get_state()
    own = model[1].generator.state_dict()
    y = host(model.train()(x))
    model.load_state_dict(state)
    cunet_random.set_state(streams)
    model[1].generator.load_state_dict(own)
    calls, mean = model[1].calls, model[1].mean

    def loss(output, target):
        if fails:
            raise ZeroDivisionError
        return output.sum()

    if fails:
        with pytest.raises(ZeroDivisionError):
            nn.variance_report(model, (x, x), loss)
    else:
        nn.variance_report(model, (x, x), loss)
    assert (
        model[1].calls == calls and cunet_random.get_state()["streams"][: len(streams["streams"])] == streams["streams"]
    )
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    for p, gradient in zip(model.parameters(), gradients, strict=True):
        np.testing.assert_array_equal(p.grad, gradient)
    assert model[1].generator.state_dict() == own and model[1].mean is mean
    np.testing.assert_array_equal(host(model(x)), y)  # the same dropout mask comes next


def test_a_report_can_be_repeated():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Linear(3, 3))
    x = np.ones((4, 3), np.float32)
    assert nn.variance_report(model, x) == nn.variance_report(model, x)
    other = nn.variance_report(model, x, generator=cunet.Generator(1))
    assert other[-1].variance == nn.variance_report(model, x)[-1].variance
    assert other[-1].gradient_norm != nn.variance_report(model, x)[-1].gradient_norm


# -- the table


def test_table_is_aligned_and_fits_80_columns():
    inner = nn.Sequential({"a_rather_long_name_of_a_layer_that_nobody_would_type_twice": nn.Linear(3, 2000)})
    model = nn.Sequential({"encoder": inner, "norm": nn.BatchNorm1d(2000), "act": F.leaky_relu})
    lines = str(nn.variance_report(model, 1e-3 * np.arange(192, dtype=np.float32).reshape(64, 3))).split("\n")
    assert lines[0].split() == ["layer", "kind", "output", "mean", "variance", "grad", "norm"]
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1 and len(lines[0]) <= 80
    assert lines[1].startswith("...") and "would_type_twice  Linear" in lines[1]
    assert "BatchNorm1d  64x2000" in lines[2] and lines[3].startswith("act")
