"""Schedules against their definitions, and against PyTorch over hundreds of steps."""

import json
import math

import numpy as np
import pytest

from cunet import optim
from cunet.autograd.tensor import Tensor

pytestmark = pytest.mark.cpu_only


def make(cls=optim.SGD, rates=(0.4, 0.05), **kw):
    return cls([{"params": Tensor(np.ones(2), requires_grad=True), "lr": lr} for lr in rates], **kw)


def rates(schedule, steps):
    out = [schedule.last_lr]
    for _ in range(steps):
        schedule.step()
        out.append(schedule.last_lr)
    return out


# -- by hand


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (lambda o: optim.StepLR(o, 2, gamma=0.5), [8, 8, 4, 4, 2, 2, 1]),
        (lambda o: optim.MultiStepLR(o, [4, 1, 4], gamma=0.5), [8, 4, 4, 4, 1, 1, 1]),
        (lambda o: optim.ExponentialLR(o, 0.5), [8, 4, 2, 1, 0.5, 0.25, 0.125]),
        (lambda o: optim.LinearLR(o, 0.25, 1.0, 3), [2, 4, 6, 8, 8, 8, 8]),
        (lambda o: optim.LinearLR(o, 1.0, 0.0, 4), [8, 6, 4, 2, 0, 0, 0]),
        (lambda o: optim.LambdaLR(o, lambda t: 1 / (1 + t)), [8, 4, 8 / 3, 2, 8 / 5, 8 / 6, 8 / 7]),
        (
            lambda o: optim.CosineAnnealingLR(o, 4, eta_min=2.0),
            [8, 5 + 3 * math.sqrt(0.5), 5, 5 - 3 * math.sqrt(0.5), 2, 5 - 3 * math.sqrt(0.5), 5],
        ),
        (
            lambda o: optim.CosineAnnealingWarmRestarts(o, 2, T_mult=2),
            [8, 4, 8, 4 + 4 * 0.5**0.5, 4, 4 - 4 * 0.5**0.5, 8],
        ),
        (lambda o: optim.CosineAnnealingWarmRestarts(o, 2), [8, 4, 8, 4, 8, 4, 8]),
        (
            lambda o: optim.OneCycleLR(
                o,
                8.0,
                7,
                pct_start=3 / 7,
                anneal_strategy="linear",
                div_factor=2,
                final_div_factor=4,
                cycle_momentum=False,
            ),
            [4, 6, 8, 6.25, 4.5, 2.75, 1],
        ),
        (
            lambda o: optim.SequentialLR(o, [optim.LinearLR(o, 0.5, 1.0, 2), optim.ExponentialLR(o, 0.5)], [3]),
            [4, 6, 8, 8, 4, 2, 1],
        ),
    ],
)
def test_rates_by_hand(schedule, expected):
    opt = make(rates=(8.0,))
    np.testing.assert_allclose(np.ravel(rates(schedule(opt), 6)), expected, rtol=1e-14)


def test_one_cycle_moves_the_momentum_against_the_rate():
    opt = make(optim.Adam, betas=(0.9, 0.99), rates=(1.0,))
    schedule = optim.OneCycleLR(
        opt, 1.0, 7, pct_start=3 / 7, anneal_strategy="linear", base_momentum=0.8, max_momentum=0.9
    )
    seen = [opt.param_groups[0]["betas"]]
    for _ in range(6):
        schedule.step()
        seen.append(opt.param_groups[0]["betas"])
    np.testing.assert_allclose([b for b, _ in seen], [0.9, 0.85, 0.8, 0.825, 0.85, 0.875, 0.9])
    assert {b for _, b in seen} == {0.99}


def test_nothing_accumulates():
    opt = make(rates=(0.1,))
    schedule = optim.ExponentialLR(opt, 0.999)
    last = rates(schedule, 5000)[-1][0]
    assert last == 0.1 * 0.999**5000


def test_plateau_by_hand():
    opt = make(rates=(8.0,))
    schedule = optim.ReduceLROnPlateau(opt, factor=0.5, patience=1, threshold=0.1, cooldown=2, min_lr=1.5)
    metrics = [10, 9.5, 9.2, 8.9, 8.9, 8.9, 8.9, 8.9, 8.9, 8.9, 8.9, 8.9, 8.9]
    #        best, bad, bad: reduce, cool (better: 8.9 < 9), cool, bad, bad: reduce, cool, cool, bad, bad: to min_lr
    seen = []
    for metric in metrics:
        schedule.step(metric)
        seen.append(schedule.last_lr[0])
    assert seen == [8, 8, 4, 4, 4, 4, 2, 2, 2, 2, 1.5, 1.5, 1.5]
    assert schedule.best == 8.9


def test_plateau_takes_arrays_and_counts_nan_as_bad():
    opt = make(rates=(8.0,))
    schedule = optim.ReduceLROnPlateau(opt, mode="max", patience=0, factor=0.5)
    for metric in (np.float32(np.nan), np.asarray(0.5), Tensor(0.75), np.asarray(0.7)):
        schedule.step(metric)
    assert schedule.best == 0.75 and schedule.last_lr == [2.0]


# -- PyTorch

ROWS = [
    ("StepLR", {"step_size": 7, "gamma": 0.7}),
    ("MultiStepLR", {"milestones": [5, 30, 30, 100], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.98}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.6, "total_iters": 40}),
    ("CosineAnnealingLR", {"T_max": 50, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 300}),
    ("CosineAnnealingWarmRestarts", {"T_0": 10, "T_mult": 3, "eta_min": 0.001}),
    ("CosineAnnealingWarmRestarts", {"T_0": 17}),
    ("LambdaLR", {"lr_lambda": [lambda t: 0.9**t, lambda t: 1 / (t + 1)]}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 300}),
    ("OneCycleLR", {"max_lr": [0.3, 2.0], "epochs": 3, "steps_per_epoch": 101, "three_phase": True, "pct_start": 0.2}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 301, "anneal_strategy": "linear", "div_factor": 5.0}),
]


def pair(torch, cls="SGD", **kw):
    ours = make(getattr(optim, cls), **kw)
    theirs = getattr(torch.optim, cls)(
        [{"params": [torch.nn.Parameter(torch.ones(2))], "lr": g["lr"]} for g in ours.param_groups], **kw
    )
    return ours, theirs


def same_for(ours, theirs, a, b, steps, *metrics):
    for t in range(steps):
        np.testing.assert_allclose(a.last_lr, b.get_last_lr(), rtol=1e-10, atol=1e-15, err_msg=f"step {t}")
        assert a.get_last_lr() == [group["lr"] for group in ours.param_groups]
        for g, h in zip(ours.param_groups, theirs.param_groups, strict=True):
            np.testing.assert_allclose(g.get("momentum", 0), h.get("momentum", 0), rtol=1e-10)
            np.testing.assert_allclose(g.get("betas", 0), h.get("betas", 0), rtol=1e-10)
        theirs.step()
        a.step(*[m[t] for m in metrics])
        b.step(*[m[t] for m in metrics])


@pytest.mark.parametrize("optimizer", [("SGD", {"momentum": 0.9}), ("AdamW", {})], ids=["SGD", "AdamW"])
@pytest.mark.parametrize(("name", "kw"), ROWS, ids=[f"{i}-{name}" for i, (name, _) in enumerate(ROWS)])
def test_rates_are_those_of_pytorch(name, kw, optimizer):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, optimizer[0], **optimizer[1])
    scheduler = getattr(torch.optim.lr_scheduler, name)(theirs, **kw)
    same_for(ours, theirs, getattr(optim, name)(ours, **kw), scheduler, 300)


def test_a_sequence_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch)

    def sequence(kind, o):
        parts = [kind.LinearLR(o, 0.01, total_iters=20), kind.CosineAnnealingLR(o, 80), kind.StepLR(o, 9, gamma=0.5)]
        return kind.SequentialLR(o, parts, [20, 100])

    same_for(ours, theirs, sequence(optim, ours), sequence(torch.optim.lr_scheduler, theirs), 200)


@pytest.mark.parametrize(
    "kw",
    [
        {"patience": 3},
        {"mode": "max", "patience": 2, "cooldown": 4, "factor": 0.7, "min_lr": [0.01, 0.02]},
        {"threshold_mode": "abs", "threshold": 0.05, "patience": 0, "factor": 0.5, "eps": 1e-3},
        {"mode": "max", "threshold_mode": "abs", "threshold": 0.05, "factor": 0.5},
    ],
)
def test_plateau_is_that_of_pytorch(kw, rng):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch)
    metrics = list(np.exp(-np.arange(200) / 60) + 0.1 * rng.random(200))  # positive: for others see test_rates
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **kw)
    same_for(ours, theirs, optim.ReduceLROnPlateau(ours, **kw), scheduler, 200, metrics)


# -- groups, saving, errors


def test_groups_keep_their_ratio_and_a_new_group_joins():
    opt = make(rates=(0.4, 0.04))
    schedule = optim.StepLR(opt, 1, gamma=0.5)
    schedule.step()
    opt.add_param_group({"params": Tensor(np.ones(1), requires_grad=True), "lr": 8.0})
    schedule.step()
    assert schedule.last_lr == [0.1, 0.01, 2.0]


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: optim.StepLR(o, 3, gamma=0.5),
        lambda o: optim.CosineAnnealingLR(o, 13),
        lambda o: optim.OneCycleLR(o, 0.3, 40),
        lambda o: optim.SequentialLR(o, [optim.LinearLR(o), optim.ExponentialLR(o, 0.9)], [6]),
        lambda o: optim.ReduceLROnPlateau(o, patience=1, cooldown=1, factor=0.5),
    ],
)
@pytest.mark.parametrize("with_optimizer", [True, False])
def test_state_goes_through_json_and_goes_on_exactly(schedule, with_optimizer, rng):
    metrics = [[m] for m in rng.standard_normal(20)]
    opt, new = make(momentum=0.9), make(momentum=0.9)
    one = schedule(opt)
    metrics = metrics if isinstance(one, optim.ReduceLROnPlateau) else [[]] * 20
    for m in metrics[:8]:
        one.step(*m)
    states = json.loads(json.dumps([opt.state_dict(), one.state_dict()], allow_nan=False))
    two = schedule(new)
    if with_optimizer:
        new.load_state_dict(states[0])
    two.load_state_dict(states[1])
    for m in metrics[8:]:
        assert one.last_lr == two.last_lr
        one.step(*m)
        two.step(*m)
    assert one.state_dict() == two.state_dict()
    assert [g["momentum"] for g in opt.param_groups] == [g["momentum"] for g in new.param_groups]


def test_a_plateau_that_saw_nothing_has_a_state():
    schedule = optim.ReduceLROnPlateau(make())
    assert json.loads(json.dumps(schedule.state_dict(), allow_nan=False))["best"] is None


def test_one_cycle_ends():
    schedule = optim.OneCycleLR(make(momentum=0.9), 0.1, 3)
    for _ in range(3):
        schedule.step()
    last = schedule.last_lr
    with pytest.raises(ValueError, match="step 4 is beyond total_steps"):
        schedule.step()
    assert schedule.last_epoch == 3 and schedule.last_lr == last
    np.testing.assert_allclose(last, 0.1 / 25 / 1e4)


@pytest.mark.parametrize(
    ("schedule", "match"),
    [
        (lambda o: optim.StepLR(o, 0), "step_size must be at least 1, got 0"),
        (lambda o: optim.LinearLR(o, start_factor=0.0), "start_factor"),
        (lambda o: optim.LinearLR(o, end_factor=1.5), "end_factor"),
        (lambda o: optim.LinearLR(o, total_iters=0), "total_iters"),
        (lambda o: optim.CosineAnnealingLR(o, 0), "T_max"),
        (lambda o: optim.CosineAnnealingWarmRestarts(o, 0), "T_0"),
        (lambda o: optim.CosineAnnealingWarmRestarts(o, 5, T_mult=0), "T_mult"),
        (lambda o: optim.LambdaLR(o, [lambda t: 1.0] * 3), r"one per parameter group \(2\), got 3"),
        (lambda o: optim.OneCycleLR(o, 0.1), "total_steps"),
        (lambda o: optim.OneCycleLR(o, 0.1, 0), "total_steps must be at least 1, got 0"),
        (lambda o: optim.OneCycleLR(o, 0.1, 10, cycle_momentum=False, pct_start=1.5), "pct_start"),
        (lambda o: optim.OneCycleLR(o, 0.1, 10, cycle_momentum=False, anneal_strategy="exp"), "anneal_strategy"),
        (lambda o: optim.OneCycleLR(o, 0.1, 10), "cycle_momentum needs an optimiser with momentum"),
        (lambda o: optim.OneCycleLR(o, [0.1] * 3, 10, cycle_momentum=False), "max_lr must be one value or one per"),
        (lambda o: optim.SequentialLR(o, [], []), "one milestone fewer"),
        (lambda o: optim.SequentialLR(o, [optim.StepLR(o, 1)], [3]), "one milestone fewer"),
        (lambda o: optim.SequentialLR(o, [optim.StepLR(o, 1)] * 3, [3, 3]), "must be positive and rise"),
        (lambda o: optim.SequentialLR(o, [optim.StepLR(make(), 1)], []), "another optimiser"),
        (lambda o: optim.ReduceLROnPlateau(o, factor=1.0), "factor"),
        (lambda o: optim.ReduceLROnPlateau(o, mode="low"), "mode"),
        (lambda o: optim.ReduceLROnPlateau(o, threshold_mode="x"), "threshold_mode"),
        (lambda o: optim.ReduceLROnPlateau(o, min_lr=[0.0]), "min_lr"),
        (
            lambda o: optim.StepLR(o, 1).load_state_dict(optim.StepLR(make(rates=[1.0]), 1).state_dict()),
            "base_lrs must be one",
        ),
        (lambda o: optim.StepLR(o, 1).load_state_dict({"last_epoch": 1}), "StepLR: the state must have the keys last_"),
        (lambda o: optim.ReduceLROnPlateau(o).load_state_dict({}), "must have the keys last_epoch, .*; got none"),
    ],
)
def test_bad_settings_are_refused(schedule, match):
    with pytest.raises(ValueError, match=match):
        schedule(make())


def test_wrong_kinds_are_refused():
    opt = make()
    with pytest.raises(TypeError, match="optimizer must be an Optimizer, got list"):
        optim.StepLR([1], 1)
    with pytest.raises(TypeError, match="optimizer must be an Optimizer, got list"):
        optim.ReduceLROnPlateau([1])
    with pytest.raises(TypeError, match=r"schedulers\[0\] must be a schedule .* got ReduceLROnPlateau"):
        optim.SequentialLR(opt, [optim.ReduceLROnPlateau(opt)], [])
