"""TensorBoard: a run as event files, to be looked at while it goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Loader
from ..device import asnumpy
from ..plot.histograms import weights_of
from ..plot.images import as_pictures, filter_pictures, first_weight, mosaic, stretched
from ..system.checks import check_counts
from .events import Events
from .facts import facts
from .progress import is_number
from .state import by_name
from .supply import underlying
from .trainer import Callback, Trainer

_VALID = "valid_"
_NO_CURVE = ("epoch", "complete", "skipped")
_PICTURES = 16


class TensorBoard(Callback):
    """Write a run's event files: ``tensorboard --logdir FOLDER`` shows them (extra `[tensorboard]`).

    Numbers of training lie in ``FOLDER/train``, of validation in ``FOLDER/valid``, under the same names, so that both
    are in one chart; the axis is that of training steps. After each epoch come all numbers of its logs, histograms of
    the weights and, where they are pictures, those of the first layer; at the beginning the first inputs, the model
    and what is known of the run as text, and the hyper-parameters. What a run that was killed wrote after its last
    checkpoint is not shown any more when it goes on.

    Args:
        folder: where to write, one run a folder; made if it is not there.
        every_steps: steps after which the means of the epoch so far are written too, which waits for the device; None:
            only after each epoch.
        histograms: whether weights are written.
        images: whether pictures are.
        settings: hyper-parameters of yours beside optimiser, rate and batch size: numbers, flags, strings.

    Raises:
        ImportError: TensorBoard is not installed: ``pip install "cunet[tensorboard]"``; raised by `fit`.
        ValueError: `every_steps` is below 1.

    Example:
        >>> import os
        >>> from cunet.train import TensorBoard, Trainer
        >>> x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
        >>> trainer = Trainer(nn.Linear(2, 1), "mse_loss", "sgd", callbacks=TensorBoard("runs/first"), progress=False)
        >>> history = trainer.fit((x, y), (x, y), epochs=2)
        >>> sorted(os.listdir("runs/first"))  # tensorboard --logdir runs
        ['train', 'valid']
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        every_steps: int | None = None,
        histograms: bool = True,
        images: bool = True,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if every_steps is not None:
            check_counts("TensorBoard", every_steps=every_steps)
        self.logdir, self.every_steps = Path(folder).expanduser(), every_steps
        self.histograms, self.images, self.settings = histograms, images, dict(settings or {})
        self._runs: dict[str, Events] = {}
        self._step = 0  # at which this process began

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Open the files; write what the run is."""
        self._step, self._runs = trainer.global_step, {}
        train = self._events("train")
        if not self._step:
            train.text("model", f"```\n{trainer.model!r}\n```", 0)
            train.text("run", "\n".join(["| | |", "|---|---|", *(f"| {a} | {b} |" for a, b in facts(trainer))]), 0)
            train.settings(dict(_settings(trainer)) | self.settings)
            if self.images:
                self._write_inputs(trainer)
        train.flush()

    def on_batch_end(self, trainer: Trainer) -> None:
        """Write the means so far, if it is time."""
        if self.every_steps and trainer.global_step % self.every_steps == 0 and trainer.epoch_state is not None:
            for name, value in trainer.epoch_state.measures.means.read().items():
                self._events("train").scalar(f"steps/{name}", value, trainer.global_step)

    def on_checkpoint(self, trainer: Trainer) -> None:
        """Write an epoch, when all callbacks had their turn."""
        if trainer.epoch_state is not None:
            return
        step = trainer.global_step
        for name, value in trainer.history[-1].items():
            if name not in _NO_CURVE and is_number(value):
                self._events("valid" if name.startswith(_VALID) else "train").scalar(
                    name.removeprefix(_VALID), value, step
                )
        train = self._events("train")
        if self.histograms:
            for name, weight in weights_of(trainer.model).items():
                train.histogram(f"weights/{name}", asnumpy(weight.data), step)
        weight = first_weight(trainer.model) if self.images else None
        if weight is not None:
            pictures, largest = filter_pictures(weight, 64)
            train.picture("first layer", mosaic(pictures / largest / 2 + 0.5, 8), step)
        for run in self._runs.values():
            run.flush()

    def on_fit_end(self, trainer: Trainer) -> None:
        """Close the files."""
        for run in self._runs.values():
            run.close()
        self._runs = {}

    def _events(self, name: str) -> Events:
        """Return the run `name`, opened if it is not."""
        if name not in self._runs:
            self._runs[name] = Events(self.logdir / name, self._step + 1 if self._step else 0)
        return self._runs[name]

    def _write_inputs(self, trainer: Trainer) -> None:
        data = underlying(trainer.train_data)
        if not isinstance(data, Loader):
            return
        pictures = as_pictures(asnumpy(next(iter(trainer._batches(data.in_order())))[0])[:_PICTURES])
        if pictures is not None:
            self._events("train").picture("inputs", mosaic(stretched(pictures), 8), 0)


def _settings(trainer: Trainer) -> Iterator[tuple[str, Any]]:
    for name, optimizer in by_name(trainer.optimizer).items():
        group = getattr(optimizer, "param_groups", [{}])[0]
        before = f"{name}." if name else ""
        yield f"{before}optimizer", type(optimizer).__name__
        for key, value in group.items():
            if key != "params" and (is_number(value) or isinstance(value, np.ndarray) and not value.ndim):
                yield f"{before}{key}", float(value) if not isinstance(value, bool) else value
    data = underlying(trainer.train_data)
    if isinstance(data, Loader):
        yield "batch_size", data.batch_size
