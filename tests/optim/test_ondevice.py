"""Rate and step count on the device, as a captured CUDA graph replays them. Always on the simulated device."""

import json

import numpy as np
import pytest
from helpers import host
from optimizer_rows import LAYER_ROWS, ROWS, row_id

import sim
from cunet import optim
from cunet.autograd.tensor import Tensor
from cunet.kernels.backends.cuda import inplace

xp = sim.namespace_or_skip()
stats = xp._stats

OPTIMIZERS = {row_id(row): (row[0], {k: v for k, v in row[1].items() if k != "lr"}) for row in ROWS}
every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
SHAPES = [(3, 5), (5,), (), (2, 2)]


pytestmark = pytest.mark.usefixtures("simulated")


def made(name, rng, dtype=np.float64, rate=0.0625):
    """Two equal sets of parameters on the device, and an optimiser each: the rate on the host, and on the device."""
    cls, kw = OPTIMIZERS[name]
    weights = [rng.standard_normal(s).astype(dtype) for s in SHAPES]
    both = [[Tensor(xp.asarray(w), requires_grad=True) for w in weights] for _ in range(2)]
    lr = xp.asarray(np.float64(rate))
    return both, [cls(both[0], lr=rate, **kw), cls(both[1], lr=lr, **kw)]


def gradients(rng, dtype=np.float64):
    return [xp.asarray(rng.standard_normal(s).astype(dtype)) for s in SHAPES]


def step(params, optimizer, grads):
    for p, g in zip(params, grads, strict=True):
        p.grad = g
    optimizer.step()


@every_optimizer
def test_a_rate_on_the_device_trains_as_one_on_the_host(name, rng):
    both, optimizers = made(name, rng)
    for k in range(4):
        grads = gradients(rng)
        if k == 2:
            optimizers[0].param_groups[0]["lr"] = 0.25
            optimizers[1].param_groups[0]["lr"][...] = 0.25
        for params, optimizer in zip(both, optimizers, strict=True):
            step(params, optimizer, grads)
    for p, q in zip(*both, strict=True):
        np.testing.assert_allclose(host(q), host(p), rtol=1e-13, atol=1e-15)


@every_optimizer
def test_to_maximize_goes_the_other_way(name, rng):
    (up, down), optimizers = made(name, rng)
    optimizers[0].param_groups[0] |= {"maximize": True, "lr": xp.asarray(0.0625)}
    for _ in range(3):
        grads = gradients(rng)
        step(up, optimizers[0], grads)
        step(down, optimizers[1], [-g for g in grads])
    for p, q in zip(up, down, strict=True):
        assert host(p).tobytes() == host(q).tobytes()


@every_optimizer
def test_kernels_read_the_same_arrays_in_every_step(name, rng, monkeypatch):
    (_, params), (_, optimizer) = made(name, rng)
    seen = []
    launch = inplace.launch

    def spy(kernel, xp, grads, scalars, arrays):
        if kernel.name != "gather_arrays":  # which makes the flat buffers in the first step
            seen.append([a.data.ptr for a in (*scalars, *arrays) if hasattr(a, "data")])
        return launch(kernel, xp, grads, scalars, arrays)

    monkeypatch.setattr(inplace, "launch", spy)
    schedule = optim.StepLR(optimizer, 1, gamma=0.5)
    pointers, launches = [], []
    for k in range(4):
        grads = gradients(rng)
        with stats.forbid(*(["syncs", "uploads"] if k else ["syncs"])), stats.counting() as counted:
            step(params, optimizer, grads)
            schedule.step()
        numbers = [optimizer.state[0][n] for n in optimizer.numbers]
        pointers.append([optimizer.param_groups[0]["lr"].data.ptr, *[n.data.ptr for n in numbers]])
        launches.append(counted["launches"])
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert pointers[0] == pointers[1] == pointers[2] == pointers[3]
    assert launches[1:] == [2, 2, 2]  # numbers and scalars, and the update of all parameters
    assert float(optimizer.param_groups[0]["lr"]) == 0.0625 / 16
    assert float(optimizer.state[-1]["step"]) == 4


@pytest.mark.parametrize(("cls", "kw"), LAYER_ROWS, ids=map(row_id, LAYER_ROWS))
def test_steps_of_whole_parameters_read_the_same_arrays_without_waiting(cls, kw, rng):
    params = [Tensor(xp.asarray(rng.standard_normal(s)), requires_grad=True) for s in [(3, 5), (2, 2), (4, 3)]]
    optimizer = cls(params, **kw | {"lr": xp.asarray(0.0625)})
    schedule = optim.StepLR(optimizer, 1, gamma=0.5)
    places = []
    for k in range(3):
        grads = [xp.asarray(rng.standard_normal(p.data.shape)) for p in params]
        with stats.forbid(*(["syncs", "uploads"] if k else ["syncs"])):
            step(params, optimizer, grads)
            schedule.step()
        held = [
            optimizer.param_groups[0]["lr"],
            *optimizer.state[0].values(),
            *optimizer._buffers[0][0].scalars.values(),
        ]
        places.append([a.data.ptr for a in held])
    assert places[0] == places[1] == places[2]
    assert [float(state["step"]) for state in optimizer.state] == [3] * 3
    assert len({id(state["step"]) for state in optimizer.state}) == 1  # one count, by one kernel


@every_optimizer
def test_the_state_is_saved_as_plain_numbers_and_goes_on(name, rng):
    (_, params), (_, optimizer) = made(name, rng)
    for _ in range(3):
        step(params, optimizer, gradients(rng))
    saved = optimizer.state_dict()
    numbers = [{k: s[k] for k in optimizer.numbers} for s in saved["state"]]
    assert [n["step"] for n in json.loads(json.dumps(numbers))] == [3] * 4
    assert all(type(n["step"]) is int for n in numbers)
    (plain, copies), (eager, other) = made(name, rng)
    for p, q, r in zip(params, copies, plain, strict=True):
        q.data, r.data = p.data.copy(), p.data.copy()
    other.load_state_dict(saved)
    eager.load_state_dict(saved)
    grads = gradients(rng)
    for some, one in ((params, optimizer), (copies, other), (plain, eager)):
        step(some, one, grads)
    for p, q, r in zip(params, copies, plain, strict=True):
        assert host(p).tobytes() == host(q).tobytes()
        np.testing.assert_allclose(host(r), host(p), rtol=1e-13, atol=1e-15)


CYCLED = [name for name, (_, kw) in OPTIMIZERS.items() if name != "SGD" or kw.get("momentum")]


def momentum_of(group):
    return group["betas"][0] if "betas" in group else group["momentum"]


@pytest.mark.parametrize("name", CYCLED)
def test_a_momentum_that_is_scheduled_lies_on_the_device_too(name, rng):
    both, optimizers = made(name, rng)
    if not ("betas" in optimizers[0].param_groups[0] or optimizers[0].param_groups[0].get("momentum")):
        pytest.skip("no momentum")
    schedules = [optim.OneCycleLR(optimizer, max_lr=0.125, total_steps=9) for optimizer in optimizers]
    place = momentum_of(optimizers[1].param_groups[0]).data.ptr
    for k in range(7):
        grads = gradients(rng)
        step(both[0], optimizers[0], grads)
        schedules[0].step()
        with stats.forbid(*(["syncs", "uploads"] if k else ["syncs"])):
            step(both[1], optimizers[1], grads)
            schedules[1].step()
    assert momentum_of(optimizers[1].param_groups[0]).data.ptr == place
    assert float(momentum_of(optimizers[1].param_groups[0])) == momentum_of(optimizers[0].param_groups[0])
    for p, q in zip(*both, strict=True):
        np.testing.assert_allclose(host(q), host(p), rtol=1e-12, atol=1e-15)


def test_settings_on_the_device_are_saved_plain_and_loaded_into_their_arrays(rng):
    both, optimizers = made("AdamW", rng)
    optim.OneCycleLR(optimizers[1], max_lr=0.125, total_steps=9)
    step(both[1], optimizers[1], gradients(rng))
    group = optimizers[1].param_groups[0]
    group["betas"] = (group["betas"][0], xp.asarray(0.75))
    places = [beta.data.ptr for beta in group["betas"]]
    saved = json.loads(json.dumps(optimizers[1].state_dict()["param_groups"]))
    assert saved[0]["betas"] == [0.95, 0.75]
    state = optimizers[1].state_dict()
    for beta in group["betas"]:
        beta[...] = 0.5
    optimizers[1].load_state_dict(state)
    assert [float(beta) for beta in group["betas"]] == [0.95, 0.75]
    assert [beta.data.ptr for beta in group["betas"]] == places


def test_a_parameter_without_a_gradient_keeps_its_count(rng):
    both, optimizers = made("Adam", rng)
    for skipped in (None, 1, None, 3):
        grads = gradients(rng)
        for params, optimizer in zip(both, optimizers, strict=True):
            step(params, optimizer, [None if k == skipped else g for k, g in enumerate(grads)])
    assert [float(s["step"]) for s in optimizers[1].state] == [s["step"] for s in optimizers[0].state] == [4, 3, 4, 3]
    for p, q in zip(*both, strict=True):
        np.testing.assert_allclose(host(q), host(p), rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_other_dtypes_and_a_rate_in_float32(dtype, rng):
    cls, kw = OPTIMIZERS["AdamW"]
    weights = [rng.standard_normal(s).astype(dtype) for s in SHAPES]
    both = [[Tensor(xp.asarray(w), requires_grad=True) for w in weights] for _ in range(2)]
    optimizers = [cls(both[0], lr=0.125, **kw), cls(both[1], lr=xp.asarray(np.float32(0.125)), **kw)]
    for _ in range(3):
        grads = gradients(rng, dtype)
        for params, optimizer in zip(both, optimizers, strict=True):
            step(params, optimizer, grads)
    for p, q in zip(*both, strict=True):
        np.testing.assert_allclose(host(q).astype("d"), host(p).astype("d"), rtol=1e-3 if dtype == np.float16 else 1e-6)


def test_groups_have_rates_of_their_own(rng):
    params = [Tensor(xp.asarray(np.ones(3)), requires_grad=True) for _ in range(2)]
    optimizer = optim.SGD([{"params": params[:1]}, {"params": params[1:]}], lr=xp.asarray(1.0))
    first, second = (group["lr"] for group in optimizer.param_groups)
    second[...] = 2.0
    step(params, optimizer, [xp.asarray(np.ones(3))] * 2)
    assert (float(first), float(second)) == (1, 2)
    assert [host(p)[0] for p in params] == [0, -1]


@pytest.mark.parametrize("count", [1, 2, 3, 31, 32, 33, 70])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_gradients_are_read_where_they_lie(count, dtype, rng):
    shapes = [(int(n),) for n in rng.integers(0, 9, count)]
    weights = [rng.standard_normal(s).astype(dtype) for s in shapes]
    grads = [rng.standard_normal(s).astype(dtype) for s in shapes]
    params = [Tensor(xp.asarray(w), requires_grad=True) for w in weights]
    optimizer = optim.SGD(params, lr=0.5, momentum=0.5)
    for _ in range(2):
        step(params, optimizer, [xp.asarray(g) for g in grads])
    for p, w, g in zip(params, weights, grads, strict=True):
        wide = np.float32 if dtype == np.float16 else dtype
        expected = w.astype(wide) - g.astype(wide) * wide(0.5) - g.astype(wide) * wide(0.75)
        np.testing.assert_allclose(
            host(p), expected.astype(dtype), rtol=2e-3 if dtype == np.float16 else 1e-6, atol=1e-3
        )
