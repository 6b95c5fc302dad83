"""Optimisers: every step against scalar loops in Python floats, and against PyTorch where it is installed."""

import importlib
import json
import pkgutil

import numpy as np
import pytest
from helpers import host
from optimizer_rows import FULL_ROWS, ORACLES, ROWS, adam_oracle, adamw_oracle, nadam_oracle, row_id

from cunet import kernels, optim
from cunet.autograd.tensor import Tensor
from cunet.kernels import listening
from cunet.kernels.backends.numpy import tuning
from cunet.nn.module import Module, Parameter

SHAPES = [(3, 4), (4,), (), (2, 1, 5)]
STEPS = 6


every_row = pytest.mark.parametrize(("cls", "kw"), ROWS, ids=map(row_id, ROWS))
every_optimizer = pytest.mark.parametrize(("cls", "kw"), FULL_ROWS, ids=[cls.__name__ for cls, _ in FULL_ROWS])


def draw(rng, shapes=SHAPES, steps=STEPS, dtype=np.float64):
    """Return first weights, and gradients per step; those of the last steps are much smaller."""
    weights = [rng.standard_normal(s).astype(dtype) for s in shapes]
    scale = np.geomspace(3, 0.03, steps)
    return weights, [[np.asarray(rng.standard_normal(s) * c, dtype) for s in shapes] for c in scale]


def leaves(dev, arrays):
    return [Tensor(dev(a), requires_grad=True) for a in arrays]


def train(opt, params, dev, grads):
    for step in grads:
        for p, g in zip(params, step, strict=True):
            p.grad = None if g is None else dev(g)
        opt.step()


def looped(oracle, weights, grads, **kw):
    """Run the scalar oracle over every element of every array."""
    out = []
    for i, w in enumerate(weights):
        new = np.empty(w.shape)
        for at in np.ndindex(w.shape):
            new[at] = oracle(float(w[at]), [float(step[i][at]) for step in grads], **kw)
        out.append(new)
    return out


# -- the formulas


@every_row
def test_float64_steps_are_those_of_a_scalar_loop(cls, kw, dev, rng):
    weights, grads = draw(rng)
    params = leaves(dev, weights)
    train(cls(params, **kw), params, dev, grads)
    for p, w, expected in zip(params, weights, looped(ORACLES[cls], weights, grads, **kw), strict=True):
        assert host(p).dtype == np.float64
        np.testing.assert_allclose(host(p), expected, rtol=1e-11, atol=1e-13)
        assert not np.allclose(host(p), w, rtol=1e-6, atol=0)


@every_row
def test_float32_steps_stay_close_to_float64(cls, kw, dev, rng):
    weights, grads = draw(rng, dtype=np.float32)
    params = leaves(dev, weights)
    train(cls(params, **kw), params, dev, grads)
    for p, expected in zip(params, looped(ORACLES[cls], weights, grads, **kw), strict=True):
        assert host(p).dtype == np.float32
        np.testing.assert_allclose(host(p), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.cpu_only
@every_row
def test_steps_are_those_of_pytorch(cls, kw, dev, rng):
    torch = pytest.importorskip("torch")
    if not hasattr(torch.optim, cls.__name__):
        pytest.skip("PyTorch has no such optimiser")
    weights, grads = draw(rng, steps=40)
    params = leaves(dev, weights)
    theirs = [torch.nn.Parameter(torch.tensor(w)) for w in weights]
    opt, other = cls(params, **kw), getattr(torch.optim, cls.__name__)(theirs, **kw)
    for i, step in enumerate(grads):
        # Parameter 1 has no gradient in every third step; 3 has none before the fifth.
        step = [None if (j == 1 and i % 3 == 0) or (j == 3 and i < 4) else g for j, g in enumerate(step)]
        for p, t, g in zip(params, theirs, step, strict=True):
            p.grad, t.grad = (None, None) if g is None else (dev(g), torch.tensor(g))
        opt.step()
        other.step()
    # PyTorch keeps NAdam's product of momenta as a float32.
    rtol = 1e-6 if cls is optim.NAdam else 1e-11
    for p, t in zip(params, theirs, strict=True):
        np.testing.assert_allclose(host(p), t.detach().numpy(), rtol=rtol, atol=1e-12)


@pytest.mark.cpu_only
@every_row
def test_defaults_are_those_of_pytorch(cls, kw):
    torch = pytest.importorskip("torch")
    if not hasattr(torch.optim, cls.__name__):
        pytest.skip("PyTorch has no such optimiser")
    theirs = getattr(torch.optim, cls.__name__)([torch.nn.Parameter(torch.zeros(1))], **kw).defaults
    ours = cls([Tensor(np.zeros(1), requires_grad=True)], **kw).defaults
    assert ours == {k: theirs[k] for k in ours}


def test_first_adam_step_is_lr_whatever_the_gradient(dev):
    p = Tensor(dev([1.0, 1.0, 1.0]), requires_grad=True)
    opt = optim.Adam([p], lr=0.25, eps=0.0)
    train(opt, [p], dev, [[np.array([1e-6, 3.0, -1e6])]])
    np.testing.assert_allclose(host(p), [0.75, 0.75, 1.25], rtol=1e-12)


def test_adam_eps_is_added_after_the_bias_correction(dev):
    p = Tensor(dev([1.0]), requires_grad=True)
    train(optim.Adam([p], lr=1.0, eps=1.0), [p], dev, [[np.array([1.0])]])
    np.testing.assert_allclose(host(p), [0.5], rtol=1e-12)  # 1 - 1 / (sqrt(1) + 1)


def test_momentum_starts_as_the_first_gradient_undampened(dev):
    p = Tensor(dev([0.0]), requires_grad=True)
    opt = optim.SGD([p], lr=1.0, momentum=0.5, dampening=0.5)
    train(opt, [p], dev, [[np.array([8.0])]])
    assert host(p)[0] == -8
    train(opt, [p], dev, [[np.array([0.0])]])
    assert host(p)[0] == -12


def test_centered_rmsprop_keeps_the_mean_of_gradients_in_its_state(dev):
    p = Tensor(dev([0.0]), requires_grad=True)
    opt = optim.RMSprop([p], centered=True, alpha=0.75)
    train(opt, [p], dev, [[np.array([8.0])], [np.array([4.0])]])
    assert host(opt.state[0]["grad_avg"])[0] == 2.5 and host(opt.state[0]["square_avg"])[0] == 16


def test_centered_rmsprop_survives_a_variance_that_rounds_below_zero(dev, rng):
    p = Tensor(dev(np.ones(1000), np.float32), requires_grad=True)
    opt = optim.RMSprop([p], lr=1e-3, centered=True, alpha=0.5, eps=1e-3)
    g = rng.standard_normal(1000).astype(np.float32)
    train(opt, [p], dev, [[g]] * 39)
    before = host(p).copy()
    train(opt, [p], dev, [[g]])
    step = (before - host(p)) / g  # lr / eps = 1, less what the variance is rounded to
    assert (step > 0.2).all()
    assert (step < 1.001).all()


def test_lion_leaves_an_element_without_any_gradient(dev):
    p = Tensor(dev([1.0, 1.0]), requires_grad=True)
    train(optim.Lion([p], lr=0.5), [p], dev, [[np.array([0.0, 2.0])]])
    assert host(p).tolist() == [1.0, 0.5]


def test_lion_leaves_an_element_whose_gradients_cancel(dev):
    p = Tensor(dev([1.0]), requires_grad=True)
    train(optim.Lion([p], lr=0.25, betas=(0.5, 0.5)), [p], dev, [[np.array([4.0])], [np.array([-2.0])]])
    assert host(p).tolist() == [0.75]  # the momentum is 2, and 2 / 2 - 2 / 2 has no sign


@every_optimizer
def test_buffers_longer_than_a_block(cls, kw, dev, rng, monkeypatch):
    weights, grads = draw(rng, shapes=[(50,)], steps=3)
    whole, cut = leaves(dev, weights), leaves(dev, weights)
    train(cls(whole, **kw), whole, dev, grads)
    monkeypatch.setattr(tuning, "tuning", tuning.Tuning(inplace=16))
    train(cls(cut, **kw), cut, dev, grads)
    np.testing.assert_array_equal(host(whole[0]), host(cut[0]))


def test_nan_and_inf_gradients_reach_the_weights_without_warnings(dev):
    p = Tensor(dev([1.0, 1.0, 1.0]), requires_grad=True)
    train(optim.Adam([p]), [p], dev, [[np.array([np.nan, np.inf, 1.0])]])
    assert np.isnan(host(p)).tolist() == [True, True, False]


# -- groups


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


class Linear(Module):
    def __init__(self, trained=True):
        self.weight, self.bias = Parameter(np.ones((3, 2), np.float32), trained), Parameter(np.ones(3, np.float32))


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


@pytest.mark.cpu_only
def test_every_optimizer_is_published_and_in_the_table():
    files = [importlib.import_module(f"cunet.optim.{m.name}") for m in pkgutil.iter_modules(optim.__path__)]
    classes = {c for f in files for c in vars(f).values() if isinstance(c, type) and issubclass(c, optim.Optimizer)}
    public = {c.__name__ for c in classes if not c.__name__.startswith("_")}
    unpublished = sorted(public - {*optim.__all__})
    assert not unpublished, f"cunet/optim/__init__.py does not import {unpublished}"
    untested = sorted(public - {"Optimizer"} - {cls.__name__ for cls in ORACLES})
    assert not untested, f"tests/optimizer_rows.py has no block for {untested}"


@pytest.mark.cpu_only
def test_every_kernel_of_this_package_is_in_a_row():
    used = {cls([leaf()], **kw) for cls, kw in ROWS}
    used = {opt.kernel(opt.param_groups[0]).name for opt in used}
    steps = {name for name, k in kernels.KERNELS.items() if k.spec.kind == "inplace"} - {"gather_arrays"}
    assert used == steps


# -- flat buffers


@pytest.fixture
def calls():
    """The kernels that were called, one entry per call; without that which makes flat buffers."""
    made = []

    def note(kernel, args, options, proceed):
        made.extend([kernel.name] if kernel.spec.kind == "inplace" and kernel.name != "gather_arrays" else [])
        return proceed()

    with listening(note):
        yield made


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_step_is_one_kernel_call_however_many_parameters(count, dev, calls):
    params = leaves(dev, [np.zeros((2, 3), np.float32) for _ in range(count)])
    opt = optim.AdamW(params)
    train(opt, params, dev, [[np.ones((2, 3), np.float32)] * count] * 2)
    assert calls == ["adam", "adam"]


def test_one_call_per_group_dtype_and_run_of_equal_step_counts(dev, calls):
    params = leaves(dev, [np.zeros(2, t) for t in "ffdff"])
    opt = optim.Adam([{"params": params[:4]}, {"params": params[4:]}])
    train(opt, params, dev, [[np.ones(2, p.data.dtype) for p in params]])
    assert len(calls) == 3  # float32 and float64 of the first group, and the second group
    grads = [np.ones(2, p.data.dtype) for p in params]
    train(opt, params, dev, [[grads[0], None, *grads[2:]]])  # a gap between the float32 parameters 0 and 3
    assert len(calls) == 3 + 4
    train(opt, params, dev, [grads])  # 0 and 1 now differ in step count, 0 and 3 do not stand together
    assert len(calls) == 3 + 4 + 5
    assert [s["step"] for s in opt.state] == [3, 2, 3, 3, 3]


def test_parameters_lie_in_one_buffer_from_the_first_step_on(dev):
    arrays = [np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([7.0, 8, 9])]
    params = leaves(dev, arrays)
    opt = optim.SGD(params, lr=1.0)
    assert all(p.data.base is None for p in params)  # making an optimiser changes nothing
    opt.step()
    for p, a in zip(params, arrays, strict=True):
        np.testing.assert_array_equal(host(p), a)
        np.testing.assert_array_equal(host(p.data.base), np.arange(1.0, 10.0))


@every_optimizer
def test_assigned_data_is_taken_into_the_buffer(cls, kw, dev, rng, calls):
    weights, grads = draw(rng, shapes=[(3,), (2, 2)], steps=2)
    params, same = leaves(dev, weights), leaves(dev, weights)
    opt, other = cls(params, **kw), cls(same, **kw)
    train(opt, params, dev, grads[:1])
    train(other, same, dev, grads[:1])
    view = params[1].data
    assigned = dev(rng.standard_normal((2, 2)))
    params[1].data = assigned
    same[1].data[...] = assigned
    calls.clear()
    train(opt, params, dev, grads[1:])
    assert len(calls) == 1 and params[1].data is view
    train(other, same, dev, grads[1:])
    for p, q in zip(params, same, strict=True):
        np.testing.assert_array_equal(host(p), host(q))


def test_state_follows_a_parameter_to_another_dtype(dev, rng):
    weights, grads = draw(rng, shapes=[(3,), (2, 2)], steps=4)
    params = leaves(dev, weights)
    opt = optim.Adam(params, lr=0.1)
    train(opt, params, dev, grads[:2])
    for p in params:
        p.data = p.data.astype(np.float32)
    train(opt, params, dev, [[g.astype(np.float32) for g in step] for step in grads[2:]])
    for p, expected in zip(params, looped(adam_oracle, weights, grads, lr=0.1), strict=True):
        assert host(p).dtype == np.float32
        np.testing.assert_allclose(host(p), expected, rtol=1e-5)


def test_state_follows_a_parameter_to_another_device(dev, rng):
    weights, grads = draw(rng, shapes=[(3,), (2, 2)])
    params = leaves(dev, weights)
    opt = optim.NAdam(params, lr=0.1)
    train(opt, params, dev, grads[:2])
    for p in params:
        p.data = host(p)
    train(opt, params, np.asarray, grads[2:4])
    for p in params:
        p.data = dev(p.data)
    train(opt, params, dev, grads[4:])
    for p, expected in zip(params, looped(nadam_oracle, weights, grads, lr=0.1), strict=True):
        np.testing.assert_allclose(host(p), expected, rtol=1e-11)


def test_a_changed_shape_is_refused_and_nothing_is_written(dev):
    params = leaves(dev, [np.zeros(2), np.zeros(2)])
    opt = optim.SGD(params, lr=1.0)
    train(opt, params, dev, [[np.ones(2), np.ones(2)]])
    params[1].grad = None
    params[1].data = dev(np.zeros(3))
    with pytest.raises(ValueError, match=r"shape \(2,\), got data of shape \(3,\)"):
        opt.step()
    assert host(params[0]).tolist() == [-1, -1]


def test_two_optimizers_may_share_a_parameter(dev):
    a, b, c = leaves(dev, [np.zeros(1), np.zeros(1), np.zeros(1)])
    one, two = optim.SGD([a, b], lr=1.0), optim.SGD([b, c], lr=10.0)
    for _ in range(3):
        train(one, [a, b], dev, [[np.ones(1), np.ones(1)]])
        train(two, [b, c], dev, [[np.ones(1), np.ones(1)]])
    assert [host(p)[0] for p in (a, b, c)] == [-3, -33, -30]


@every_optimizer
def test_parameters_without_a_gradient_are_left_alone(cls, kw, dev, rng):
    weights, grads = draw(rng, shapes=[(3,), (3,), (3,)])
    params = leaves(dev, weights)
    opt = cls(params, **kw)
    train(opt, params, dev, [[g[0], None, g[2]] for g in grads])
    np.testing.assert_array_equal(host(params[1]), weights[1])
    assert opt.state_dict()["state"][1] == {}
    train(opt, params, dev, [[None, g[1], None] for g in grads])
    for p, expected in zip(params, looped(ORACLES[cls], weights, grads, **kw), strict=True):
        np.testing.assert_allclose(host(p), expected, rtol=1e-11, atol=1e-13)


def test_gradients_are_only_read_and_may_be_views(dev, rng):
    base = rng.standard_normal((6, 8))
    params = leaves(dev, [np.zeros((4, 3)), np.zeros(()), np.zeros((2, 2))])
    big = dev(base)
    views = [big[::2, ::2].T, big[0, 0], big[4:, 6:][::-1]]
    expected = [-base[::2, ::2].T, -base[0, 0], -base[4:, 6:][::-1]]
    for count in (3, 1):  # joined, and a parameter alone
        for p, v in zip(params[:count], views, strict=False):
            p.grad = v if isinstance(v, type(big)) else dev(v)
            p.data = p.data * 0
        optim.SGD(params[:count], lr=1.0).step()
        for p, e in zip(params[:count], expected, strict=False):
            np.testing.assert_array_equal(host(p), e)
    np.testing.assert_array_equal(host(big), base)


def test_zero_grad_sets_none(dev):
    params = leaves(dev, [np.zeros(2), np.zeros(2)])
    opt = optim.SGD(params)
    train(opt, params, dev, [[np.ones(2), np.ones(2)]])
    opt.zero_grad()
    assert [p.grad for p in params] == [None, None]
    opt.step()  # no gradient anywhere is nothing to do


def test_empty_parameters_and_a_tied_parameter(dev):
    tied, empty = leaves(dev, [np.ones(2), np.zeros((0, 3))])
    opt = optim.Adam([empty, tied], lr=0.5, eps=0.0)
    y = (tied * tied).sum() + (empty * empty).sum()  # used twice: one gradient, the sum of both uses
    y.backward()
    assert host(tied.grad).tolist() == [2, 2]
    opt.step()
    assert host(tied).tolist() == [0.5, 0.5] and empty.data.shape == (0, 3)
    empty.grad, tied.grad = dev(np.zeros((0, 3))), None
    opt.step()


def test_a_backward_through_stepped_weights_is_refused(dev):
    used, skipped = leaves(dev, [np.ones(2), np.ones(2)])
    opt = optim.SGD([used, skipped])
    train(opt, [used, skipped], dev, [[np.ones(2), None]])
    stale, fine = (used * used).sum(), (skipped * skipped).sum()
    train(opt, [used, skipped], dev, [[np.ones(2), None]])
    with pytest.raises(RuntimeError, match="modified in place"):
        stale.backward()
    fine.backward()


@every_optimizer
def test_it_trains(cls, kw, dev, rng):
    x, target = rng.standard_normal((40, 3)), np.array([[1.0], [-2.0], [0.5]])
    data, y = dev(x), dev(x @ target)

    def last_loss(lr):
        w = Tensor(dev(np.zeros((3, 1))), requires_grad=True)
        opt = cls([w], **{k: v for k, v in kw.items() if k != "weight_decay"} | {"lr": lr})
        for _ in range(60):
            opt.zero_grad()
            loss = ((Tensor(data) @ w - y) ** 2).mean()
            loss.backward()
            opt.step()
        return float(host(loss))

    assert min(last_loss(0.3), last_loss(0.02)) < 0.2 * ((x @ target) ** 2).mean()


# -- half types


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


# -- waiting for the device


@pytest.fixture
def forbidden(request, dev):
    """A context in which the simulated device refuses to wait for it, or to take anything from the host."""
    if request.config.getoption("device") != "sim":
        pytest.skip("only the simulated device counts synchronisations and uploads")
    from sim.state import stats

    return stats.forbid


@every_optimizer
def test_step_counts_may_be_arrays_on_the_device(cls, kw, dev, rng, forbidden):
    weights, grads = draw(rng, dtype=np.float32)
    params = leaves(dev, weights)
    opt = cls(params, **{**kw, "lr": dev(np.asarray(kw["lr"]))})
    counts = {name: dev(np.asarray(first, np.float64)) for name, first in opt.numbers.items()}
    for state in opt.state:
        state.update(counts)
    moved = [[dev(g) for g in step] for step in grads]
    with forbidden():
        for step in moved:
            for p, g in zip(params, step, strict=True):
                p.grad = g
            opt.step()
    for p, expected in zip(params, looped(ORACLES[cls], weights, grads, **kw), strict=True):
        np.testing.assert_allclose(host(p), expected, rtol=1e-5, atol=2e-6)


@every_optimizer
def test_steps_and_clipping_never_wait_for_the_device(cls, kw, dev, rng, forbidden):
    weights, grads = draw(rng, steps=2, dtype=np.float32)
    params = leaves(dev, weights)
    moved = [[dev(g) for g in step] for step in grads]
    opt = cls([{"params": params[:2]}, {"params": params[2:], "lr": dev(np.asarray(0.1))}], **kw)
    with forbidden():
        for step in moved:
            for p, g in zip(params, step, strict=True):
                p.grad = g
            optim.clip_grad_norm_(params, 0.5)
            optim.clip_grad_value_(params, 0.1)
            opt.step()
            opt.zero_grad()


# -- saving


def through_files(state):
    """Return a state as it comes back from JSON, with its arrays (as safetensors keeps them) on the side."""
    arrays = {
        f"{i}.{k}": host(v).copy() for i, s in enumerate(state["state"]) for k, v in s.items() if hasattr(v, "dtype")
    }
    numbers = [{k: v for k, v in s.items() if not hasattr(v, "dtype")} for s in state["state"]]
    back = json.loads(json.dumps({"state": numbers, "param_groups": state["param_groups"]}, allow_nan=False))
    for key, array in arrays.items():
        i, _, name = key.partition(".")
        back["state"][int(i)][name] = array
    return back


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


# -- errors


def leaf():
    return Tensor(np.ones(2), requires_grad=True)


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        (lambda: [], ValueError, "params is empty"),
        (lambda: [{"params": []}], ValueError, "group is empty"),
        (lambda: leaf(), TypeError, "a list or the like"),
        (lambda: Linear(), TypeError, r"model.parameters\(\)"),
        (lambda: {leaf()}, TypeError, "set"),
        (lambda: [{"params": {leaf()}}], TypeError, "set"),
        (lambda: [np.ones(2)], TypeError, "parameter 0 must be a Tensor, got ndarray"),
        (lambda: [("w", leaf()), ("n", Tensor(np.ones(2, np.int64)))], TypeError, "'n' must have a floating dtype"),
        (lambda: [Tensor(np.ones(2))], ValueError, "parameter 0 does not require a gradient"),
        (lambda: [leaf() * 2], ValueError, "result of an op"),
        (lambda: [*[leaf()] * 2], ValueError, "parameter 1 is given twice"),
        (lambda: [{"params": (p := leaf())}, {"params": [p]}], ValueError, "given twice"),
        (lambda: [p := leaf(), Tensor(p.data, requires_grad=True)], ValueError, "shares its array"),
        (lambda: [{"params": leaf(), "wd": 1.0}], ValueError, "no such setting: wd"),
        (lambda: [{"lr": 1.0}], TypeError, 'dict with "params"'),
    ],
)
def test_bad_parameters_are_refused(params, error, match):
    with pytest.raises(error, match=match):
        optim.Adam(params())


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("cls", "kw", "match"),
    [
        (optim.SGD, {"lr": -1.0}, r"SGD: lr must be in \[0, inf\), got -1.0"),
        (optim.SGD, {"lr": float("nan")}, "lr"),
        (optim.SGD, {"momentum": -0.1}, "momentum"),
        (optim.SGD, {"dampening": 1.5}, "dampening"),
        (optim.SGD, {"nesterov": True}, "nesterov needs momentum"),
        (optim.SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening 0"),
        (optim.SGD, {"weight_decay": -1.0}, "weight_decay"),
        (optim.RMSprop, {"alpha": 1.0}, "alpha"),
        (optim.RMSprop, {"momentum": -1.0}, "momentum"),
        (optim.Adagrad, {"lr_decay": -1.0}, "lr_decay"),
        (optim.Adagrad, {"initial_accumulator_value": -1.0}, "initial_accumulator_value"),
        (optim.Adadelta, {"rho": -0.1}, "rho"),
        (optim.Adam, {"betas": (0.9, 1.0)}, r"betas must be in \[0, 1\), got \(0.9, 1.0\)"),
        (optim.Adam, {"betas": (0.9,)}, "two numbers"),
        (optim.Adam, {"eps": -1e-8}, "eps"),
        (optim.NAdam, {"momentum_decay": -1.0}, "momentum_decay"),
        (optim.Lion, {"betas": (1.0, 0.9)}, "betas"),
        (optim.Lion, {"betas": 0.9}, "betas"),
    ],
)
def test_bad_settings_are_refused_also_in_a_group(cls, kw, match):
    with pytest.raises(ValueError, match=match):
        cls([leaf()], **kw)
    opt = cls([leaf()])
    with pytest.raises(ValueError, match=match):
        opt.add_param_group({"params": [leaf()], **kw})
    assert len(opt.param_groups) == len(opt.state) == 1


@pytest.mark.cpu_only
def test_repr_shows_the_settings():
    assert repr(optim.SGD([leaf()], lr=0.5)).startswith("SGD(\n  1 parameters, lr=0.5, momentum=0.0")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_large_parameters_beside_small_ones(dtype, order, dev, rng):
    sizes = [(3,), (200, 200), (5,), (2, 2), (180, 190), (33000,), (1,)]
    arrays = [rng.standard_normal(s).astype(dtype) for s in sizes]
    grads = [np.asarray(rng.standard_normal(s).astype(dtype), order=order) for s in sizes]

    params = [Tensor(dev(a.copy()), requires_grad=True) for a in arrays]
    optimizer = optim.SGD(params, lr=0.125)
    for _ in range(2):
        for p, g in zip(params, grads, strict=True):
            p.grad = dev(g.copy(order="K"))
        params[3].grad = None
        optimizer.step()
    for k, (p, a, g) in enumerate(zip(params, arrays, grads, strict=True)):
        expected = a if k == 3 else (a.astype(np.float32) - 0.25 * g.astype(np.float32)).astype(dtype)
        np.testing.assert_allclose(host(p), expected, atol=4 * np.finfo(dtype).eps)
        assert p.grad is None or (host(p.grad) == g).all()
