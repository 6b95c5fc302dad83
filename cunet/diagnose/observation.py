"""One step of a model, observed: what its layers, parameters and norms show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, is_array, is_floating
from ..nn.batch_norm import BatchNorm, RunningStatistics
from ..nn.linear import Embedding
from ..nn.module import Module
from ..nn.observe import observing
from ..nn.parameter import UninitializedParameter
from ..nn.report import observer_of_layers
from ..system.quiet import quiet
from .figures import LayerFigures, Pack, Row, alike, norm_of, unit_axis


class ParameterFigures(NamedTuple):
    """A parameter before a step, its gradient, and what the step did to it.

    Attributes:
        name, shape: of the parameter.
        norm: its Euclidean norm.
        gradient: that of its gradient; None where it needs one and got none.
        update: that of its change; 0 where no step was made.
        equal, moves_equal: whether its rows are equal, and whether those of its gradient are.
    """

    name: str
    shape: tuple[int, ...]
    norm: float
    gradient: float | None
    update: float
    equal: bool
    moves_equal: bool


class NormFigures(NamedTuple):
    """A batch norm or instance norm that normalised by what it was given.

    Attributes:
        name: of the layer.
        values: how many values each mean is of.
        batches: how many the running statistics have seen; 0 where there are none.
        shift: the median over channels of ``abs(mean - running mean) / sqrt(running variance)``.
        ratio: that of ``abs(log(variance / running variance))``.
        before: the layer before it if that has a bias, else "".
    """

    name: str
    values: int
    batches: int
    shift: float
    ratio: float
    before: str


class Snapshot(NamedTuple):
    """What a step showed.

    Attributes:
        step: how many were made before it.
        loss: of its batch.
        layers, parameters, norms: in the order of computation, and of the model.
        inputs: the root mean square of what the first layer with weights is given, of the values that are not 0; of
            several inputs one each; none where an embedding comes first.
        signal, noise: the product of its gradient and that of the step after it, and half the square of their
            difference times the samples of a batch; NaN where they were not compared.
    """

    step: int
    loss: float
    layers: tuple[LayerFigures, ...]
    parameters: tuple[ParameterFigures, ...]
    norms: tuple[NormFigures, ...]
    inputs: tuple[float, ...]
    signal: float = math.nan
    noise: float = math.nan


def parameter(snapshot: Snapshot, name: str) -> ParameterFigures | None:
    """Return the figures of a parameter; None if there is none of that name."""
    return next((p for p in snapshot.parameters if p.name == name.lstrip(".")), None)


class Observation:
    """Observe one step: ``with observation.watching(): ...``, then `finish`, and at any later time `read`.

    Attributes:
        loss: of the step, to be set before `finish`.

    Nothing waits for a device before `read`; what is kept until then is a few numbers a layer.

    Args:
        model: the model.
        step: its number.
        inputs: the arrays that the model is given.
    """

    def __init__(self, model: Module, step: int = 0, inputs: Sequence[Any] = ()) -> None:
        self._model, self._step = model, step
        self._inputs: list[Array] | None = [x for x in inputs if is_array(x) and x.size]  # None once they are noted
        self._pack = Pack()
        self._rows: list[Row] = []
        self._norms: list[tuple[str, int, str, slice]] = []
        self._scales: list[slice] = []
        self._parameters: list[tuple[str, tuple[int, ...], bool, slice]] = []
        self.loss: Any = None
        self._loss = self._noise = self._pack.add()
        self._last: tuple[str, Any, Array] | None = None
        waiting = [p for p in model.parameters() if isinstance(p, UninitializedParameter)]
        waiting = waiting if not all(p.data.size for p in waiting) else []
        self._before = [
            (name, p, None if any(p is q for q in waiting) else p.data.copy()) for name, p in model.named_parameters()
        ]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Observe what happens within a ``with`` block."""
        with observing(observer_of_layers(self._model, self._note)):
            yield

    def _note(self, name: str, layer: Any, out: Tensor) -> Any:
        y = out.data
        if not is_floating(y.dtype) or not y.size:
            return []
        known = (self._rows[-1].axis, self._rows[-1].shape) if self._rows else (0, ())
        with quiet():
            row = Row(self._pack, name, layer, y, unit_axis(layer, y.shape, known))
            if isinstance(layer, Embedding):
                self._inputs = None
            if row.weighted and self._inputs is not None:
                given = self._inputs if self._last is None else [self._last[2]]
                self._scales = [self._pack.add(_scale(x)) for x in given]
                self._inputs = None
            if isinstance(layer, RunningStatistics) and layer.training:
                self._note_norm(name, layer, y)
        self._rows.append(row)
        self._last = name, layer, y
        return row

    def _note_norm(self, name: str, layer: RunningStatistics, y: Array) -> None:
        values = y.size // layer.num_features // (1 if isinstance(layer, BatchNorm) else len(y))
        before, place = "", self._pack.add()
        if self._last is not None and self._last[2].shape == y.shape:
            other, previous, x = self._last
            before = other if getattr(previous, "bias", None) is not None else ""
            if layer.running_mean is not None:
                place = self._pack.add(layer.num_batches_tracked.data, *_against_running(layer, x))
        self._norms.append((name, values, before, place))

    def finish(self) -> None:
        """Take in the loss, and the parameters with their gradients and what a step did to them."""
        with quiet():
            if self.loss is not None:
                self._loss = self._pack.add(self.loss.data if isinstance(self.loss, Tensor) else self.loss)
            for name, p, before in self._before:
                before = p.data if before is None else before  # its shape, and its values, came with the first input
                arrays = [before, p.data - before, *([] if p.grad is None else [p.grad])]
                rows = [alike(before, 0.0), alike(p.grad, 1e-5)] if len(arrays) == 3 and _has_rows(before) else []
                place = self._pack.add(*map(norm_of, arrays), *rows)
                self._parameters.append((name, before.shape, p.requires_grad, place))
        self.loss = self._last = self._inputs = None
        self._before = []

    def compare(self, gradients: Sequence[Array | None], samples: int) -> None:
        """Take in how far the gradients of this step agree with those that are there now, of the step after it."""
        products = []
        with quiet():
            for a, p in zip(gradients, self._model.parameters(), strict=True):
                if a is not None and p.grad is not None and a.shape == p.grad.shape:
                    wide, xp = accumulator(a.dtype), array_module(a)
                    a, b = (g.reshape(-1).astype(wide, copy=False) for g in (a, p.grad))
                    products.append((xp.vdot(a, b), xp.vdot(a - b, a - b) * (samples / 2)))
            if products:
                self._noise = self._pack.add(*map(sum, zip(*products, strict=True)))

    def read(self) -> Snapshot:
        """Return what was seen; waits for the device."""
        values = self._pack.read()
        loss = values[self._loss]
        return Snapshot(
            self._step,
            float(loss[0]) if loss.size else math.nan,
            tuple(row.figures(values) for row in self._rows),
            tuple(_parameter(name, shape, on, values[at].tolist()) for name, shape, on, at in self._parameters),
            tuple(_norm(name, count, before, values[at].tolist()) for name, count, before, at in self._norms),
            tuple(float(values[place][0]) for place in self._scales),
            *values[self._noise].tolist(),
        )


def _has_rows(x: Array) -> bool:
    return x.ndim > 1 and len(x) > 1 and x.size > 0


def _scale(x: Array) -> Array:
    """Return the root mean square of the values that are not 0."""
    xp = array_module(x)
    x = x.astype(np.float32 if x.dtype.itemsize < 8 else np.float64, copy=False)
    return xp.sqrt((x * x).sum() / xp.maximum((x != 0).sum(), 1))


def _against_running(layer: RunningStatistics, x: Array) -> tuple[Array, Array]:
    """Return how far the statistics of a batch are from the running ones: medians over channels."""
    xp = array_module(x)
    others = tuple(k for k in range(x.ndim) if k != layer.axis % x.ndim)
    mean, var = layer.running_mean.data, layer.running_var.data + layer.eps
    wide = mean.dtype
    shift = abs(x.mean(axis=others, dtype=wide) - mean) / xp.sqrt(var)
    ratio = abs(xp.log((x.var(axis=others, dtype=wide) + layer.eps) / var))
    middle = len(mean) // 2
    return xp.sort(shift)[middle], xp.sort(ratio)[middle]


def _parameter(name: str, shape: tuple[int, ...], trained: bool, values: list[float]) -> ParameterFigures:
    norm, update, *rest = values
    gradient = rest[0] if rest else None if trained else 0.0
    return ParameterFigures(name, shape, norm, gradient, update, rest[1:2] == [1], rest[2:] == [1])


def _norm(name: str, values: int, before: str, seen: list[float]) -> NormFigures:
    batches, shift, ratio = seen or (0, 0.0, 0.0)
    return NormFigures(name, values, int(batches), shift, ratio, before)
