"""Trainer: the training loop, written once, and Callback: what is called around its epochs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..autograd.tensor import Tensor
from ..device import Device, resolve_device
from ..nn.ahead import compile_ahead
from ..nn.inputs import dtype_of
from ..nn.module import Module
from ..system.table import html_table
from .arguments import (
    check_average,
    check_epochs,
    check_model,
    check_trained,
    listed_callbacks,
    loss_function,
    optimizer_of,
    recorder_of,
)
from .average import Average
from .facts import facts
from .files import folder_of, state_to_resume
from .history import History
from .loop import Logs
from .metrics.named import named_metrics
from .progress import Progress
from .report import Report
from .run import Run
from .state import restore
from .steps import Recorded, Steps
from .supply import Supply, underlying
from .updates import Policy, Updates
from .weighting import Weighting
from .weights import ignore_index_of, threshold_of


class Callback:
    """Base of callbacks; define the hooks you need. Set ``trainer.stop = True`` to end training.

    Example:
        >>> class StopBelow(cunet.train.Callback):
        ...     def __init__(self, loss):
        ...         self.loss = loss
        ...     def on_epoch_end(self, trainer, logs):
        ...         logs["largest_weight"] = float(abs(trainer.model.weight.data).max())  # goes into the history
        ...         trainer.stop = logs["loss"] < self.loss
        >>> trainer = cunet.Trainer(nn.Linear(2, 1), "mse_loss", "sgd", callbacks=StopBelow(0.01), progress=False)
        >>> history = trainer.fit((np.ones((8, 2)), np.ones((8, 1))), epochs=1000)
        >>> history[-1]["loss"] < 0.01 <= history[-2]["loss"], "largest_weight" in history[0]
        (True, True)
    """

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


class Trainer(Run):
    """Train, evaluate and apply a model.

    Args:
        model: the model; moved to `device`.
        loss: ``loss(prediction, target) -> scalar Tensor``, the batch's mean; or its name in `cunet.functional`. One
            that is a module is moved to `device` too.
        optimizer: one of `cunet.optim`, or its name ("adamw") with its defaults; a dict of several for a `step` of
            your own; None for a trainer that only evaluates.
        metrics: names ("accuracy", "f1", ...; they ignore the labels that the loss ignores), functions
            ``metric(prediction, target)`` that return the batch's mean, functions of ``sklearn.metrics``, objects with
            ``update(prediction, target)``, ``compute()`` and ``reset()`` (see `Metric`), or a dict of these.
        callbacks: see `Callback`; called in this order.
        accumulate: batches whose gradients make an update together, as one batch of all their samples would; at the
            end of an epoch those that are left. A schedule per batch steps with each batch all the same.
        clip_norm, clip_value: largest norm of all gradients together (`optim.clip_grad_norm_`), and largest absolute
            value of one; or None.
        loss_scale: "dynamic", for models of float16: the loss is scaled on the way back, so that small gradients do not
            round to 0, and gradients are divided by the scale before they are clipped and used. Where they overflow the
            update is left out, and the scale halved; after 2,000 updates without that it is doubled. Or a number that
            stays. Waits for the device in each step.
        augment: ``augment(*inputs, target) -> (*inputs, target)``, called with each batch of training, on the device.
            What it draws from cunet's streams comes again in a run that is resumed.
        average: `EMA` or `SWA`, an average of the weights, with which is evaluated.
        on_nan: what is done about a loss or a gradient that is not finite, before anything is learnt from it: "raise"
            (FloatingPointError), "stop" training, "skip" the batch, "restore" the weights that the epoch began with
            and go on. Waits for the device in each step. A `step` of your own that does not call ``super().step`` is
            looked at when it is done. None: a warning at the end of the epoch, with the step.
        device: "auto" (the GPU if there is one), "cpu" or "gpu".
        progress: "auto" (a bar where somebody looks, else one row an epoch), True or False.
        unit: what a sample is called in the display.
        report: an HTML file to write, while it trains and when it is done: curves, weights, mistakes, layers, numbers,
            all in one file that a browser opens without a network. Needs the extra `[plot]`.
        compile: whether steps, evaluation and `predict` are recorded and replayed, as by `cunet.compile`, with the same
            bits. "auto": where that can be, and of long steps where it takes less time; True: `fit` says at its end how
            many were; False: never.
        diagnose: whether one step in 400 (or another number) is observed, and `fit` says at its end what was found that
            keeps the model from learning; see `cunet.diagnose.Recorder`. Its numbers stay what they are.

    Attributes:
        history: one dict per epoch, a `History`: "epoch", "loss", the metrics, the same with "valid_", "seconds" and
            "samples_per_second" of training, and "complete" (False for an epoch that was cut short); "skipped": how
            many batches `on_nan`, or updates `loss_scale`, left out, if any.
        epoch: number of the current epoch, from 1; counts on over several calls of `fit`.
        global_step: training steps so far.
        epoch_state: what is known of the epoch that is under way; None between two.
        stop: set to True to end training after the current batch.
        recorder: what was observed; None without `diagnose`.
        interrupted: whether Ctrl-C or SIGTERM ended the last `fit`.

    Plain floating arrays are converted to the model's dtype: whole ones and those of a `Loader` once, others batch by
    batch. A mean over an epoch weighs each batch by its samples; for `cross_entropy`, `nll_loss` and `accuracy` (also
    with options, by `functools.partial` or `nn.CrossEntropyLoss`) by its labels that are not ignored, with their
    weights: it is the value over all data at once. Losses are summed on the device, and read once an epoch, and twice a
    second while a bar is shown.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(256, 3)).astype(np.float32)
        >>> y = (x.sum(axis=1) > 0).astype(np.int64)
        >>> model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2))
        >>> optimizer = optim.Adam(model.parameters(), lr=0.01)
        >>> trainer = cunet.Trainer(model, "cross_entropy", optimizer, metrics="accuracy", progress=False)
        >>> history = trainer.fit((x, y), epochs=20, batch_size=32, validation_split=0.25)
        >>> history[-1]["valid_accuracy"] > 0.9, trainer.predict(x[:5]).shape
        (True, (5, 2))
    """

    def __init__(
        self,
        model: Module,
        loss: str | Callable[..., Tensor],
        optimizer: Any = None,
        *,
        metrics: Any = (),
        callbacks: Callback | Iterable[Callback] = (),
        accumulate: int = 1,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        loss_scale: float | str | None = None,
        augment: Callable[..., Any] | None = None,
        average: Average | None = None,
        on_nan: Policy | None = None,
        device: Device = "auto",
        progress: bool | str = "auto",
        unit: str = "samples",
        report: str | os.PathLike[str] | None = None,
        compile: bool | str = "auto",
        diagnose: bool | int = False,
    ) -> None:
        self.device = resolve_device(device)
        self._recorded = Recorded(compile)
        check_model(model)
        self.model, self.loss, self.optimizer = model, loss_function(loss), optimizer_of(optimizer, model)
        self.metrics = named_metrics(metrics, ignore_index_of(self.loss), threshold_of(self.loss))
        self.callbacks: list[Callback] = listed_callbacks(callbacks, Callback)
        self.updates = Updates(accumulate, clip_norm, clip_value, on_nan, loss_scale)
        self.careful = None
        self.recorder = recorder_of(diagnose, model, self.optimizer, self.updates.clips, accumulate)
        self.augment, self.average = augment, check_average(average, Average)
        self.progress, self.unit = progress, unit
        Progress(progress, unit)  # so that a wrong value fails here
        self.history = History()
        self.epoch = self.global_step = self.fit_began = 0
        self.epoch_state = self.train_data = self.valid_data = self.weighting = None
        self.report = None if report is None else Report(report)
        self.stop = self.interrupted = self.weighs_samples = self._nan_said = False
        self._place()

    def _place(self) -> None:
        """Move what computes to the device, and compile ahead what it will run."""
        for module in (self.model, self.loss):
            if isinstance(module, Module):
                module.to(self.device)  # type: ignore[arg-type]
        compile_ahead([self.loss], self.model.parameters())

    def fit(
        self,
        train: Any,
        valid: Any = None,
        epochs: int = 1,
        resume: str | os.PathLike[str] | None = None,
        *,
        batch_size: int | None = None,
        steps_per_epoch: int | None = None,
        validation_split: float = 0.0,
        class_weight: Any = None,
        sample_weight: Any = None,
        evaluate_first: bool = False,
    ) -> History:
        """Train for some epochs; return `history`.

        The model is put into training mode first. Ctrl-C, or SIGTERM, ends training after the current batch (or the
        validation that is running), with model and history whole; a second one ends it at once.

        Args:
            train: a tuple of arrays, or a dataset (then batches of `batch_size`, shuffled; arrays are kept on the
                device); a `Loader`; or another iterable of batches (\\*inputs, target) that can be gone through once an
                epoch, with `steps_per_epoch` also a generator that does not end.
            valid: the same, to evaluate on after each epoch, or None.
            epochs: how many more epochs; of a run that is resumed: how many since its `fit` began.
            resume: a file of `save` or a folder of `Checkpoint` to go on from; "auto": the folder of the `Checkpoint`
                among the callbacks. A folder with no checkpoint begins a run. What comes is what would have come
                without the stop, to the bit on a CPU, if model, optimiser, callbacks and data are made as they were.
            batch_size: samples per batch of arrays and datasets; default: 128.
            steps_per_epoch: batches that an epoch takes of data that go on from epoch to epoch.
            validation_split: share of the samples of `train` to validate on instead of training on them; drawn from
                the seed of `cunet.manual_seed`, the same in every call.
            class_weight: what a label counts in the loss of training: an array by label, or a dict (others count 1).
            sample_weight: what each sample counts there: an array (N,) beside `train`; True: its batches end with it.
                Both need a loss that has ``reduction="none"``; the mean is ``sum(weight * loss) / sum(weight)``.
            evaluate_first: whether to evaluate on `valid` before the first epoch, as epoch 0 in `history`.

        Raises:
            TypeError: `epochs` is no whole number, `train` or `valid` nothing to go through.
            ValueError: `train` yields no batch, or a number is out of its range; what is to be resumed is damaged, or
                is the state of another model, optimiser, data or other callbacks: nothing is changed then.
        """
        check_trained(self.model, self.optimizer, type(self).step is Steps.step)
        check_epochs(epochs)
        supply = Supply(train, valid, batch_size, steps_per_epoch, validation_split, sample_weight, evaluate_first)
        supply.check()
        weighting = Weighting.of(self.loss, class_weight, sample_weight is not None)
        train, valid = supply.prepared(dtype_of(self.model), self.device)
        if self.average is not None:
            self.average.check_data(self.model, underlying(train))
        display = Progress(self.progress, self.unit)
        state = None if resume is None else state_to_resume(folder_of(self.callbacks) if resume == "auto" else resume)
        self.weighting, self.weighs_samples = weighting, sample_weight is not None
        self.careful = self.updates if self.updates.wanted or weighting is not None else None
        self.train_data, self.valid_data, self.epoch_state, self.fit_began = train, valid, None, self.epoch
        if state is not None:
            restore(self, state)
        elif self.average is not None:
            self.average.take(self.model)
        self.interrupted = self._nan_said = False
        self.stop = state is not None and state["stopped"]  # by a callback: there the run was over
        self.model.train()
        self._fit(train, valid, self.fit_began + epochs, display, state, evaluate_first and state is None)
        return self.history

    def _repr_html_(self) -> str:
        """Return for a notebook what the run is, and its history."""
        return html_table([("", type(self).__name__), *facts(self)], left=2) + self.history._repr_html_()
