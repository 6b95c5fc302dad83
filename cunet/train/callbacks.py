"""Callbacks that stop training early, save weights, and step schedules."""

from __future__ import annotations

import math
import os
from typing import Any, Literal

from .trainer import Callback, Logs, Trainer


class _Best(Callback):
    """Watch one entry of the logs for a new best value."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f'{type(self).__name__}: mode must be "min" or "max", got {mode!r}')
        self.monitor, self.sign, self.min_delta = monitor, 1 if mode == "min" else -1, min_delta
        self.best = math.inf

    def improved(self, logs: Logs) -> bool:
        """Take this epoch's value; tell whether it is the best so far. NaN never is."""
        if self.monitor not in logs:
            raise ValueError(f"{type(self).__name__}: no {self.monitor!r} in the logs; there are {', '.join(logs)}")
        value = self.sign * logs[self.monitor]
        if value < self.best - self.min_delta:
            self.best = value
            return True
        return False


class EarlyStopping(_Best):
    """Stop when an entry of the logs has not improved for some epochs.

    Args:
        monitor: name in the logs, such as ``"valid_loss"``.
        patience: epochs without improvement after which training ends.
        mode: "min" or "max": which way is better.
        min_delta: what counts as improvement.
        restore_best: whether to give the model the weights of its best epoch at the end.

    A later call of `fit` waits anew, for something better than the best so far.
    """

    def __init__(
        self,
        monitor: str = "valid_loss",
        patience: int = 3,
        mode: Literal["min", "max"] = "min",
        min_delta: float = 0.0,
        restore_best: bool = False,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if patience < 1:
            raise ValueError(f"EarlyStopping: patience must be at least 1, got {patience}")
        self.patience, self.restore_best = patience, restore_best
        self.waited = 0
        self._state: Any = None

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Begin to wait."""
        self.waited = 0

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Count epochs without improvement."""
        if self.improved(logs):
            self.waited = 0
            if self.restore_best:
                self._state = trainer.model.state_dict()
            return
        self.waited += 1
        if self.waited >= self.patience:
            trainer.stop = True

    def on_fit_end(self, trainer: Trainer) -> None:
        """Restore the best weights, if asked to."""
        if self._state is not None:
            trainer.model.load_state_dict(self._state)


class Checkpoint(_Best):
    """Save the model's weights (safetensors) after every epoch that improves an entry of the logs.

    Args:
        path: the file; replaced whole or not at all.
        monitor, mode: as in `EarlyStopping`; ``monitor=None`` saves after every epoch.
    """

    def __init__(
        self, path: str | os.PathLike[str], monitor: str | None = "valid_loss", mode: Literal["min", "max"] = "min"
    ) -> None:
        super().__init__(monitor or "", mode)
        self.path = path

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Save if this epoch is to be kept."""
        if not self.monitor or self.improved(logs):
            trainer.model.save(self.path)


class Schedule(Callback):
    """Step a learning-rate schedule of `cunet.optim` with the training.

    Args:
        schedule: the schedule.
        per: "epoch" or "batch": when to step.
        monitor: entry of the logs to hand to the schedule, for `ReduceLROnPlateau`.
    """

    def __init__(self, schedule: Any, per: Literal["epoch", "batch"] = "epoch", monitor: str | None = None) -> None:
        if per not in ("epoch", "batch"):
            raise ValueError(f'Schedule: per must be "epoch" or "batch", got {per!r}')
        self.schedule, self.per, self.monitor = schedule, per, monitor

    def on_batch_end(self, trainer: Trainer) -> None:
        """Step per batch."""
        if self.per == "batch":
            self.schedule.step()

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Note the learning rate of the epoch's end in the logs; step per epoch."""
        logs["lr"] = float(trainer.optimizer.param_groups[0]["lr"])
        if self.per == "epoch":
            self.schedule.step(*([logs[self.monitor]] if self.monitor else []))
