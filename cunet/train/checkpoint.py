"""Checkpoint: the whole state of a run in a folder, so that it goes on as if nothing had stopped it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ..system.checks import check_counts, check_numbers
from ..system.files import load_metadata, sweep
from ..system.messages import say, warn
from .callbacks import Mode, Monitor
from .files import NAME, listed
from .loop import Logs
from .trainer import Trainer


class Checkpoint(Monitor):
    """Save the whole run after every epoch, also within one, and when Ctrl-C or SIGTERM ends it.

    ``trainer.fit(..., resume="auto")`` goes on from the newest whole file: with weights, optimiser, schedules, random
    streams, the position in the data, history and the callbacks' states, so that what comes is what would have come,
    to the bit. A file holds no code and no pickle; it appears whole or not at all, with a checksum in it.

    Args:
        folder: where to save, one run a folder; made if it is not there.
        keep: how many of the newest files stay; the best one stays beside them.
        monitor, mode: which entry of the logs tells the best epoch; see `EarlyStopping`. None: none is the best.
        every_steps, every_minutes: save within epochs too, after so many steps or minutes.

    Attributes:
        newest, best_path: the files, or None; those of an earlier run are known from `on_fit_begin` on.

    Raises:
        ValueError: a number is below 1, or the folder is the name of a file.

    Example:
        >>> from cunet.train import Checkpoint, Trainer
        >>> def run(epochs):
        ...     saved = Checkpoint("run", monitor=None)
        ...     trainer = Trainer(nn.Linear(2, 1), "mse_loss", "sgd", callbacks=saved, progress=False)
        ...     return trainer.fit((np.ones((8, 2)), np.ones((8, 1))), epochs=epochs, resume="auto")
        >>> len(run(2)), len(run(5))  # the second one goes on with epoch 3
        (2, 5)
    """

    folder: Path

    def __init__(
        self,
        folder: str | os.PathLike[str],
        keep: int = 3,
        monitor: str | None = "valid_loss",
        mode: Mode | None = None,
        every_steps: int | None = None,
        every_minutes: float | None = None,
    ) -> None:
        super().__init__(monitor or "", mode)
        self.folder = Path(folder).expanduser()
        if self.folder.suffix == ".safetensors" or self.folder.is_file():
            raise ValueError(f"Checkpoint: folder must be a folder, got {os.fspath(folder)!r}; BestWeights keeps the "
                             "best weights in one file")  # fmt: skip
        check_counts("Checkpoint", keep=keep, every_steps=1 if every_steps is None else every_steps)
        check_numbers("Checkpoint", every_minutes=1 if every_minutes is None else every_minutes)
        if every_minutes is not None and not every_minutes > 0:
            raise ValueError(f"Checkpoint: every_minutes must be more than 0, got {every_minutes}")
        self.keep, self.every_steps, self.every_minutes = keep, every_steps, every_minutes
        self.newest: Path | None = None
        self.best_path: Path | None = None
        self._saved_at = 0.0
        self._value: float | None = None  # of the epoch that has just ended
        self._told = False  # that there is no such entry

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Make the folder, and look at what an earlier run left there."""
        super().on_fit_begin(trainer)
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder, NAME.pattern)
        self._saved_at = time.monotonic()
        files = listed(self.folder)
        self.newest = files[-1] if files else None
        for path in files:
            value = self._value_of(path)
            if value is not None and value < self.best:
                self.best, self.best_path = value, path

    def _value_of(self, path: Path) -> float | None:
        """Return what a file says of the monitored entry, so that less is better; None if it says nothing."""
        try:
            kept = load_metadata(path)
        except OSError:  # it cannot be read, or another process has just removed it
            return None
        if not self.monitor or kept.get("monitor") != self.monitor:
            return None
        return self.sign * float(kept["value"])

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Note the epoch's value; what is saved is saved when all callbacks had their turn."""
        self._value = float(logs[self.monitor]) if self.monitor in logs else None
        if self.monitor and self._value is None and not self._told:
            self._told = True
            warn(f"Checkpoint: no {self.monitor!r} in the logs, so none is the best; there are {', '.join(logs)}")

    def on_checkpoint(self, trainer: Trainer) -> None:
        """Save after an epoch, or within one if it is time, or if this batch is the last."""
        if trainer.epoch_state is None:
            better = self._value is not None and self.improved({self.monitor: self._value})
            self._save(trainer, better)
            self._value = None
        elif trainer.interrupted or self._due(trainer):
            self._save(trainer, False)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Say where a run that was ended early goes on from."""
        if trainer.interrupted and self.newest is not None:
            say(f'saved {self.newest}: fit(..., resume="auto") goes on from there')

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: what is the best is known from the files."""
        return {}

    def _due(self, trainer: Trainer) -> bool:
        minutes = (time.monotonic() - self._saved_at) / 60
        steps, pause = self.every_steps, self.every_minutes
        return (steps is not None and trainer.global_step % steps == 0) or (pause is not None and minutes >= pause)

    def _save(self, trainer: Trainer, better: bool) -> None:
        path = self.folder / f"step-{trainer.global_step:09}.safetensors"
        metadata = {} if self._value is None else {"monitor": self.monitor, "value": repr(self._value)}
        trainer.save(path, metadata)
        self.newest, self._saved_at = path, time.monotonic()
        if better:
            self.best_path = path
        files = [p for p in listed(self.folder) if p != self.best_path]
        for old in files[: -self.keep]:
            old.unlink(missing_ok=True)
