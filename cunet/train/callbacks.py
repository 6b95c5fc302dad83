"""Callbacks that stop training early, save the best weights, and step schedules."""

from __future__ import annotations

import math
import os
import re
from typing import Any, Literal

from ..system.checks import check_counts, check_numbers
from ..system.files import check_target, load_metadata
from ..system.messages import warn
from .loop import Logs
from .trainer import Callback, Trainer

Mode = Literal["min", "max"]
#: How the last word of a metric's name tells which way is better.
_BETTER: dict[str, Mode] = {
    **dict.fromkeys(("loss", "error", "entropy", "divergence", "perplexity", "mse", "mae", "rmse", "nll"), "min"),
    **dict.fromkeys(
        ("accuracy", "acc", "auc", "auroc", "f1", "precision", "recall", "score", "r2", "iou", "dice"), "max"
    ),
}


class Monitor(Callback):
    """Watch one entry of the logs for a new best value.

    Args:
        monitor: name in the logs; "" for none.
        mode: "min" or "max"; None where the name tells.
        min_delta: what counts as improvement.
    """

    def __init__(self, monitor: str, mode: str | None, min_delta: float = 0.0) -> None:
        who = type(self).__name__
        if mode is None and monitor:
            word = monitor.lower().rpartition("_")[2]
            mode = _BETTER.get(word) or ("max" if re.fullmatch(r"top\d+", word) else None)
            if mode is None:
                raise ValueError(
                    f'{who}: mode must be "min" or "max": the name {monitor!r} does not tell which is better'
                )
        if mode not in ("min", "max", None):
            raise ValueError(f'{who}: mode must be "min" or "max", got {mode!r}')
        check_numbers(who, min_delta=min_delta)
        self.monitor, self.sign, self.min_delta = monitor, -1 if mode == "max" else 1, min_delta
        self.best = math.inf
        self._run: tuple[Any, Any] | None = None  # the model and optimiser that `best` is of

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Begin anew if this is the training of another model, such as that of another fold."""
        run = (trainer.model, trainer.optimizer)
        if self._run is None or any(a is not b for a, b in zip(run, self._run, strict=True)):
            self.forget()
        self._run = run

    def forget(self) -> None:
        """Forget the best value."""
        self.best = math.inf

    def state_dict(self) -> dict[str, Any]:
        """Return the best value."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.best = state["best"]

    def improved(self, logs: Logs) -> bool:
        """Take this epoch's value; tell whether it is the best so far. NaN never is."""
        if self.monitor not in logs:
            raise ValueError(f"{type(self).__name__}: no {self.monitor!r} in the logs; there are {', '.join(logs)}")
        value = self.sign * logs[self.monitor]
        if value < self.best - self.min_delta:
            self.best = value
            return True
        return False


class EarlyStopping(Monitor):
    """Stop when an entry of the logs has not improved for some epochs.

    Args:
        monitor: name in the logs, such as ``"valid_loss"``.
        patience: epochs without improvement after which training ends.
        mode: "min" or "max": which way is better. May be left out where the last word of the name tells: loss, error,
            mse, mae, ...; accuracy, auc, f1, score, ...
        min_delta: what counts as improvement.
        restore_best: whether to give the model the weights of its best epoch at the end.

    A later call of `fit` waits anew, for something better than the best so far; with another model or optimiser it
    begins anew entirely.

    Raises:
        ValueError: `patience` is below 1; or `mode` is another word, or left out where the name does not tell.

    Example:
        >>> from cunet.train import EarlyStopping, Trainer
        >>> x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
        >>> stopping = EarlyStopping("valid_loss", patience=2, restore_best=True)
        >>> model = nn.Linear(2, 1)
        >>> frozen = optim.SGD(model.parameters(), lr=0.0)
        >>> trainer = Trainer(model, "mse_loss", frozen, callbacks=stopping, progress=False)
        >>> len(trainer.fit((x, y), (x, y), epochs=100))  # the first was the best, two more were waited for
        3
    """

    def __init__(
        self,
        monitor: str = "valid_loss",
        patience: int = 3,
        mode: Mode | None = None,
        min_delta: float = 0.0,
        restore_best: bool = False,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        check_counts("EarlyStopping", patience=patience)
        self.patience, self.restore_best = patience, restore_best
        self.waited = 0
        self._state: Any = None

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Begin to wait."""
        super().on_fit_begin(trainer)
        self.waited = 0

    def forget(self) -> None:
        """Forget the best value and its weights."""
        super().forget()
        self._state = None

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, the epochs waited, and the best weights if they are kept."""
        return {**super().state_dict(), "waited": self.waited, "weights": self._state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        super().load_state_dict(state)
        self.waited, self._state = state["waited"], state["weights"]

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


class BestWeights(Monitor):
    """Save the model's weights (safetensors) after every epoch that improves an entry of the logs.

    The file says which entry it is the best of, and its value. A new BestWeights on a file of the same entry does not
    replace a better one, and says so once; delete the file to begin anew.

    Args:
        path: the file; replaced whole or not at all.
        monitor, mode: as in `EarlyStopping`; ``monitor=None`` saves after every epoch.

    Raises:
        ValueError: `mode` is another word, or left out where the name does not tell.

    Example:
        >>> from cunet.train import BestWeights, Trainer
        >>> x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
        >>> best = BestWeights("best.safetensors")
        >>> trainer = Trainer(nn.Linear(2, 1), "mse_loss", "sgd", callbacks=best, progress=False)
        >>> history = trainer.fit((x, y), (x, y), epochs=3)
        >>> report = trainer.model.load("best.safetensors")
        >>> trainer.evaluate((x, y))["loss"] == min(row["valid_loss"] for row in history)
        True
    """

    def __init__(
        self, path: str | os.PathLike[str], monitor: str | None = "valid_loss", mode: Mode | None = None
    ) -> None:
        super().__init__(monitor or "", mode)
        self.path = path
        self._old: float | None = None  # value of a file of another run, until it is beaten

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Look whether the file can be written, and, before the first fit of this object, at that of an earlier run."""
        first = self._run is None
        super().on_fit_begin(trainer)
        file = check_target(self.path)
        if first and self.monitor and file.exists():
            kept = load_metadata(file)
            if kept.get("monitor") == self.monitor:
                self._old = float(kept["value"])
                self.best = self.sign * self._old

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Save if this epoch is to be kept."""
        if not self.monitor:
            trainer.model.save(self.path)
        elif self.improved(logs):
            self._old = None
            trainer.model.save(self.path, {"monitor": self.monitor, "value": repr(float(logs[self.monitor]))})
        elif self._old is not None:
            warn(
                f"BestWeights: {os.fspath(self.path)} is of an earlier run with a better {self.monitor},"
                f" {self._old:.6g}: it is kept until this run is better; delete it, or take another path, to begin anew"
            )
            self._old = None

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, and that of a better file."""
        return {**super().state_dict(), "old": self._old}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        super().load_state_dict(state)
        self._old = state["old"]


class Schedule(Callback):
    """Step a learning-rate schedule of `cunet.optim` with the training, and note the rates of the first group.

    The logs of an epoch get "lr", the rate at its end; a schedule per batch adds "max_lr", the highest of its steps.

    Args:
        schedule: the schedule.
        per: "epoch" or "batch": when to step.
        monitor: entry of the logs to hand to the schedule, for `ReduceLROnPlateau`.

    Raises:
        ValueError: `per` is neither.

    Example:
        >>> from cunet.train import Schedule, Trainer
        >>> model = nn.Linear(2, 1)
        >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
        >>> schedule = Schedule(optim.CosineAnnealingLR(optimizer, T_max=4))
        >>> trainer = Trainer(model, "mse_loss", optimizer, callbacks=schedule, progress=False)
        >>> history = trainer.fit((np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)), epochs=4)
        >>> [round(row["lr"], 4) for row in history]
        [0.1, 0.0854, 0.05, 0.0146]
    """

    def __init__(self, schedule: Any, per: Literal["epoch", "batch"] = "epoch", monitor: str | None = None) -> None:
        if per not in ("epoch", "batch"):
            raise ValueError(f'Schedule: per must be "epoch" or "batch", got {per!r}')
        self.schedule, self.per, self.monitor = schedule, per, monitor
        self._highest = 0.0

    def on_epoch_begin(self, trainer: Trainer) -> None:
        """Begin to look for the highest rate."""
        self._highest = 0.0

    def on_batch_end(self, trainer: Trainer) -> None:
        """Step per batch."""
        if self.per == "batch":
            self._highest = max(self._highest, trainer.optimizer.rate(0))
            self.schedule.step()

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Note rates in the logs; step per epoch."""
        logs["lr"] = float(trainer.optimizer.param_groups[0]["lr"])
        if self.per == "batch":
            logs["max_lr"] = self._highest
        else:
            self.schedule.step(*([logs[self.monitor]] if self.monitor else []))

    def state_dict(self) -> dict[str, Any]:
        """Return the schedule's state, and the epoch's highest rate so far."""
        return {"schedule": self.schedule.state_dict(), "highest": self._highest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.schedule.load_state_dict(state["schedule"])
        self._highest = state["highest"]
