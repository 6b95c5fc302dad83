"""The schedule that waits for a metric to stop improving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..system.checks import check_counts, check_numbers
from .optimizer import Optimizer
from .rates import PerGroup, check_keys, rates_of, restore


class ReduceLROnPlateau:
    """Multiply the rate by `factor` when a metric has not improved for more than `patience` steps.

    ``lr = max(lr * factor, min_lr)`` of the present rate, whoever set it. Better means
    ``metric < best - threshold * |best|`` (mode "min", "rel") or ``metric < best - threshold`` ("abs"), and the like
    upwards for "max". A metric of nan counts as no improvement.

    Args:
        optimizer: whose groups to set.
        mode: "min" or "max": which way is better.
        factor: in (0, 1).
        patience: steps without improvement to put up with.
        threshold, threshold_mode: least improvement that counts; "rel" or "abs".
        cooldown: steps after a reduction in which nothing is counted.
        min_lr: one value, or one per group.
        eps: reductions by no more than this are not made.

    Attributes:
        best: best metric so far, None before the first.

    Raises:
        TypeError: `optimizer` is no `Optimizer`.
        ValueError: another mode, or factor is not in (0, 1).

    Example:
        >>> optimizer = optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0)
        >>> schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        >>> for loss in (3.0, 2.0, 2.0, 2.0, 1.0):
        ...     schedule.step(loss)
        ...     print(loss, schedule.last_lr)
        3.0 [1.0]
        2.0 [1.0]
        2.0 [1.0]
        2.0 [0.5]
        1.0 [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        check_numbers("ReduceLROnPlateau", factor=factor, threshold=threshold, eps=eps)
        check_counts("ReduceLROnPlateau", 0, patience=patience, cooldown=cooldown)
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be in (0, 1), got {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f'ReduceLROnPlateau: mode must be "min" or "max", got {mode!r}')
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f'ReduceLROnPlateau: threshold_mode must be "rel" or "abs", got {threshold_mode!r}')
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"ReduceLROnPlateau: optimizer must be an Optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.mode, self.factor, self.patience, self.cooldown = mode, factor, patience, cooldown
        self.threshold, self.threshold_mode, self.eps = threshold, threshold_mode, eps
        self.min_lrs = PerGroup("ReduceLROnPlateau", "min_lr", min_lr, optimizer).numbers()
        self.best: float | None = None
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0

    @property
    def last_lr(self) -> list[float]:
        """The present rate of each group."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """Return `last_lr`."""
        return self.last_lr

    def step(self, metrics: Any) -> None:
        """Take note of a metric (a number, or an array or Tensor of one element); reduce the rates if it is time."""
        value = float(metrics.item() if hasattr(metrics, "item") else metrics)
        self.last_epoch += 1
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _is_better(self, value: float) -> bool:
        if self.best is None:
            return value == value
        sign = 1 if self.mode == "max" else -1
        scale = abs(self.best) if self.threshold_mode == "rel" else 1.0  # what is worse than a negative best is worse
        bound = self.best + sign * self.threshold * scale
        return value > bound if self.mode == "max" else value < bound

    def _reduce(self) -> None:
        for i in range(len(self.optimizer.param_groups)):
            old = self.optimizer.rate(i)
            lr = max(old * self.factor, self.min_lrs[i])
            if old - lr > self.eps:
                self.optimizer.set_rate(i, lr)

    def state_dict(self) -> dict[str, Any]:
        """Return what was counted and the present rates, as plain numbers; settings are the constructor's."""
        return {
            "last_epoch": self.last_epoch,
            "best": self.best,
            "num_bad_epochs": self.num_bad_epochs,
            "cooldown_counter": self.cooldown_counter,
            "last_lr": rates_of(self.optimizer),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state; sets the rates.

        Raises:
            ValueError: it is of another number of groups, or of another kind.
        """
        counts = ("last_epoch", "best", "num_bad_epochs", "cooldown_counter")
        check_keys("ReduceLROnPlateau", state_dict, (*counts, "last_lr"))
        rates = PerGroup("ReduceLROnPlateau", "last_lr", list(state_dict["last_lr"]), self.optimizer).values
        for name in counts:
            setattr(self, name, state_dict[name])
        restore(self.optimizer, rates)
