"""The schedule that is several, one after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from .optimizer import Optimizer
from .rates import restore
from .schedules import LRScheduler


class SequentialLR(LRScheduler):
    """Run schedules one after the other, such as a warm-up and then a cosine.

    From ``milestones[i - 1]`` on ``schedulers[i]`` sets the rates, counting from 0. It starts from the rates that the
    groups had before any schedule, "initial_lr".

    Args:
        optimizer, last_epoch: see `LRScheduler`.
        schedulers: of the same optimiser; not `ReduceLROnPlateau`, which needs a metric.
        milestones: step counts, rising, one fewer than schedulers.

    Raises:
        TypeError: a scheduler is no `LRScheduler`.
        ValueError: milestones that do not fit or do not rise, or a scheduler of another optimiser.

    Example:
        >>> optimizer = optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0)
        >>> rise = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.25, total_iters=3)
        >>> fall = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
        >>> schedule = optim.lr_scheduler.SequentialLR(optimizer, [rise, fall], milestones=[3])
        >>> [round(schedule.lr_at(step, 1.0, 0), 4) for step in range(8)]
        [0.25, 0.5, 0.75, 1.0, 0.8536, 0.5, 0.1464, 0.0]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "SequentialLR: there must be one milestone fewer than schedulers,"
                f" got {len(milestones)} for {len(schedulers)}"
            )
        if any(a >= b for a, b in zip([0, *milestones], milestones, strict=False)):
            raise ValueError(f"SequentialLR: milestones must be positive and rise, got {list(milestones)}")
        for i, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(
                    f"SequentialLR: schedulers[{i}] must be a schedule that asks for no metric,"
                    f" got {type(scheduler).__name__}"
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: schedulers[{i}] belongs to another optimiser")
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        restore(optimizer, [float(g["initial_lr"] if "initial_lr" in g else g["lr"]) for g in optimizer.param_groups])
        super().__init__(optimizer, last_epoch)

    def _at(self, step: int) -> tuple[LRScheduler, int]:
        """Return the schedule that is in force after `step` steps, and the steps made in it."""
        i = bisect_right(self.milestones, step)
        return self.schedulers[i], step - (self.milestones[i - 1] if i else 0)

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps."""
        schedule, step = self._at(step)
        return schedule.lr_at(step, base, index)

    def _set_others(self, step: int) -> None:
        schedule, step = self._at(step)
        schedule._set_others(step)
