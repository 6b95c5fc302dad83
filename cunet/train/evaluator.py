"""What is done with a model beside training it: evaluation and prediction, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor
from ..data import Loader
from ..device import Array, array_module, asnumpy, is_array
from ..nn.inputs import dtype_of
from .arguments import check_data
from .batches import as_loader, batches, n_samples
from .losses import Losses, named
from .metrics.measures import Measures
from .progress import Progress
from .state import Running
from .steps import Recorded, Steps
from .weighting import Weighting
from .weights import measured, weight_of


class Evaluator(Steps):
    """Apply a model to data, and measure it; the half of a `Trainer` that changes nothing."""

    metrics: dict[str, Any]
    epoch_state: Running | None
    device: str
    progress: bool | str
    unit: str
    _recorded: Recorded

    def part(self, name: str) -> Callable[..., Any]:
        """Return one of the methods of `Steps`, recorded if steps are."""
        return self._recorded.method(self, name)

    def evaluate(self, data: Any, batch_size: int | None = None) -> dict[str, Any]:
        """Return loss and metrics over data in evaluation mode; every module's mode is restored.

        Args:
            data: as for `fit`.
            batch_size: samples at a time of arrays and datasets; default: 128.
        """
        check_data("Trainer.evaluate", data)
        data = as_loader(data, dtype_of(self.model), batch_size=batch_size)
        return self._evaluate(data, Progress(self.progress, self.unit), "evaluate")

    @no_grad()
    def _evaluate(self, data: Any, display: Progress, label: str) -> dict[str, Any]:
        measures = Measures(self.metrics, copied=self.epoch_state is not None)
        means, compute = measures.means, self.part("compute")
        display.begin(label, n_samples(data))
        try:
            with self.model.evaluating():
                for batch in self._batches(data):
                    losses, prediction = compute(*batch)
                    self._measure(measures, losses, prediction, batch[-1])
                    display.advance(len(batch[-1]), means.read)
        finally:
            display.end()
        if not means.count:
            raise ValueError("Trainer.evaluate: the data yields no batch")
        return measures.read()

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
        if not from_arrays:
            check_data("Trainer.predict", inputs[0])
        dtype = dtype_of(self.model)
        data = Loader(*inputs, batch_size=batch_size, dtype=dtype) if from_arrays else as_loader(inputs[0], dtype)
        if isinstance(data, Loader) and (data.shuffle or data.drop_last):
            data = data.in_order()
        outputs, apply = [], self.part("_apply")
        with self.model.evaluating():
            for batch in self._batches(data):
                used = batch if from_arrays or len(batch) == 1 else batch[:-1]
                outputs.append(apply(*used).data)
        if not outputs:
            raise ValueError("Trainer.predict: the data yields no batch")
        return asnumpy(array_module(outputs[0]).concatenate(outputs))

    def _batches(self, data: Any) -> Iterator[tuple[Array, ...]]:
        return batches(data, dtype_of(self.model), self.device)

    @no_grad()
    def _measure(
        self, measures: Measures, losses: Losses, prediction: Any, target: Any, weighting: Weighting | None = None
    ) -> None:
        """Add a batch to what is measured."""
        parts = named(losses)
        counts: dict[int, Any] = {}
        values, weights = measured(measures.functions, prediction, target, counts)
        own = weight_of(self.loss, target, counts) if weighting is None else weighting.total
        measures.add(parts, prediction, target, {**weights, **dict.fromkeys(parts, own)}, values)
