"""Trainer: the training loop, written once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import backend
from ..backend import Array
from ..data import Loader
from ..nn.module import Module
from ..tape import no_grad
from ..tensor import Tensor
from .callbacks import Callback, Logs
from .interrupt import Interrupt
from .metrics import accuracy
from .progress import Progress

_METRICS = {"accuracy": accuracy}


class Trainer:
    """Train, evaluate and apply a model.

    Args:
        model: the model; moved to `device`.
        loss: ``loss(prediction, target) -> scalar Tensor``, the batch's mean.
        optimizer: one of `cunet.optim`; may be None for a trainer that only evaluates.
        metrics: names ("accuracy"), functions ``metric(prediction, target)`` that return the batch's mean,
            or a dict of functions by name.
        callbacks: see `cunet.train.callbacks`.
        device: "auto" (the GPU if there is one), "cpu" or "gpu".
        progress: "auto" (a bar where somebody looks, else one row an epoch), True or False.
        unit: what a sample is called in the display.

    Attributes:
        history: one dict per epoch: "epoch", "loss", the metrics, the same with "valid_", "seconds",
            "samples_per_second", and "complete" (False for an epoch that was interrupted).
        epoch: number of the current epoch, from 1; counts on over several calls of `fit`.
        stop: set to True to end training after the current batch.
        interrupted: whether Ctrl-C ended the last `fit`.

    Reading a value off the GPU waits for it, so losses are summed there and read once an epoch, and, while
    a bar is shown, twice a second.
    """

    def __init__(
        self,
        model: Module,
        loss: Callable[..., Tensor],
        optimizer: Any = None,
        *,
        metrics: Sequence[str | Callable[..., Any]] | Mapping[str, Callable[..., Any]] = (),
        callbacks: Iterable[Callback] = (),
        device: backend.Device = "auto",
        progress: bool | str = "auto",
        unit: str = "samples",
    ) -> None:
        self.device = backend.resolve_device(device)
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.metrics = _named_metrics(metrics)
        self.callbacks = list(callbacks)
        self.progress, self.unit = progress, unit
        Progress(progress, unit)  # so that a wrong value fails here
        self.history: list[Logs] = []
        self.epoch = 0
        self.stop = self.interrupted = False
        model.to(self.device)  # type: ignore[arg-type]

    def step(self, *batch: Any) -> tuple[Tensor, Tensor]:
        """Make one training step; override it for another. Returns the loss and the prediction.

        Args:
            batch: (\\*inputs, target) on the trainer's device.
        """
        *inputs, target = batch
        self.optimizer.zero_grad()
        prediction = self.model(*inputs)
        loss = self.loss(prediction, target)
        loss.backward()
        self.optimizer.step()
        return loss, prediction

    def fit(self, train: Any, valid: Any = None, epochs: int = 1) -> list[Logs]:
        """Train for some epochs; return `history`.

        Ctrl-C ends training after the current batch, with model and history whole; pressed again it
        raises KeyboardInterrupt at once.

        Args:
            train: a `Loader`, another iterable of batches (\\*inputs, target) that can be gone through once
                an epoch, or a tuple of arrays (then batches of 128, shuffled).
            valid: the same, to evaluate on after each epoch, or None.
            epochs: how many more epochs.

        Raises:
            ValueError: `train` yields no batch, or `epochs` is negative.
        """
        if self.optimizer is None:
            raise ValueError("Trainer.fit: an optimizer is required, got None")
        if epochs < 0:
            raise ValueError(f"Trainer.fit: epochs must not be negative, got {epochs}")
        train, valid = self._loader(train, shuffle=True), self._loader(valid)
        self.stop = self.interrupted = False
        display = Progress(self.progress, self.unit)
        last = self.epoch + epochs
        self._call("on_fit_begin")
        try:
            with Interrupt() as interrupt:
                while self.epoch < last and not self.stop:
                    logs = self._run_epoch(train, valid, last, display, interrupt)
                    display.row(logs, last)
                    if interrupt.requested:
                        self.stop = self.interrupted = True
        finally:
            display.end()
            self._call("on_fit_end")
        return self.history

    def _run_epoch(self, train: Any, valid: Any, last: int, display: Progress, interrupt: Interrupt) -> Logs:
        """Train one epoch, validate, and append its logs."""
        self.epoch += 1
        self._call("on_epoch_begin")
        self.model.train()
        means = _Means()
        begin = time.perf_counter()
        display.begin(f"epoch {self.epoch}/{last}", getattr(train, "n_samples", None) or 0)
        for batch in self._batches(train):
            loss, prediction = self.step(*batch)
            means.add(len(batch[-1]), self._measure(loss, prediction, batch[-1]))
            display.advance(len(batch[-1]), means.read)
            self._call("on_batch_end")
            if interrupt.requested:
                self.stop = self.interrupted = True
            if self.stop:
                break
        if not means.count:
            raise ValueError("Trainer.fit: the training data yields no batch")
        logs: Logs = {"epoch": self.epoch, **means.read()}  # reading waits for the device: then the time is whole
        seconds = time.perf_counter() - begin
        display.end()
        if valid is not None and not self.interrupted:
            logs |= {f"valid_{name}": value for name, value in self.evaluate(valid).items()}
        logs |= {"seconds": seconds, "samples_per_second": means.count / seconds, "complete": not self.interrupted}
        self.history.append(logs)
        if not self.interrupted:
            self._call("on_epoch_end", logs)
        return logs

    @no_grad()
    def evaluate(self, data: Any) -> dict[str, float]:
        """Return loss and metrics over `data` in evaluation mode; every module's mode is restored."""
        means = _Means()
        with self.model.evaluating():
            for batch in self._batches(self._loader(data)):
                *inputs, target = batch
                prediction = self.model(*inputs)
                means.add(len(target), self._measure(self.loss(prediction, target), prediction, target))
        if not means.count:
            raise ValueError("Trainer.evaluate: the data yields no batch")
        return means.read()

    @no_grad()
    def predict(self, *inputs: Any, batch_size: int = 1024) -> np.ndarray:
        """Return the model's outputs for input arrays, in evaluation mode, as one NumPy array.

        Args:
            inputs: the input arrays, all of one length; or one Loader, of whose batches the first array is
                the input.
            batch_size: samples at a time, for arrays.
        """
        from_loader = len(inputs) == 1 and not backend.is_array(inputs[0])
        data = inputs[0] if from_loader else Loader(*inputs, batch_size=batch_size)
        with self.model.evaluating():
            outputs = [self.model(*(batch[:1] if from_loader else batch)).data for batch in self._batches(data)]
        if not outputs:
            raise ValueError("Trainer.predict: the data yields no batch")
        return backend.asnumpy(backend.array_module(outputs[0]).concatenate(outputs))

    def _loader(self, data: Any, shuffle: bool = False) -> Any:
        return Loader(*data, batch_size=128, shuffle=shuffle) if isinstance(data, tuple) else data

    def _batches(self, data: Any) -> Iterator[tuple[Any, ...]]:
        for batch in data:
            parts = batch if isinstance(batch, (tuple, list)) else (batch,)
            yield tuple(backend.to_device(p.data if isinstance(p, Tensor) else p, self.device) for p in parts)

    def _measure(self, loss: Tensor, prediction: Tensor, target: Any) -> dict[str, Array]:
        if loss.size != 1:
            raise ValueError(f"Trainer: loss must return one element, got shape {loss.shape}")
        values = {"loss": loss.data}
        for name, metric in self.metrics.items():
            value = metric(prediction, target)
            values[name] = value.data if isinstance(value, Tensor) else value
        return values

    def _call(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *args)


class _Means:
    """Means over samples, summed where the values are."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: dict[str, Any] = {}

    def add(self, count: int, values: dict[str, Any]) -> None:
        self.count += count
        for name, value in values.items():
            wide = value.astype(np.float64) if hasattr(value, "astype") else value
            self._sums[name] = self._sums.get(name, 0.0) + wide * count

    def read(self) -> dict[str, float]:
        return {name: float(total) / self.count for name, total in self._sums.items()}


def _named_metrics(metrics: Any) -> dict[str, Callable[..., Any]]:
    if isinstance(metrics, Mapping):
        return dict(metrics)
    named: dict[str, Callable[..., Any]] = {}
    for metric in [metrics] if isinstance(metrics, str) else metrics:
        if isinstance(metric, str):
            if metric not in _METRICS:
                raise ValueError(f"Trainer: unknown metric {metric!r}; known by name: {', '.join(_METRICS)}")
            named[metric] = _METRICS[metric]
        else:
            named[getattr(metric, "__name__", type(metric).__name__)] = metric
    return named
