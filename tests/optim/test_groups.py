"""Groups of parameters: rates and decay of their own, what weight decay spares."""

import numpy as np
import pytest
from helpers import host
from optimizer_helpers import Linear, draw, leaves, looped, train
from optimizer_rows import adamw_oracle

from cunet import optim
from cunet.nn.module import Module, Parameter


def test_groups_have_rates_and_decay_of_their_own(dev, rng):
    weights, grads = draw(rng, shapes=[(3,), (2, 2), (4,)])
    params = leaves(dev, weights)
    groups = [
        {"params": params[0], "lr": 0.5},
        {"params": iter(params[1:2]), "weight_decay": 0.7},
        {"params": [("bias", params[2])], "betas": (0.5, 0.5)},
    ]
    opt = optim.AdamW(groups, lr=0.01, weight_decay=0.0)
    train(opt, params, dev, grads)
    own = [
        {"lr": 0.5, "weight_decay": 0.0},
        {"lr": 0.01, "weight_decay": 0.7},
        {"lr": 0.01, "weight_decay": 0.0, "betas": (0.5, 0.5)},
    ]
    for i, kw in enumerate(own):
        (expected,) = looped(adamw_oracle, [weights[i]], [[step[i]] for step in grads], **kw)
        np.testing.assert_allclose(host(params[i]), expected, rtol=1e-11)
    assert opt.param_groups[2]["param_names"] == ["bias"]


def test_lr_may_be_changed_between_steps_and_groups_added(dev):
    a, b = leaves(dev, [np.zeros(1), np.zeros(1)])
    opt = optim.SGD([a], lr=1.0)
    train(opt, [a], dev, [[np.ones(1)]])
    opt.param_groups[0]["lr"] = 0.25
    opt.add_param_group({"params": [b], "lr": 10.0})
    train(opt, [a, b], dev, [[np.ones(1), np.ones(1)]])
    assert (host(a)[0], host(b)[0]) == (-1.25, -10.0)
    assert len(opt.state) == 2


def test_settings_may_be_switched_on_between_steps(dev):
    (p,) = leaves(dev, [np.zeros(1)])
    opt = optim.SGD([p], lr=1.0)
    train(opt, [p], dev, [[np.ones(1)]])
    opt.param_groups[0]["momentum"] = 0.5
    train(opt, [p], dev, [[np.ones(1)]] * 2)
    assert host(p)[0] == -3.5


def test_rate_may_be_an_array_on_the_device(dev, rng):
    weights, grads = draw(rng, steps=2)
    plain, array = leaves(dev, weights), leaves(dev, weights)
    lr = dev(np.asarray(0.125))
    ours = optim.AdamW(array, lr=lr)
    train(optim.AdamW(plain, lr=0.125), plain, dev, grads)
    train(ours, array, dev, grads)
    for p, q in zip(plain, array, strict=True):
        np.testing.assert_allclose(host(p), host(q), rtol=1e-12)
    optim.StepLR(ours, 1, gamma=0.5).step()
    assert ours.param_groups[0]["lr"] is lr and float(lr) == 0.0625
    state = ours.state_dict()
    assert state["param_groups"][0]["lr"] == 0.0625
    lr[...] = 1.0
    ours.load_state_dict(state)
    assert ours.param_groups[0]["lr"] is lr and float(lr) == 0.0625


class LayerNorm(Module):
    def __init__(self, shape):
        self.weight, self.bias = Parameter(np.ones(shape, np.float32)), Parameter(np.zeros(shape, np.float32))


class PReLU(Module):
    def __init__(self):
        self.weight = Parameter(np.full((1, 1), 0.25, np.float32))


class Model(Module):
    def __init__(self):
        self.first, self.norm, self.act = Linear(), LayerNorm((4, 4)), PReLU()
        self.frozen, self.scale = Linear(trained=False), Parameter(np.ones((), np.float32))


@pytest.mark.cpu_only
def test_no_decay_groups_spare_biases_norms_and_prelu():
    model = Model()
    decay, rest = optim.no_decay_groups(model, 0.1)
    assert (decay["weight_decay"], rest["weight_decay"]) == (0.1, 0.0)
    assert [name for name, _ in decay["params"]] == ["first.weight"]
    names = ["first.bias", "norm.weight", "norm.bias", "act.weight", "frozen.bias", "scale"]
    assert [name for name, _ in rest["params"]] == names


def test_no_decay_groups_take_names_and_keep_spared_weights_as_they_are(dev):
    matrix, bias, alpha = leaves(dev, [np.ones((2, 2)), np.ones((1, 2)), np.ones(1)])
    groups = optim.no_decay_groups([("a.weight", matrix), ("a.bias", bias), ("act.weight", alpha)], 0.5)
    opt = optim.SGD(groups, lr=1.0)
    train(opt, [matrix, bias, alpha], dev, [[np.zeros((2, 2)), np.zeros((1, 2)), np.zeros(1)]])
    assert host(matrix).tolist() == [[0.5, 0.5]] * 2
    assert host(bias).tolist() == [[1, 1]] and host(alpha).tolist() == [1]
    assert len(optim.no_decay_groups([("a.bias", bias)], 0.5)) == 1
