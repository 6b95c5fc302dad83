"""L-BFGS: known problems, PyTorch's steps, its state, and what goes wrong."""

import copy
import json
import pickle

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, nn, optim
from cunet.autograd.tensor import Tensor

every_search = pytest.mark.parametrize("search", [None, "strong_wolfe"], ids=["fixed", "wolfe"])
START = np.array([-1.2, 1.0, -0.5, 0.8])


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def leaf(dev, x=START, dtype=None):
    return Tensor(dev(np.array(x), dtype), requires_grad=True)


def closure_of(optimizer, loss_of):
    def closure():
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        return loss

    return closure


def minimize(x, loss_of, steps, **kw):
    optimizer = optim.LBFGS([x], **kw)
    closure = closure_of(optimizer, lambda: loss_of(x))
    for _ in range(steps):
        optimizer.step(closure)
    return optimizer


def test_rosenbrock(dev):
    x = leaf(dev)
    optimizer = minimize(x, rosenbrock, 8, line_search_fn="strong_wolfe")
    np.testing.assert_allclose(host(x), 1, atol=1e-6)
    assert optimizer.state[0]["func_evals"] < 120


def test_the_minimum_of_a_quadratic_solves_equations(dev, rng):
    q = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    a, b = dev(q * [1.0, 3.0, 9.0] @ q.T), dev(rng.standard_normal(3))
    x = leaf(dev, np.zeros(3))
    minimize(x, lambda x: (x @ a @ x) / 2 - b @ x, 1, line_search_fn="strong_wolfe", tolerance_change=1e-14)
    np.testing.assert_allclose(host(x), np.linalg.solve(host(a), host(b)), rtol=1e-5)


@pytest.mark.cpu_only
@every_search
@pytest.mark.parametrize("history", [100, 3])
def test_steps_are_those_of_pytorch(search, history):
    torch = pytest.importorskip("torch")
    kw = {"line_search_fn": search, "history_size": history, "max_iter": 4, "lr": 1.0 if search else 0.1}
    x, y = leaf(np.asarray), torch.nn.Parameter(torch.tensor(START))
    ours, theirs = optim.LBFGS([x], **kw), torch.optim.LBFGS([y], **kw)
    for _ in range(10):
        loss = ours.step(closure_of(ours, lambda: rosenbrock(x)))
        expected = theirs.step(closure_of(theirs, lambda: rosenbrock(y)))
        np.testing.assert_allclose(loss.item(), expected.item(), rtol=1e-6)
        np.testing.assert_allclose(x.data, y.detach().numpy(), rtol=1e-6)
    assert ours.state[0]["func_evals"] == theirs.state[y]["func_evals"]
    assert ours.state[0]["step"] == theirs.state[y]["n_iter"]


@pytest.mark.cpu_only
def test_defaults_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    theirs = torch.optim.LBFGS([torch.nn.Parameter(torch.zeros(1))]).defaults
    assert optim.LBFGS([leaf(np.asarray)]).defaults == {**theirs, "maximize": False}


@every_search
def test_several_parameters_are_one_vector(search, dev):
    whole, parts = leaf(dev), [leaf(dev, START[:1].reshape(1, 1)), leaf(dev, START[1:]), leaf(dev, [7.0])]
    idle = leaf(dev, np.zeros((0, 2)))
    kw = {"line_search_fn": search, "lr": 1.0 if search else 0.05}
    one, many = optim.LBFGS([whole], **kw), optim.LBFGS([*parts, idle], **kw)
    for _ in range(3):
        one.step(closure_of(one, lambda: rosenbrock(whole)))
        many.step(closure_of(many, lambda: rosenbrock(cunet.concatenate([parts[0].reshape(1), parts[1]]))))
    np.testing.assert_allclose(np.concatenate([host(p).ravel() for p in parts[:2]]), host(whole), rtol=1e-5)
    assert host(parts[2]).tolist() == [7]  # had no gradient


@every_search
def test_to_maximize_is_to_minimize_the_negative(search, dev):
    x, y = leaf(dev), leaf(dev)
    minimize(x, rosenbrock, 3, line_search_fn=search, lr=0.1)
    minimize(y, lambda y: -rosenbrock(y), 3, line_search_fn=search, lr=0.1, maximize=True)
    assert host(x).tobytes() == host(y).tobytes()


def through_a_file(state):
    """Return a state whose numbers went through JSON."""
    numbers = [{k: v for k, v in s.items() if not hasattr(v, "dtype")} for s in state["state"]]
    arrays = [{k: v.copy() for k, v in s.items() if hasattr(v, "dtype")} for s in state["state"]]
    back = json.loads(json.dumps({"state": numbers, "param_groups": state["param_groups"]}))
    return {**back, "state": [n | a for n, a in zip(back["state"], arrays, strict=True)]}


@every_search
@pytest.mark.parametrize("history", [100, 2])
def test_training_goes_on_exactly_after_loading(search, history, dev):
    kw = {"line_search_fn": search, "lr": 1.0 if search else 0.1, "max_iter": 3, "history_size": history}
    x = leaf(dev)
    optimizer = minimize(x, rosenbrock, 3, **kw)
    state = optimizer.state_dict()
    saved = through_a_file(state)
    y = leaf(dev, host(x).copy())
    other = optim.LBFGS([y])
    other.load_state_dict(saved)
    for _ in range(3):
        optimizer.step(closure_of(optimizer, lambda: rosenbrock(x)))
        other.step(closure_of(other, lambda: rosenbrock(y)))
    assert host(x).tobytes() == host(y).tobytes()
    assert state["state"][0]["step"] == 6 and optimizer.state[0]["step"] > 6
    assert (host(state["state"][0]["d"]) == host(saved["state"][0]["d"])).all()  # later steps did not reach into it


@pytest.mark.parametrize("again", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["deepcopy", "pickle"])
def test_a_copy_trains_on_by_itself(again, dev):
    x = leaf(dev)
    optimizer = minimize(x, rosenbrock, 2, line_search_fn="strong_wolfe", max_iter=3)
    other, before = again(optimizer), host(x).copy()
    (y,) = other.param_groups[0]["params"]
    for _ in range(2):
        other.step(closure_of(other, lambda: rosenbrock(y)))
    assert (host(x) == before).all()
    for _ in range(2):
        optimizer.step(closure_of(optimizer, lambda: rosenbrock(x)))
    assert host(x).tobytes() == host(y).tobytes()


def test_another_history_size_begins_anew(dev):
    x = leaf(dev)
    optimizer = minimize(x, rosenbrock, 2, line_search_fn="strong_wolfe", max_iter=3)
    optimizer.param_groups[0]["history_size"] = 2
    for _ in range(20):
        optimizer.step(closure_of(optimizer, lambda: rosenbrock(x)))
    assert optimizer.state[0]["places"] == 2
    np.testing.assert_allclose(host(x), 1, atol=1e-2)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_layer_is_fitted_in_each_dtype(dtype, dev, rng):
    x = rng.uniform(-1, 1, (32, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]]) + 0.25
    model = nn.Linear(3, 1).astype(dtype)
    model.to(Tensor(dev(x)).device)
    optimizer = optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")
    closure = closure_of(optimizer, lambda: F.mse_loss(model(Tensor(dev(x, dtype))), dev(y, dtype)))
    for _ in range(2):
        optimizer.step(closure)
    assert model.weight.dtype == dtype
    np.testing.assert_allclose(host(model.weight), [[1, -2, 0.5]], atol=0.02 if dtype == np.float16 else 1e-3)


def test_a_loss_that_is_nan_beyond_a_border_is_minimized_before_it(dev):
    x = leaf(dev, [5.0])
    with np.errstate(all="ignore"):
        minimize(x, lambda x: (x - cunet.log(x)).sum(), 3, lr=100.0, line_search_fn="strong_wolfe")
    np.testing.assert_allclose(host(x), 1, rtol=1e-5)


@every_search
def test_an_error_of_the_closure_leaves_the_parameters_of_the_last_step(search, dev):
    x = leaf(dev)
    optimizer = minimize(x, rosenbrock, 1, line_search_fn=search, lr=0.1, max_iter=2)
    before, calls = host(x).copy(), []

    def loss():
        calls.append(host(x).copy())
        if len(calls) == 2:
            raise RuntimeError("no more")
        return rosenbrock(x)

    with pytest.raises(RuntimeError, match="no more"):
        optimizer.step(closure_of(optimizer, loss))
    assert not (calls[1] == before).all()
    np.testing.assert_array_equal(host(x), before)
    optimizer.step(closure_of(optimizer, lambda: rosenbrock(x)))
    assert np.isfinite(host(x)).all()


@pytest.mark.parametrize("cls", [optim.LBFGS, optim.SGD])
def test_the_closure_is_recorded_and_its_loss_returned(cls, dev):
    x = leaf(dev, [3.0])
    optimizer = cls([x], lr=0.25)
    with cunet.no_grad():
        loss = optimizer.step(closure_of(optimizer, lambda: (x * x).sum()))
    assert float(loss) == 9 and host(x)[0] < 3


def test_at_the_minimum_nothing_moves(dev):
    x = leaf(dev, np.ones(4))
    optimizer = minimize(x, rosenbrock, 2)
    assert (host(x) == 1).all() and optimizer.state[0]["func_evals"] == 2 and optimizer.state[0]["step"] == 0


@pytest.mark.cpu_only
def test_what_does_not_fit_is_named():
    x, y = leaf(np.asarray), leaf(np.asarray, [1.0], np.float32)
    optimizer = optim.LBFGS([x])
    with pytest.raises(TypeError, match="LBFGS: step needs a closure"):
        optimizer.step()
    with pytest.raises(TypeError, match="LBFGS: closure must return the loss, got None"):
        optimizer.step(lambda: None)
    with pytest.raises(ValueError, match="LBFGS: all parameters must be in one group"):
        optimizer.add_param_group({"params": [y]})
    with pytest.raises(ValueError, match="one group"):
        optim.LBFGS([{"params": [x]}, {"params": [y]}])
    with pytest.raises(ValueError, match="one dtype and device, got float64 on cpu, float32 on cpu"):
        optim.LBFGS([x, y]).step(lambda: 0.0)
    for name, value in (("max_iter", 0), ("history_size", 2.5), ("max_eval", -1), ("tolerance_grad", -1.0)):
        with pytest.raises((TypeError, ValueError), match=f"LBFGS: {name} must be"):
            optim.LBFGS([x], **{name: value})
    with pytest.raises(ValueError, match="LBFGS: line_search_fn must be None or \"strong_wolfe\", got 'armijo'"):
        optim.LBFGS([x], line_search_fn="armijo")
