"""Learning rate schedules: a rate is computed from the step count, and taken times what others made of it meanwhile."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from ..system.checks import check_counts, check_numbers
from .optimizer import Optimizer
from .rates import PerGroup, Track, check_keys, rates_of, restore


class LRScheduler:
    """Base of the schedules: counts steps and sets the rate of every group.

    Call `step` after the optimiser's step, once per epoch or per batch, whichever the settings are meant in.
    A subclass defines `lr_at`. A schedule starts from the rates that the groups have when it is made (a group that is
    added later: from its own); the first one leaves them in the groups as "initial_lr".

    Schedules of one optimiser multiply, as PyTorch's do: what another one, or you, made of a rate since the last step
    counts on as a factor. Where a rate does not depend on the one it started from (`OneCycleLR`, a cosine at its
    end) it is set to what the schedule says.

    Args:
        optimizer: whose groups to set.
        last_epoch: -1, as PyTorch's begin; a saved schedule goes on by `load_state_dict`.

    Attributes:
        last_epoch: number of steps made.

    Raises:
        TypeError: `optimizer` is no `Optimizer`.
        ValueError: another `last_epoch`; a list of settings that has not one for each group.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> optimizer = optim.SGD(model.parameters(), lr=1.0)
        >>> schedule = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> for epoch in range(3):
        ...     optimizer.step()  # once a batch
        ...     schedule.step()
        ...     print(epoch, optimizer.param_groups[0]["lr"])
        0 0.5
        1 0.25
        2 0.125
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{self._name}: optimizer must be an Optimizer, got {type(optimizer).__name__}")
        if last_epoch != -1:
            raise ValueError(
                f"{self._name}: last_epoch must be -1, got {last_epoch}; load_state_dict goes on from a saved step"
            )
        self.optimizer = optimizer
        self.last_epoch = 0
        self._tracks: list[Track] = []  # one per group
        self._apply(0)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps of group `index`, which started with `base`: a line in `base`."""
        raise NotImplementedError(f"{self._name} must define lr_at()")

    def _set_others(self, step: int) -> None:
        """Set what a schedule sets beside the rates; raise for a step that it does not have."""

    def _apply(self, step: int) -> None:
        rates = rates_of(self.optimizer)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group.setdefault("initial_lr", rate)
        tracks = [*self._tracks, *[Track(rate) for rate in rates[len(self._tracks) :]]]
        moved = [
            track.moved(self, i, self.last_epoch, step, rate)
            for i, (track, rate) in enumerate(zip(tracks, rates, strict=True))
        ]
        self._set_others(step)
        restore(self.optimizer, [track.rate for track in moved])
        # What is there now: an array of float32 rounds.
        self._tracks = [t._replace(rate=rate) for t, rate in zip(moved, rates_of(self.optimizer), strict=True)]

    def step(self) -> None:
        """Count one step and set the rates."""
        self._apply(self.last_epoch + 1)
        self.last_epoch += 1

    @property
    def last_lr(self) -> list[float]:
        """The present rate of each group."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]  # as it is, also where it is on the GPU

    def get_last_lr(self) -> list[float]:
        """Return `last_lr`."""
        return self.last_lr

    def state_dict(self) -> dict[str, Any]:
        """Return the step count, the rates it started from, set last, and found; settings are the constructor's."""
        return {
            "last_epoch": self.last_epoch,
            "base_lrs": [track.base for track in self._tracks],
            "set_lrs": [track.rate for track in self._tracks],
            "last_lr": rates_of(self.optimizer),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state; sets the rates.

        Raises:
            ValueError: it is of another number of groups, or of another kind.
        """
        check_keys(self._name, state_dict, ("last_epoch", "base_lrs", "set_lrs", "last_lr"))
        names = ("base_lrs", "set_lrs", "last_lr")
        bases, own, last = [PerGroup(self._name, n, list(state_dict[n]), self.optimizer).values for n in names]
        step = state_dict["last_epoch"]
        self._set_others(step)
        entries = enumerate(zip(bases, own, strict=True))
        self._tracks = [Track(base, self.lr_at(step, base, i), rate) for i, (base, rate) in entries]
        self.last_epoch = step
        restore(self.optimizer, last)


class LambdaLR(LRScheduler):
    """Any schedule: ``lr = base * lr_lambda(step)``.

    Args:
        optimizer, last_epoch: see `LRScheduler`.
        lr_lambda: function of the step count, or one per group.

    Example:
        >>> optimizer = optim.SGD(nn.Linear(2, 1).parameters(), lr=0.5)
        >>> schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        >>> schedule.step()
        >>> schedule.last_lr
        [0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambdas = PerGroup("LambdaLR", "lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        return base * self.lr_lambdas[index](step)


class StepLR(LRScheduler):
    """Multiply by `gamma` every `step_size` steps: ``lr = base * gamma ** (step // step_size)``.

    Args:
        optimizer, last_epoch: see `LRScheduler`.
        step_size, gamma: as in the formula.

    Raises:
        TypeError, ValueError: `step_size` is no whole number of at least 1.

    Example:
        >>> optimizer = optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0)
        >>> schedule = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        >>> [schedule.lr_at(step, 1.0, 0) for step in range(6)]
        [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = whole("StepLR", "step_size", step_size), gamma
        check_numbers("StepLR", gamma=gamma)
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        return base * self.gamma ** (step // self.step_size)


class MultiStepLR(LRScheduler):
    """Multiply by `gamma` at each milestone: ``lr = base * gamma ** (number of milestones <= step)``.

    Args:
        optimizer, last_epoch: see `LRScheduler`.
        milestones: step counts, in any order; one given twice counts twice.
        gamma: as in the formula.

    Example:
        >>> optimizer = optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0)
        >>> schedule = optim.lr_scheduler.MultiStepLR(optimizer, milestones=[2, 5], gamma=0.5)
        >>> [schedule.lr_at(step, 1.0, 0) for step in range(7)]
        [1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        for milestone in milestones:
            check_counts("MultiStepLR", 0, milestones=milestone)
        check_numbers("MultiStepLR", gamma=gamma)
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        return base * self.gamma ** bisect_right(self.milestones, step)


class ExponentialLR(LRScheduler):
    """Multiply by `gamma` in every step: ``lr = base * gamma ** step``.

    Args:
        optimizer, last_epoch: see `LRScheduler`.
        gamma: as in the formula.

    Example:
        >>> schedule = optim.lr_scheduler.ExponentialLR(optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0), gamma=0.5)
        >>> [schedule.lr_at(step, 1.0, 0) for step in range(4)]
        [1.0, 0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        check_numbers("ExponentialLR", gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        return base * self.gamma**step


class LinearLR(LRScheduler):
    """Warm up (or down) in a straight line, then stay.

    ``lr = base * (start_factor + (end_factor - start_factor) * min(step, total_iters) / total_iters)``.

    Args:
        optimizer, last_epoch: see `LRScheduler`.
        start_factor: in (0, 1]; end_factor: in [0, 1]; total_iters: steps until the end.

    Raises:
        ValueError: a setting is out of its range.

    Example:
        >>> optimizer = optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0)
        >>> schedule = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.25, total_iters=3)
        >>> [schedule.lr_at(step, 1.0, 0) for step in range(5)]
        [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.total_iters = whole("LinearLR", "total_iters", total_iters)
        check_numbers("LinearLR", start_factor=start_factor, end_factor=end_factor)
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearLR: start_factor must be in (0, 1], got {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: end_factor must be in [0, 1], got {end_factor}")
        self.start_factor, self.end_factor = start_factor, end_factor
        super().__init__(optimizer, last_epoch)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        done = min(step, self.total_iters) / self.total_iters
        return base * (self.start_factor * (1 - done) + self.end_factor * done)


def whole(who: str, name: str, value: int) -> int:
    """Return a count of steps as Python's integer; raise an error unless it is a whole number of at least 1."""
    check_counts(who, **{name: value})
    return int(value)
