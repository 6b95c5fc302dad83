"""Learning rate schedules: each rate is computed from the step count alone, so nothing accumulates."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from .optimizer import Optimizer, set_rate


def per_group(who: str, name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """Return `value` as a list with one entry per group."""
    count = len(optimizer.param_groups)
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{who}: {name} must be one value or one per parameter group ({count}), got {len(value)}")
    return list(value)


class LRScheduler:
    """Base of the schedules: counts steps and sets the rate of every group.

    Call `step` after the optimiser's step, once per epoch or per batch, whichever the settings are meant in.
    A subclass defines `lr_at`. The rates a schedule starts from are those the groups have when the first
    schedule is made; they stay in the groups as "initial_lr".

    Args:
        optimizer: whose groups to set.

    Attributes:
        last_epoch: number of steps made.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{self._name}: optimizer must be an Optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.last_epoch = 0
        self._apply(0)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps of group `index`, which started with `base`."""
        raise NotImplementedError

    def _bases(self) -> list[float]:
        for group in self.optimizer.param_groups:
            if "initial_lr" not in group:  # a rate on the GPU is read once
                group["initial_lr"] = float(group["lr"])
        return [float(group["initial_lr"]) for group in self.optimizer.param_groups]

    def _apply(self, step: int) -> None:
        rates = [self.lr_at(step, base, i) for i, base in enumerate(self._bases())]
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            set_rate(group, lr)

    def step(self) -> None:
        """Count one step and set the rates."""
        self._apply(self.last_epoch + 1)
        self.last_epoch += 1

    @property
    def last_lr(self) -> list[float]:
        """The present rate of each group."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """Return `last_lr`."""
        return self.last_lr

    def state_dict(self) -> dict[str, Any]:
        """Return the step count and the rates it started from; settings are the constructor's."""
        return {"last_epoch": self.last_epoch, "base_lrs": self._bases()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state; sets the rates.

        Raises:
            ValueError: it is of another number of groups.
        """
        bases = per_group(self._name, "base_lrs", list(state_dict["base_lrs"]), self.optimizer)
        for group, base in zip(self.optimizer.param_groups, bases, strict=True):
            group["initial_lr"] = base
        self._apply(state_dict["last_epoch"])
        self.last_epoch = state_dict["last_epoch"]


class LambdaLR(LRScheduler):
    """Any schedule: ``lr = base * lr_lambda(step)``.

    Args:
        optimizer: see `LRScheduler`.
        lr_lambda: function of the step count, or one per group.
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]
    ) -> None:
        self.lr_lambdas = per_group("LambdaLR", "lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        return base * self.lr_lambdas[index](step)


class StepLR(LRScheduler):
    """Multiply by `gamma` every `step_size` steps: ``lr = base * gamma ** (step // step_size)``.

    Args:
        optimizer: see `LRScheduler`.
        step_size, gamma: as in the formula.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        _positive("StepLR", "step_size", step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        return base * self.gamma ** (step // self.step_size)


class MultiStepLR(LRScheduler):
    """Multiply by `gamma` at each milestone: ``lr = base * gamma ** (number of milestones <= step)``.

    Args:
        optimizer: see `LRScheduler`.
        milestones: step counts, in any order; one given twice counts twice.
        gamma: as in the formula.
    """

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        return base * self.gamma ** bisect_right(self.milestones, step)


class ExponentialLR(LRScheduler):
    """Multiply by `gamma` in every step: ``lr = base * gamma ** step``.

    Args:
        optimizer: see `LRScheduler`.
        gamma: as in the formula.
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        return base * self.gamma**step


class LinearLR(LRScheduler):
    """Warm up (or down) in a straight line, then stay.

    ``lr = base * (start_factor + (end_factor - start_factor) * min(step, total_iters) / total_iters)``.

    Args:
        optimizer: see `LRScheduler`.
        start_factor: in (0, 1]; end_factor: in [0, 1]; total_iters: steps until the end.
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        _positive("LinearLR", "total_iters", total_iters)
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearLR: start_factor must be in (0, 1], got {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: end_factor must be in [0, 1], got {end_factor}")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        done = min(step, self.total_iters) / self.total_iters
        return base * (self.start_factor * (1 - done) + self.end_factor * done)


class CosineAnnealingLR(LRScheduler):
    """Follow half a cosine from the base rate to `eta_min` in `T_max` steps (and then back, and so on).

    ``lr = eta_min + (base - eta_min) * (1 + cos(pi * step / T_max)) / 2``.

    Args:
        optimizer: see `LRScheduler`.
        T_max, eta_min: as in the formula.

    Source: Loshchilov, Hutter 2017, arXiv:1608.03983, equation 5, without the restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        _positive("CosineAnnealingLR", "T_max", T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        return between(base, self.eta_min, step / self.T_max)


class CosineAnnealingWarmRestarts(LRScheduler):
    """Follow half a cosine down, start again at the base rate, each time over `T_mult` times as many steps.

    Args:
        optimizer: see `LRScheduler`.
        T_0: steps of the first descent; T_mult: whole number >= 1; eta_min: rate at the end of a descent.

    Source: Loshchilov, Hutter 2017, arXiv:1608.03983, equation 5.
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> None:
        _positive("CosineAnnealingWarmRestarts", "T_0", T_0)
        _positive("CosineAnnealingWarmRestarts", "T_mult", T_mult)
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        length = self.T_0
        if self.T_mult == 1:
            step %= length
        while step >= length:
            step -= length
            length *= self.T_mult
        return between(base, self.eta_min, step / length)


class SequentialLR(LRScheduler):
    """Run schedules one after the other, such as a warm-up and then a cosine.

    From ``milestones[i - 1]`` on ``schedulers[i]`` sets the rates, counting from 0.

    Args:
        optimizer: see `LRScheduler`.
        schedulers: of the same optimiser; not `ReduceLROnPlateau`, which needs a metric.
        milestones: step counts, rising, one fewer than schedulers.
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]) -> None:
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "SequentialLR: there must be one milestone fewer than schedulers,"
                f" got {len(milestones)} for {len(schedulers)}"
            )
        if any(a >= b for a, b in zip([0, *milestones], milestones, strict=False)):
            raise ValueError(f"SequentialLR: milestones must be positive and rise, got {list(milestones)}")
        for i, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"SequentialLR: schedulers[{i}] cannot be used here: {type(scheduler).__name__}")
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: schedulers[{i}] belongs to another optimiser")
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer)

    def _apply(self, step: int) -> None:
        i = bisect_right(self.milestones, step)
        self.schedulers[i]._apply(step - (self.milestones[i - 1] if i else 0))


def between(start: float, end: float, part: float) -> float:
    """Return the point at `part` (0 to 1) of half a cosine from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _positive(who: str, name: str, value: int) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{who}: {name} must be a whole number >= 1, got {value}")
