"""Trainer: the training loop, written once, and Callback: what is called around its epochs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..autograd.tensor import Tensor
from ..device import Device, resolve_device
from ..nn.ahead import compile_ahead
from ..nn.inputs import dtype_of
from ..nn.module import Module
from ..record import Report
from ..system import trees
from .arguments import (
    check_data,
    check_epochs,
    check_model,
    check_optimizer,
    listed_callbacks,
    loss_function,
    warn_of_strangers,
)
from .batches import as_loader
from .files import state_to_resume
from .loop import Logs, Loop
from .metrics import named_metrics
from .progress import Progress
from .state import restore, restore_callbacks, state_of
from .steps import Recorded
from .weights import ignore_index_of


class Callback:
    """Base of callbacks; define the hooks you need. Set ``trainer.stop = True`` to end training."""

    folder: Path | None = None  # where ``fit(resume="auto")`` looks, if this callback saves whole runs

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Run before the first epoch, with the model in training mode: the place to keep a part in another."""

    def on_epoch_begin(self, trainer: Trainer) -> None:
        """Run before every epoch; its number is ``trainer.epoch``."""

    def on_batch_end(self, trainer: Trainer) -> None:
        """Run after every training step."""

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Run after every epoch, unless Ctrl-C cut it short, with its logs, which may be added to."""

    def on_checkpoint(self, trainer: Trainer) -> None:
        """Run after every step and epoch, when all callbacks had their turn and the state is whole: to save it."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """Run after the last epoch, also when training was interrupted or a hook failed."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know, made of dicts, lists, numbers, strings and arrays; {} for nothing."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned; called after `on_fit_begin`."""


class Trainer(Loop):
    """Train, evaluate and apply a model.

    Args:
        model: the model; moved to `device`.
        loss: ``loss(prediction, target) -> scalar Tensor``, the batch's mean; or its name in `cunet.functional`. One
            that is a module is moved to `device` too.
        optimizer: one of `cunet.optim`; may be None for a trainer that only evaluates.
        metrics: names ("accuracy", which ignores the labels that the loss ignores), functions ``metric(prediction,
            target)`` that return the batch's mean, or a dict of functions by name.
        callbacks: see `Callback`; called in this order.
        device: "auto" (the GPU if there is one), "cpu" or "gpu".
        progress: "auto" (a bar where somebody looks, else one row an epoch), True or False.
        unit: what a sample is called in the display.
        compile: whether steps, evaluation and `predict` are recorded and replayed, as by `cunet.compile`, with the same
            bits. "auto": on a CPU, where that can be; True: `fit` says at its end how many were; False: never.

    Attributes:
        history: one dict per epoch: "epoch", "loss", the metrics, the same with "valid_", "seconds" and
            "samples_per_second" of training, and "complete" (False for an epoch that was cut short). A loss
            that became NaN is NaN there; a warning says once from which batch on, and training goes on.
        epoch: number of the current epoch, from 1; counts on over several calls of `fit`.
        global_step: training steps so far.
        epoch_state: what is known of the epoch that is under way; None between two.
        stop: set to True to end training after the current batch.
        interrupted: whether Ctrl-C or SIGTERM ended the last `fit`.

    Plain floating arrays are converted to the model's dtype: whole ones and those of a `Loader` once, others batch by
    batch. A mean over an epoch weighs each batch by its samples; for `cross_entropy`, `nll_loss` and `accuracy` (also
    with options, by `functools.partial` or `nn.CrossEntropyLoss`) by its labels that are not ignored, with their
    weights: it is the value over all data at once.

    Reading a value off the GPU waits for it, so losses are summed there and read once an epoch, and, while
    a bar is shown, twice a second.
    """

    def __init__(
        self,
        model: Module,
        loss: str | Callable[..., Tensor],
        optimizer: Any = None,
        *,
        metrics: str | Sequence[str | Callable[..., Any]] | Mapping[str, Callable[..., Any]] = (),
        callbacks: Callback | Iterable[Callback] = (),
        device: Device = "auto",
        progress: bool | str = "auto",
        unit: str = "samples",
        compile: bool | str = "auto",
    ) -> None:
        self.device = resolve_device(device)
        self._recorded = Recorded(compile, self.device)
        check_model(model)
        self.model, self.loss, self.optimizer = model, loss_function(loss), optimizer
        check_optimizer(optimizer)
        self.metrics = named_metrics(metrics, ignore_index_of(self.loss))
        self.callbacks: list[Callback] = listed_callbacks(callbacks, Callback)
        self.progress, self.unit = progress, unit
        Progress(progress, unit)  # so that a wrong value fails here
        self.history: list[Logs] = []
        self.epoch = self.global_step = self.fit_began = 0
        self.epoch_state = self.train_data = None
        self.stop = self.interrupted = self._nan_said = False
        for module in (model, self.loss):
            if isinstance(module, Module):
                module.to(self.device)  # type: ignore[arg-type]
        compile_ahead([self.loss], model.parameters())

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle without the data."""
        return {**vars(self), "train_data": None}

    def fit(
        self, train: Any, valid: Any = None, epochs: int = 1, resume: str | os.PathLike[str] | None = None
    ) -> list[Logs]:
        """Train for some epochs; return `history`.

        The model is put into training mode first. Ctrl-C, or SIGTERM, ends training after the current batch (or the
        validation that is running), with model and history whole; a second one ends it at once.

        Args:
            train: a `Loader`; another iterable of batches (\\*inputs, target) that can be gone through once
                an epoch; or a tuple of arrays (then batches of 128, shuffled, kept on the device).
            valid: the same, to evaluate on after each epoch, or None.
            epochs: how many more epochs; of a run that is resumed: how many since its `fit` began.
            resume: a file of `save` or a folder of `Checkpoint` to go on from; "auto": the folder of the `Checkpoint`
                among the callbacks. A folder with no checkpoint begins a run. What comes is what would have come
                without the stop, to the bit on a CPU, if model, optimiser, callbacks and data are made as they were.

        Raises:
            TypeError: `epochs` is no whole number, `train` or `valid` nothing to go through.
            ValueError: `train` yields no batch, or `epochs` is negative; what is to be resumed is damaged, or is the
                state of another model, optimiser, data or other callbacks: nothing is changed then.
        """
        if self.optimizer is None:
            raise ValueError("Trainer.fit: an optimizer is required, got None")
        check_epochs(epochs)
        for data in (train,) if valid is None else (train, valid):
            check_data("Trainer.fit", data)
        warn_of_strangers(self.model, self.optimizer)
        dtype = dtype_of(self.model)
        train = as_loader(train, dtype, shuffle=True, device=self.device)
        valid = as_loader(valid, dtype, device=self.device)
        display = Progress(self.progress, self.unit)
        self.train_data, self.epoch_state, self.fit_began = train, None, self.epoch
        state = None if resume is None else state_to_resume(self._folder() if resume == "auto" else resume)
        if state is not None:
            restore(self, state)
        last = self.fit_began + epochs
        self.interrupted = self._nan_said = False
        self.stop = state is not None and state["stopped"]  # by a callback: there the run was over
        self.model.train()
        try:
            self._call("on_fit_begin")
            if state is not None:
                restore_callbacks(self, state)
            self._run_epochs(train, valid, last, display)
        except KeyboardInterrupt:
            self.interrupted = True
            raise
        finally:
            display.end()
            self._call_all("on_fit_end")
        if self._recorded.mode is True:
            display.say(self._recorded.summary())
        if self.stop:
            display.say(f"stopped {'by Ctrl-C ' if self.interrupted else ''}in epoch {self.epoch} of {last}")
        return self.history

    def save(self, path: str | os.PathLike[str], metadata: dict[str, str] | None = None) -> None:
        """Write the whole state of the run to one safetensors file, for `load` or ``fit(resume=path)``."""
        trees.save_tree(path, state_of(self), metadata)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Take over the state in a file of `save`, between two calls of `fit`; in one epoch, ``fit(resume=path)`` does.

        Raises:
            ValueError: the file is damaged, or of another model, optimiser or other callbacks; nothing is changed then.
        """
        state = trees.load_tree(path)
        restore(self, state)
        restore_callbacks(self, state)

    def reports(self) -> dict[str, Report]:
        """Return how calls were recorded and replayed, and why some were not, by the method that made them."""
        return self._recorded.reports()

    def _folder(self) -> str | os.PathLike[str]:
        """Return the folder of the `Checkpoint` among the callbacks."""
        for callback in self.callbacks:
            if callback.folder is not None:
                return callback.folder
        raise ValueError('Trainer.fit: resume="auto" needs a Checkpoint among the callbacks, which names the folder')
