"""All optimisers: bad parameters and settings, repr, that they train and never wait for the device."""

import importlib
import pkgutil

import numpy as np
import pytest
from helpers import host, training_step
from optimizer_helpers import Linear, draw, leaves, looped
from optimizer_rows import FULL_ROWS, LAYER_ROWS, ORACLES, ROWS

from cunet import kernels, optim
from cunet.autograd.tensor import Tensor

every_optimizer = pytest.mark.parametrize(("cls", "kw"), FULL_ROWS, ids=[cls.__name__ for cls, _ in FULL_ROWS])


@pytest.mark.cpu_only
def test_every_optimizer_is_published_and_in_the_table():
    files = [importlib.import_module(f"cunet.optim.{m.name}") for m in pkgutil.iter_modules(optim.__path__)]
    classes = {c for f in files for c in vars(f).values() if isinstance(c, type) and issubclass(c, optim.Optimizer)}
    public = {c.__name__ for c in classes if not c.__name__.startswith("_")}
    bases = {"Optimizer", "LayerOptimizer"}
    unpublished = sorted(public - bases - {*optim.__all__})
    assert not unpublished, f"cunet/optim/__init__.py does not import {unpublished}"
    # The steps of these are of all elements together, and have tests of their own.
    together = {"LBFGS", *[cls.__name__ for cls, _ in LAYER_ROWS]}
    untested = sorted(public - bases - together - {cls.__name__ for cls in ORACLES})
    assert not untested, f"tests/optimizer_rows.py has no block for {untested}"


@pytest.mark.cpu_only
def test_every_kernel_of_this_package_is_in_a_row():
    used = {cls([leaf()], **kw) for cls, kw in ROWS}
    used = {opt.kernel(opt.param_groups[0]).name for opt in used}
    steps = {name for name, k in kernels.KERNELS.items() if k.spec.kind == "inplace"} - {"gather_arrays"}
    assert used == steps


@every_optimizer
def test_it_trains(cls, kw, dev, rng):
    x, target = rng.standard_normal((40, 3)), np.array([[1.0], [-2.0], [0.5]])
    data, y = dev(x), dev(x @ target)

    def last_loss(lr):
        w = Tensor(dev(np.zeros((3, 1))), requires_grad=True)
        opt = cls([w], **{k: v for k, v in kw.items() if k != "weight_decay"} | {"lr": lr})

        @training_step
        def step():
            opt.zero_grad()
            loss = ((Tensor(data) @ w - y) ** 2).mean()
            loss.backward()
            opt.step()
            return loss

        return [float(host(step())) for _ in range(60)][-1]

    assert min(last_loss(0.3), last_loss(0.02)) < 0.2 * ((x @ target) ** 2).mean()


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
        (lambda: [Tensor(np.ones(2))], ValueError, "no parameter of the group requires a gradient"),
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
    ("settings", "match"),
    [
        ({"lr": "1e-3"}, "Adam: lr must be a number, got '1e-3'"),
        ({"lr": None}, "Adam: lr must be a number, got None"),
        ({"eps": "1e-8"}, "Adam: eps must be a number, got '1e-8'"),
        ({"betas": ("0.9", 0.999)}, "Adam: betas must be a number, got '0.9'"),
    ],
)
def test_settings_that_are_no_numbers_are_refused(settings, match):
    with pytest.raises(TypeError, match=match):
        optim.Adam([leaf()], **settings)
    optim.Adam([leaf()], lr=np.float32(0.1), eps=np.float64(1e-8), betas=(np.float32(0), 0))


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


@pytest.mark.parametrize("cls", [optim.SGD, optim.AdamW])
def test_frozen_parameters_stay_as_they_are_until_they_are_set_free(cls, dev):
    first, frozen, last = (Tensor(dev(np.ones(3, np.float32)), requires_grad=True) for _ in range(3))
    frozen.requires_grad = False
    optimizer = cls([first, frozen, last], lr=0.1, weight_decay=0.1)

    @training_step
    def step():
        optimizer.zero_grad()
        (first * frozen * last).sum().backward()
        optimizer.step()

    for free in (False, False, False, False, False, True):
        frozen.requires_grad = free
        step()
        assert bool((host(frozen) == 1).all()) != free
        np.testing.assert_array_equal(host(first), host(last))
    assert (host(first) < 1).all()


def test_an_optimiser_of_a_user_may_know_its_kernel_later(dev):
    class Own(optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1})
            self.chosen = None

        def kernel(self, group):
            return self.chosen

    assert Own([Tensor(dev(np.ones(2, np.float32)), requires_grad=True)]).chosen is None
