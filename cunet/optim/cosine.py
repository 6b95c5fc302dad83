"""Schedules that follow half a cosine, with restarts or without."""

from __future__ import annotations

import math

from ..system.checks import check_numbers
from .optimizer import Optimizer
from .schedules import LRScheduler, whole


class CosineAnnealingLR(LRScheduler):
    """Follow half a cosine from the base rate to `eta_min` in `T_max` steps (and then back, and so on).

    ``lr = eta_min + (base - eta_min) * (1 + cos(pi * step / T_max)) / 2``.

    Args:
        optimizer, last_epoch: see `LRScheduler`.
        T_max, eta_min: as in the formula.

    Raises:
        TypeError, ValueError: `T_max` is no whole number of at least 1.

    Source: Loshchilov, Hutter 2017, arXiv:1608.03983, equation 5, without the restarts.

    Example:
        >>> schedule = optim.lr_scheduler.CosineAnnealingLR(optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0), T_max=4)
        >>> [round(schedule.lr_at(step, 1.0, 0), 4) for step in range(6)]
        [1.0, 0.8536, 0.5, 0.1464, 0.0, 0.1464]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        check_numbers("CosineAnnealingLR", eta_min=eta_min)
        self.T_max, self.eta_min = whole("CosineAnnealingLR", "T_max", T_max), eta_min
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        return between(base, self.eta_min, step / self.T_max)


class CosineAnnealingWarmRestarts(LRScheduler):
    """Follow half a cosine down, start again at the base rate, each time over `T_mult` times as many steps.

    Args:
        optimizer, last_epoch: see `LRScheduler`.
        T_0: steps of the first descent; T_mult: whole number >= 1; eta_min: rate at the end of a descent.

    Raises:
        TypeError, ValueError: `T_0` or `T_mult` is no whole number of at least 1.

    Source: Loshchilov, Hutter 2017, arXiv:1608.03983, equation 5.

    Example:
        >>> optimizer = optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0)
        >>> schedule = optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
        >>> [round(schedule.lr_at(step, 1.0, 0), 4) for step in range(7)]
        [1.0, 0.5, 1.0, 0.8536, 0.5, 0.1464, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        check_numbers("CosineAnnealingWarmRestarts", eta_min=eta_min)
        self.T_0 = whole("CosineAnnealingWarmRestarts", "T_0", T_0)
        self.T_mult, self.eta_min = whole("CosineAnnealingWarmRestarts", "T_mult", T_mult), eta_min
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        length = self.T_0
        if self.T_mult == 1:
            step %= length
        while step >= length:
            step -= length
            length *= self.T_mult
        return between(base, self.eta_min, step / length)


def between(start: float, end: float, part: float) -> float:
    """Return the point at `part` (0 to 1) of half a cosine from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2
