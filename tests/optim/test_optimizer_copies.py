"""Copies of optimisers, schedules and all that holds one: they train on by themselves, exactly as the first does."""

import copy
import pickle

import numpy as np
import pytest
from helpers import host
from optimizer_helpers import draw, leaves, train
from optimizer_rows import FULL_ROWS

from cunet import optim
from cunet.autograd.tensor import Tensor

every_way = pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["deepcopy", "pickle"]
)


@every_way
@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize(("cls", "kw"), FULL_ROWS, ids=[cls.__name__ for cls, _ in FULL_ROWS])
def test_a_copy_trains_on_by_itself(cls, kw, steps, again, dev, rng):
    weights, grads = draw(rng, dtype=np.float32)
    params = leaves(dev, weights)
    opt = cls([{"params": params[:2], "lr": 0.03}, {"params": params[2:]}], **kw)
    train(opt, params, dev, grads[:steps])
    other = again(opt)
    copies = [p for group in other.param_groups for p in group["params"]]
    before = [host(p).copy() for p in params]
    train(other, copies, dev, grads[steps:])
    for p, old in zip(params, before, strict=True):
        np.testing.assert_array_equal(host(p), old)
    train(opt, params, dev, grads[steps:])
    for p, q in zip(params, copies, strict=True):
        np.testing.assert_array_equal(host(p), host(q))
    for buffer in [buffer for group in other._buffers for buffer in group]:
        buffer.data[...] = 7
    assert all((host(q) == 7).all() and (host(p) != 7).all() for p, q in zip(params, copies, strict=True))


@every_way
@pytest.mark.cpu_only
def test_a_copy_of_half_types_keeps_the_float32_weights(again):
    p = Tensor(np.ones(3, np.float16), requires_grad=True)
    opt = optim.SGD([p], lr=1e-4)
    train(opt, [p], np.asarray, [[np.ones(3, np.float16)]] * 3)
    other = again(opt)
    train(other, other.param_groups[0]["params"], np.asarray, [[np.ones(3, np.float16)]])
    np.testing.assert_allclose(other.state[0]["master"], 1 - 4e-4, rtol=1e-6)


SCHEDULES = {
    "StepLR": lambda o: optim.StepLR(o, 3, gamma=0.5),
    "OneCycleLR": lambda o: optim.OneCycleLR(o, 0.3, 40),
    "SequentialLR": lambda o: optim.SequentialLR(o, [optim.LinearLR(o), optim.ExponentialLR(o, 0.9)], [6]),
    "ReduceLROnPlateau": lambda o: optim.ReduceLROnPlateau(o, patience=0, factor=0.5),
}


@every_way
@pytest.mark.cpu_only
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_copy_of_a_schedule_sets_its_own_optimiser(name, again):
    opt = optim.SGD([Tensor(np.ones(2), requires_grad=True)], lr=0.4, momentum=0.9)
    one = SCHEDULES[name](opt)
    metric = [1.0] if name == "ReduceLROnPlateau" else []
    for _ in range(4):
        one.step(*metric)
    opt_twin, two = again((opt, one))
    assert two.optimizer is opt_twin
    rate = opt.param_groups[0]["lr"]
    for _ in range(4):
        two.step(*metric)
    assert opt.param_groups[0]["lr"] == rate != opt_twin.param_groups[0]["lr"]
    for _ in range(4):
        one.step(*metric)
    assert one.last_lr == two.last_lr and one.state_dict() == two.state_dict()
