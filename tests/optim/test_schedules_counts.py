"""Counts of steps: NumPy's integers are whole numbers too, and the rates stay Python's numbers."""

import numpy as np
import pytest

import cunet
from cunet import optim

pytestmark = pytest.mark.cpu_only

TWO = np.int64(2)
SCHEDULES = {
    "StepLR": lambda opt, n: optim.StepLR(opt, n),
    "LinearLR": lambda opt, n: optim.LinearLR(opt, total_iters=n),
    "CosineAnnealingLR": lambda opt, n: optim.CosineAnnealingLR(opt, n),
    "CosineAnnealingWarmRestarts": lambda opt, n: optim.CosineAnnealingWarmRestarts(opt, n, n),
    "OneCycleLR": lambda opt, n: optim.OneCycleLR(opt, 1.0, epochs=n, steps_per_epoch=n, cycle_momentum=False),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_counts_may_be_integers_of_numpy(name):
    rates = []
    for n in (2, TWO):
        schedule = SCHEDULES[name](optim.SGD([cunet.tensor([1.0], requires_grad=True)], lr=0.5), n)
        rates.append([])
        for _ in range(4):
            schedule.step()
            rates[-1].append(schedule.optimizer.param_groups[0]["lr"])
    assert rates[0] == rates[1]
    assert {type(rate) for rate in rates[1]} == {float}


@pytest.mark.parametrize("wrong", [0, -1, 2.0, np.float32(2), np.int64(0)], ids=repr)
def test_what_is_no_count_is_refused(wrong):
    with pytest.raises((TypeError, ValueError), match="StepLR: step_size must be (a whole number|at least 1), got"):
        optim.StepLR(optim.SGD([cunet.tensor([1.0], requires_grad=True)], lr=0.5), wrong)
