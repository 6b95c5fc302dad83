"""optim.lr_scheduler: the schedules where PyTorch has them, made as PyTorch's are, by position."""

import numpy as np
import pytest

from cunet import nn, optim

pytestmark = pytest.mark.cpu_only

#: Arguments after the optimiser, all by position, `last_epoch` too.
MADE = {
    "StepLR": (2, 0.5, -1),
    "MultiStepLR": ([2, 3], 0.5, -1),
    "ExponentialLR": (0.9, -1),
    "LambdaLR": (lambda step: 1 / (1 + step), -1),
    "LinearLR": (0.25, 0.75, 4, -1),
    "CosineAnnealingLR": (5, 0.01, -1),
    "CosineAnnealingWarmRestarts": (2, 2, 0.01, -1),
    "OneCycleLR": (1.0, 7, None, None, 0.4, "linear", True, 0.8, 0.9, 20.0, 100.0, True, -1),
}


def test_the_namespace_holds_all_schedules():
    there = {name for name in optim.__all__ if name.endswith(("LR", "Scheduler", "Restarts", "Plateau"))}
    assert {*optim.lr_scheduler.__all__} == there
    assert all(getattr(optim.lr_scheduler, name) is getattr(optim, name) for name in there)
    assert there <= {*MADE, "LRScheduler", "ReduceLROnPlateau", "SequentialLR"}


@pytest.mark.parametrize("name", MADE)
def test_rates_are_pytorchs_by_position(name):
    torch = pytest.importorskip("torch")
    ours = optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1, momentum=0.5)
    theirs = torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1, momentum=0.5)
    schedule = getattr(optim.lr_scheduler, name)(ours, *MADE[name])
    other = getattr(torch.optim.lr_scheduler, name)(theirs, *MADE[name])
    for _ in range(6):
        np.testing.assert_allclose(schedule.get_last_lr(), other.get_last_lr(), rtol=1e-9)
        np.testing.assert_allclose(ours.param_groups[0]["momentum"], theirs.param_groups[0]["momentum"], rtol=1e-9)
        theirs.step()
        schedule.step()
        other.step()


@pytest.mark.parametrize("name", MADE)
def test_another_last_epoch_is_refused_before_anything_changes(name):
    optimizer = optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1, momentum=0.5)
    with pytest.raises(ValueError, match=f"^{name}: last_epoch must be -1, got 3; load_state_dict goes on"):
        getattr(optim.lr_scheduler, name)(optimizer, *MADE[name][:-1], 3)
    assert optimizer.param_groups[0]["lr"] == 0.1 and "initial_lr" not in optimizer.param_groups[0]
