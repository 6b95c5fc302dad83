"""Schedules beside others, beside a user's own hand, and with groups that are added later."""

import numpy as np
import pytest

from cunet import optim
from cunet.autograd.tensor import Tensor

pytestmark = pytest.mark.cpu_only


def make(*rates, **kw):
    return optim.SGD([{"params": [leaf()], "lr": lr} for lr in rates], lr=1.0, **kw)


def leaf():
    return Tensor(np.ones(1), requires_grad=True)


def run(opt, *schedules, steps=12):
    """Return the rate of the first group before each step of all schedules and after the last."""
    seen = [float(opt.param_groups[0]["lr"])]
    for _ in range(steps):
        for schedule in schedules:
            schedule.step()
        seen.append(float(opt.param_groups[0]["lr"]))
    return seen


SCALING = {
    "StepLR": lambda o: optim.StepLR(o, 3, gamma=0.5),
    "MultiStepLR": lambda o: optim.MultiStepLR(o, [2, 5], gamma=0.3),
    "ExponentialLR": lambda o: optim.ExponentialLR(o, 0.9),
    "LinearLR": lambda o: optim.LinearLR(o, 0.25, total_iters=4),
    "LambdaLR": lambda o: optim.LambdaLR(o, lambda t: 1 / (1 + t)),
    "CosineAnnealingLR": lambda o: optim.CosineAnnealingLR(o, 20),
    "CosineAnnealingWarmRestarts": lambda o: optim.CosineAnnealingWarmRestarts(o, 5),
}


@pytest.mark.parametrize("first", SCALING)
@pytest.mark.parametrize("second", SCALING)
def test_chained_schedules_multiply(first, second):
    alone = [run(opt, SCALING[name](opt)) for name in (first, second) for opt in [make(1.0)]]
    opt = make(8.0)
    together = run(opt, SCALING[first](opt), SCALING[second](opt))
    np.testing.assert_allclose(
        together,
        8 * alone[0][0] * alone[1][0] * np.divide(alone[0], alone[0][0]) * np.divide(alone[1], alone[1][0]),
        rtol=1e-12,
    )


def test_a_cosine_to_a_floor_takes_a_factor_of_what_is_above_the_floor():
    """PyTorch: ``lr = (1 + cos(pi t / T)) / (1 + cos(pi (t - 1) / T)) * (lr - eta_min) + eta_min``."""
    opt = make(8.0)
    cosine, step = optim.CosineAnnealingLR(opt, 10, eta_min=1.0), optim.StepLR(opt, 2, gamma=0.5)
    lr = 8.0
    for t in range(1, 10):
        lr = (1 + np.cos(np.pi * t / 10)) / (1 + np.cos(np.pi * (t - 1) / 10)) * (lr - 1) + 1
        lr *= 0.5 if t % 2 == 0 else 1
        cosine.step()
        step.step()
        np.testing.assert_allclose(opt.param_groups[0]["lr"], lr, rtol=1e-12)


@pytest.mark.parametrize("name", SCALING)
def test_what_the_user_makes_of_a_rate_stays(name):
    alone, touched = make(1.0), make(1.0)
    expected = run(alone, SCALING[name](alone))
    schedule = SCALING[name](touched)
    run(touched, schedule, steps=3)
    touched.param_groups[0]["lr"] *= 0.25
    np.testing.assert_allclose(run(touched, schedule, steps=9), 0.25 * np.array(expected[3:]), rtol=1e-12)


def test_after_its_end_a_schedule_leaves_the_rate_alone():
    opt = make(8.0)
    schedule = optim.LinearLR(opt, 1.0, 0.0, total_iters=2)
    run(opt, schedule, steps=2)
    opt.param_groups[0]["lr"] = 0.1
    assert run(opt, schedule, steps=2) == [0.1, 0.1, 0.1]


def test_a_sequence_starts_from_the_first_rates_and_multiplies_with_others():
    opt = make(8.0)
    parts = [optim.LinearLR(opt, 0.5, total_iters=2), optim.ExponentialLR(opt, 0.5)]
    sequence = optim.SequentialLR(opt, parts, [3])
    assert run(opt, sequence, optim.ExponentialLR(opt, 0.5), steps=5) == [4, 3, 2, 1, 0.25, 0.0625]


def test_plateau_starts_from_the_present_rate():
    opt = make(8.0)
    plateau, warm = optim.ReduceLROnPlateau(opt, factor=0.5, patience=0), optim.LinearLR(opt, 0.25, total_iters=3)
    plateau.step(1.0)
    run(opt, warm, steps=3)
    opt.param_groups[0]["lr"] = 6.0
    plateau.step(2.0)
    assert opt.param_groups[0]["lr"] == 3.0


@pytest.mark.parametrize(("mode", "metrics"), [("min", [-1.0, -0.99999]), ("max", [-1.0, -1.00001])])
def test_a_worse_negative_metric_is_worse(mode, metrics):
    plateau = optim.ReduceLROnPlateau(make(8.0), mode=mode, patience=9)
    for metric in metrics:
        plateau.step(metric)
    assert plateau.best == -1.0 and plateau.num_bad_epochs == 1


@pytest.mark.parametrize(
    ("schedule", "rate"),
    [
        *[(make_one, None) for make_one in SCALING.values()],
        (lambda o: optim.OneCycleLR(o, 0.5, 20), None),
        (lambda o: optim.SequentialLR(o, [optim.LinearLR(o), optim.ExponentialLR(o, 0.5)], [3]), None),
        (lambda o: optim.ReduceLROnPlateau(o, patience=0, factor=0.5), 2.0),
    ],
)
def test_a_group_that_is_added_later_is_taken(schedule, rate):
    opt = make(8.0, momentum=0.9)
    one = schedule(opt)
    metric = [1.0] if isinstance(one, optim.ReduceLROnPlateau) else []
    one.step(*metric)
    opt.add_param_group({"params": [leaf()], "lr": 8.0})
    one.step(*metric)
    one.step(*metric)
    rates = [group["lr"] for group in opt.param_groups]
    assert rates[0] == rates[1] if rate is None else rates == [rate, rate]
    saved = one.state_dict()
    opt.param_groups[1]["lr"] = 77.0
    one.load_state_dict(saved)
    assert [group["lr"] for group in opt.param_groups] == rates


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: optim.OneCycleLR(o, [0.5], 20),
        lambda o: optim.LambdaLR(o, [lambda t: 1.0]),
        lambda o: optim.ReduceLROnPlateau(o, patience=0, min_lr=[0.1]),
    ],
)
def test_a_list_says_nothing_about_a_group_that_is_added_later(schedule):
    opt = make(8.0, momentum=0.9)
    one = schedule(opt)
    opt.add_param_group({"params": [leaf()], "lr": 8.0})
    with pytest.raises(ValueError, match="must be one value, so that it goes for parameter group 1 too"):
        for _ in range(2):
            one.step(*[1.0] if isinstance(one, optim.ReduceLROnPlateau) else [])


@pytest.mark.parametrize("load_optimizer", [True, False])
def test_chained_schedules_go_on_from_their_states(load_optimizer):
    def chain():
        opt = make(8.0)
        return [opt, SCALING["LinearLR"](opt), SCALING["CosineAnnealingLR"](opt), SCALING["StepLR"](opt)]

    first, second = chain(), chain()
    run(*first, steps=5)
    states = [part.state_dict() for part in first]
    for part, state in list(zip(second, states, strict=True))[0 if load_optimizer else 1 :]:
        part.load_state_dict(state)
    assert run(*first) == run(*second)


def test_a_rate_in_a_float32_array_does_not_drift():
    opt = make(np.float32(8) * np.ones((), np.float32))
    rates = run(opt, optim.ExponentialLR(opt, 0.999), steps=2000)
    assert rates[-1] == np.float32(8 * 0.999**2000)
