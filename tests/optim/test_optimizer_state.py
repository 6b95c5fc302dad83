"""State of optimisers: saved, loaded, refused where it does not fit; half types."""

import numpy as np
import pytest
from helpers import host
from optimizer_helpers import draw, leaves, through_files, train
from optimizer_rows import FULL_ROWS

from cunet import optim
from cunet.autograd.tensor import Tensor

every_optimizer = pytest.mark.parametrize(("cls", "kw"), FULL_ROWS, ids=[cls.__name__ for cls, _ in FULL_ROWS])


def bfloat16():
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_types_add_up_steps_that_are_too_small_for_them(kind, dev):
    dtype = bfloat16() if kind == "bfloat16" else np.dtype(kind)
    params = [Tensor(dev(np.ones(3).astype(dtype)), requires_grad=True) for _ in range(2)]
    opt = optim.SGD(params, lr=1e-4)
    train(opt, params, dev, [[np.ones(3).astype(dtype), None]] * 100)
    assert params[0].data.dtype == dtype
    np.testing.assert_array_equal(host(params[0]), np.full(3, 0.99).astype(dtype))
    np.testing.assert_array_equal(host(params[1]), np.ones(3).astype(dtype))
    # A loaded or averaged weight replaces the float32 copy; the same numbers in a new array do not.
    master = host(opt.state[0]["master"]).copy()
    params[0].data = params[0].data.copy()
    opt.step()
    np.testing.assert_allclose(host(opt.state[0]["master"]), master - 1e-4, rtol=1e-7)
    params[0].data = dev(np.full(3, 2.0).astype(dtype))
    opt.step()
    np.testing.assert_allclose(host(opt.state[0]["master"]), 2 - 1e-4, rtol=1e-7)


def test_half_types_resume_exactly(dev, rng):
    weights = [rng.standard_normal(5).astype(np.float16)]
    grads = [[rng.standard_normal(5).astype(np.float16)] for _ in range(6)]
    params = leaves(dev, weights)
    opt = optim.Adam(params, lr=1e-3)
    train(opt, params, dev, grads[:3])
    copies = leaves(dev, [host(p).copy() for p in params])
    other = optim.Adam(copies)
    other.load_state_dict(opt.state_dict())
    train(opt, params, dev, grads[3:])
    train(other, copies, dev, grads[3:])
    np.testing.assert_array_equal(host(params[0]), host(copies[0]))
    np.testing.assert_array_equal(host(opt.state[0]["master"]), host(other.state[0]["master"]))


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_goes_on_exactly_after_loading(cls, kw, dtype, dev, rng):
    weights, grads = draw(rng, dtype=dtype)
    grads[1][2] = None  # so that step counts differ
    params = leaves(dev, weights)
    opt = cls([{"params": params[:2], "lr": 0.03}, {"params": params[2:]}], **kw)
    train(opt, params, dev, grads[:3])
    state = opt.state_dict()
    saved = through_files(state)
    copies = leaves(dev, [host(p).copy() for p in params])
    other = cls([{"params": copies[:2]}, {"params": copies[2:]}])
    other.load_state_dict(saved)
    train(opt, params, dev, grads[3:])
    train(other, copies, dev, grads[3:])
    for p, q in zip(params, copies, strict=True):
        np.testing.assert_array_equal(host(p), host(q))
    assert other.param_groups[0]["lr"] == 0.03
    # A state is a snapshot: later steps did not reach into it, neither saved nor loaded.
    for before, file in zip(state["state"], saved["state"], strict=True):
        assert before.keys() == file.keys()
        for name, value in before.items():
            np.testing.assert_array_equal(host(value), file[name])


@pytest.mark.cpu_only
def test_state_has_the_names_of_pytorch():
    torch = pytest.importorskip("torch")
    for cls, kw in FULL_ROWS:
        if not hasattr(torch.optim, cls.__name__):
            continue
        p, t = Tensor(np.ones(2), requires_grad=True), torch.nn.Parameter(torch.ones(2))
        p.grad, t.grad = np.ones(2), torch.ones(2)
        opt, other = cls([p], **kw), getattr(torch.optim, cls.__name__)([t], **kw)
        opt.step()
        other.step()
        names = {{"max_exp_avg_sqs": "max_exp_avg_sq"}.get(k, k) for k in other.state_dict()["state"][0]}
        assert opt.state_dict()["state"][0].keys() == names | {"step"}, cls


@pytest.mark.cpu_only
def test_a_state_that_does_not_fit_is_refused_with_the_difference():
    def adam(*shapes, **kw):
        params = [Tensor(np.ones(s), requires_grad=True) for s in shapes]
        for p in params:
            p.grad = np.ones(p.data.shape)
        opt = optim.Adam(params, **kw)
        opt.step()
        return opt

    opt = adam((2,), (3,), lr=0.5)
    before = opt.state_dict()
    two_groups = adam((2,))
    two_groups.add_param_group({"params": Tensor(np.ones(3), requires_grad=True)})
    sgd = optim.SGD([Tensor(np.ones(s), requires_grad=True) for s in (2, 3)])
    partly = adam((2,), (3,)).state_dict()
    del partly["state"][1]["exp_avg"], partly["state"][1]["step"]
    bad_rate = adam((2,), (3,)).state_dict()
    bad_rate["param_groups"][0]["lr"] = -1.0
    short = adam((2,), (3,)).state_dict()
    short["state"].pop()
    for state, match in [
        (two_groups.state_dict(), "2 parameter groups, the optimiser 1"),
        (adam((2,)).state_dict(), "group 0 of the state has 1 parameters, that of the optimiser 2"),
        (sgd.state_dict(), "amsgrad, betas"),
        (adam((2,), (4,)).state_dict(), r"state 1: exp_avg must have shape \(3,\), got \(4,\)"),
        (partly, "state 1 must hold"),
        (bad_rate, "lr must be in"),
        (short, "the state is of 1 parameters, the optimiser has 2"),
    ]:
        with pytest.raises(ValueError, match=match):
            opt.load_state_dict(state)
    after = opt.state_dict()
    assert after["param_groups"] == before["param_groups"]
    np.testing.assert_array_equal(after["state"][1]["exp_avg"], before["state"][1]["exp_avg"])


def test_a_state_finds_its_parameters_by_their_names(dev):
    names = ["w", "b", "c"]

    def make(order):
        leaf = {n: Tensor(dev(np.full(2, float(i))), requires_grad=True) for i, n in enumerate(names)}
        return leaf, optim.Adam([(n, leaf[n]) for n in order])

    leaf, opt = make(names)
    for i, n in enumerate(names):
        leaf[n].grad = dev(np.full(2, i + 1.0))
    opt.step()
    _, other = make(["c", "w", "b"])
    other.load_state_dict(opt.state_dict())
    assert [host(s["exp_avg"])[0] for s in other.state] == pytest.approx([0.3, 0.1, 0.2])
    assert other.param_groups[0]["param_names"] == ["c", "w", "b"]
    _, foreign = make(names)
    foreign.param_groups[0]["param_names"] = ["w", "b", "d"]
    with pytest.raises(ValueError, match="group 0 of the state is of other parameters: c, d on one side only"):
        foreign.load_state_dict(opt.state_dict())
    assert foreign.state == [{}, {}, {}]
