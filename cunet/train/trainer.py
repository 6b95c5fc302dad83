"""Trainer: the training loop, written once, and Callback: what is called around its epochs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor
from ..data import Loader
from ..device import Array, Device, array_module, asnumpy, is_array, resolve_device
from ..nn.ahead import compile_ahead
from ..nn.inputs import dtype_of
from ..nn.module import Module
from ..system.messages import warn
from .arguments import (
    check_data,
    check_epochs,
    check_model,
    check_optimizer,
    listed_callbacks,
    loss_function,
    warn_of_strangers,
)
from .batches import as_loader, batches, n_samples
from .interrupt import Interrupt
from .metrics import Means, named_metrics
from .progress import Progress
from .weights import ignore_index_of, weight_of

Logs = dict[str, Any]


class Callback:
    """Base of callbacks; define the hooks you need. Set ``trainer.stop = True`` to end training."""

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Run before the first epoch, with the model in training mode: the place to keep a part in another."""

    def on_epoch_begin(self, trainer: Trainer) -> None:
        """Run before every epoch; its number is ``trainer.epoch``."""

    def on_batch_end(self, trainer: Trainer) -> None:
        """Run after every training step."""

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Run after every epoch, unless Ctrl-C cut it short, with its logs, which may be added to."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """Run after the last epoch, also when training was interrupted."""


class Trainer:
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

    Attributes:
        history: one dict per epoch: "epoch", "loss", the metrics, the same with "valid_", "seconds" and
            "samples_per_second" of training, and "complete" (False for an epoch that was cut short). A loss
            that became NaN is NaN there; a warning says once from which batch on, and training goes on.
        epoch: number of the current epoch, from 1; counts on over several calls of `fit`.
        stop: set to True to end training after the current batch.
        interrupted: whether Ctrl-C ended the last `fit`.

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
    ) -> None:
        self.device = resolve_device(device)
        check_model(model)
        self.model, self.loss, self.optimizer = model, loss_function(loss), optimizer
        check_optimizer(optimizer)
        self.metrics = named_metrics(metrics, ignore_index_of(self.loss))
        self.callbacks: list[Callback] = listed_callbacks(callbacks, Callback)
        self.progress, self.unit = progress, unit
        Progress(progress, unit)  # so that a wrong value fails here
        self.history: list[Logs] = []
        self.epoch = 0
        self.stop = self.interrupted = self._nan_said = False
        for module in (model, self.loss):
            if isinstance(module, Module):
                module.to(self.device)  # type: ignore[arg-type]
        compile_ahead([self.loss], model.parameters())

    def compute(self, *batch: Any) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch and the prediction, in training and in evaluation; override it for another loss.

        Args:
            batch: (\\*inputs, target) on the trainer's device.
        """
        if len(batch) < 2:
            raise TypeError("Trainer: a batch must be a tuple (*inputs, target), got one array")
        *inputs, target = batch
        prediction = self.model(*inputs)
        return self.loss(prediction, target), prediction

    def step(self, *batch: Any) -> tuple[Tensor, Tensor]:
        """Make one training step; return the loss and the prediction; override it for another step."""
        self.optimizer.zero_grad()
        loss, prediction = self.compute(*batch)
        loss.backward()
        self.optimizer.step()
        return loss, prediction

    def fit(self, train: Any, valid: Any = None, epochs: int = 1) -> list[Logs]:
        """Train for some epochs; return `history`.

        The model is put into training mode first. Ctrl-C ends training after the current batch (or the
        validation that is running), with model and history whole; pressed again it raises KeyboardInterrupt
        at once.

        Args:
            train: a `Loader`; another iterable of batches (\\*inputs, target) that can be gone through once
                an epoch; or a tuple of arrays (then batches of 128, shuffled, kept on the device).
            valid: the same, to evaluate on after each epoch, or None.
            epochs: how many more epochs.

        Raises:
            TypeError: `epochs` is no whole number, `train` or `valid` nothing to go through.
            ValueError: `train` yields no batch, or `epochs` is negative.
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
        last = self.epoch + epochs
        self.stop = self.interrupted = self._nan_said = False
        self.model.train()
        self._call("on_fit_begin")
        try:
            self._run_epochs(train, valid, last, display)
        except KeyboardInterrupt:
            self.interrupted = True
            raise
        finally:
            display.end()
            self._call("on_fit_end")
        if self.stop:
            display.say(f"stopped {'by Ctrl-C ' if self.interrupted else ''}in epoch {self.epoch} of {last}")
        return self.history

    def _run_epochs(self, train: Any, valid: Any, last: int, display: Progress) -> None:
        with Interrupt() as interrupt:
            while self.epoch < last and not self.stop:
                display.row(self._run_epoch(train, valid, last, display, interrupt), last)
                if interrupt.requested:
                    self.stop = self.interrupted = True

    def _run_epoch(self, train: Any, valid: Any, last: int, display: Progress, interrupt: Interrupt) -> Logs:
        """Train one epoch, validate, and append its logs."""
        self.epoch += 1
        self._call("on_epoch_begin")
        means, complete = Means(), True
        begin = time.perf_counter()
        display.begin(f"epoch {self.epoch}/{last}", n_samples(train))
        for batch in self._batches(train):
            loss, prediction = self.step(*batch)
            self._measure(means, loss, prediction, batch[-1])
            display.advance(len(batch[-1]), means.read)
            self._call("on_batch_end")
            if interrupt.requested:
                self.stop = self.interrupted = True
            if self.stop:
                complete = False
                break
        if not means.count:
            raise ValueError(
                f"Trainer.fit: the training data yields no batch in epoch {self.epoch}"
                " (a generator can be gone through only once)"
            )
        logs: Logs = {"epoch": self.epoch, **means.read()}  # reading waits for the device: then the time is whole
        seconds = time.perf_counter() - begin
        display.end()
        logs |= {"seconds": seconds, "samples_per_second": means.count / seconds, "complete": False}
        self.history.append(logs)  # now, so that an error in the validation does not lose it
        if math.isnan(logs["loss"]):
            self._warn_of_nan(means.first_nan())  # None if all labels were ignored, of which the mean is NaN
        if self.interrupted:
            return logs
        if valid is not None:
            measured = self._evaluate(valid, display, f"valid {self.epoch}/{last}")
            logs |= {f"valid_{name}": value for name, value in measured.items()}
        logs["complete"] = complete
        self._call("on_epoch_end", logs)
        return logs

    def evaluate(self, data: Any) -> dict[str, float]:
        """Return loss and metrics over `data` (as for `fit`) in evaluation mode; every module's mode is restored."""
        return self._evaluate(data, Progress(self.progress, self.unit), "evaluate")

    @no_grad()
    def _evaluate(self, data: Any, display: Progress, label: str) -> dict[str, float]:
        check_data("Trainer.evaluate", data)
        data = as_loader(data, dtype_of(self.model))
        means = Means()
        display.begin(label, n_samples(data))
        try:
            with self.model.evaluating():
                for batch in self._batches(data):
                    self._measure(means, *self.compute(*batch), batch[-1])
                    display.advance(len(batch[-1]), means.read)
        finally:
            display.end()
        if not means.count:
            raise ValueError("Trainer.evaluate: the data yields no batch")
        return means.read()

    @no_grad()
    def predict(self, *inputs: Any, batch_size: int = 1024) -> np.ndarray:
        """Return the model's outputs in evaluation mode, in the order of the data, as one NumPy array.

        Args:
            inputs: the input arrays, all of one length; or one Loader (or other iterable of batches) as for
                `fit`, whose target is left out, or that yields nothing but one input. A Loader is gone through in
                the order of its data and to its end, whether or not it shuffles or drops its last batch.
            batch_size: samples at a time, for arrays.
        """
        from_arrays = isinstance(inputs[0], Tensor) or is_array(inputs[0])
        dtype = dtype_of(self.model)
        data = Loader(*inputs, batch_size=batch_size, dtype=dtype) if from_arrays else as_loader(inputs[0], dtype)
        if isinstance(data, Loader) and (data.shuffle or data.drop_last):
            data = data.in_order()
        outputs = []
        with self.model.evaluating():
            for batch in self._batches(data):
                used = batch if from_arrays or len(batch) == 1 else batch[:-1]
                outputs.append(self.model(*used).data)
        if not outputs:
            raise ValueError("Trainer.predict: the data yields no batch")
        return asnumpy(array_module(outputs[0]).concatenate(outputs))

    def _batches(self, data: Any) -> Iterator[tuple[Array, ...]]:
        return batches(data, dtype_of(self.model), self.device)

    @no_grad()
    def _measure(self, means: Means, loss: Tensor, prediction: Tensor, target: Any) -> None:
        values = {name: metric(prediction, target) for name, metric in self.metrics.items()}
        weights = {name: weight_of(f, target) for name, f in {"loss": self.loss, **self.metrics}.items()}
        means.add(len(target), {"loss": loss, **values}, weights)

    def _warn_of_nan(self, batch: int | None) -> None:
        if batch is not None and not self._nan_said:
            self._nan_said = True
            warn(f"Trainer: the loss is NaN from batch {batch} of epoch {self.epoch} on; training goes on")

    def _call(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *args)
