"""variance_report: what a model does to the scale of activations and gradients, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .. import random
from ..autograd.op import Result, op
from ..autograd.tape import grad_enabled
from ..autograd.tensor import Tensor, as_array
from ..device import asnumpy, is_floating, like
from ..ops.math import multiply
from ..ops.reduce import sum as sum_op
from ..random import Generator
from ..system.table import text_table
from .inputs import dtype_of
from .module import Module
from .observe import Observer, observing
from .streams import generators


class LayerStatistics(NamedTuple):
    """One row of a `VarianceReport`: figures of one layer's output in one pass."""

    name: str
    kind: str
    shape: tuple[int, ...]
    mean: float
    variance: float
    gradient_norm: float


class VarianceReport(list[LayerStatistics]):
    """The rows of a report, in order of computation; `str` and `repr` give a table of 80 columns.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2, bias=False, init="eye"), nn.ReLU())
        >>> batch = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.zeros((2, 2))
        >>> nn.variance_report(model, batch, F.mse_loss)
        layer  kind    output  mean  variance  grad norm
        0      Linear     2x2     0         1      0.707
        1      ReLU       2x2   0.5      0.25      0.707
    """

    def __str__(self) -> str:
        """Return the table; long names lose their beginnings."""
        rows: list[tuple[str, ...]] = [("layer", "kind", "output", "mean", "variance", "grad norm")]
        for r in self:
            numbers = [f"{value:.3g}" for value in (r.mean, r.variance, r.gradient_norm)]
            rows.append((r.name, r.kind, "x".join(map(str, r.shape)), *numbers))
        return text_table(rows, left=2)

    __repr__ = __str__


@op
def watch(x, *, seen) -> Result:
    """Return `x`; append the gradient that comes back to `seen`."""

    def vjp(gy):
        seen.append(gy)
        return (gy,)

    return x, vjp


def variance_report(
    model: Module, batch: Any, loss: Callable[..., Tensor] | None = None, *, generator: Generator | None = None
) -> VarianceReport:
    """Run one batch forward and backward; return mean, variance and gradient norm of every layer's output.

    At a sound initialisation the variance neither dies nor explodes with depth. Parameters, gradients,
    buffers, modes and random streams are as before afterwards.

    Args:
        model: the model, in the mode it is to be looked at in.
        batch: an input array, or a tuple of them; with `loss` a tuple (\\*inputs, target) as a Loader yields.
        loss: ``loss(output, target) -> scalar Tensor``. Without it the backward pass starts from standard
            normal noise of the output's shape.
        generator: source of that noise; by default one with seed 0, so a report can be repeated.

    Returns:
        Rows for modules that hold no others, and for plain functions in a Sequential. The gradient norm
        is the Euclidean norm of the gradient with respect to the layer's output (0 if none reached it).

    Example:
        >>> model = nn.Sequential(*[nn.Linear(64, 64, init=init.normal(std=0.5)) for _ in range(4)])
        >>> report = nn.variance_report(model, np.ones((10, 64)))
        >>> [row.name for row in report if row.variance > 1e3]  # 16 times as much in each layer
        ['2', '3']
    """
    rows: list[_Seen] = []
    *inputs, target = batch if loss is not None else (*(batch if isinstance(batch, tuple) else (batch,)), None)
    with unchanged(model), observing(_recorder(model, rows)), grad_enabled():
        output = model(*[model_input(x, model) for x in inputs])
        if loss is None:
            noise = (generator or Generator(0, "variance_report")).rng().standard_normal(output.shape)
            scalar = sum_op(multiply(output, like(noise.astype(output.dtype), output.data)))
        else:
            scalar = loss(output, model_input(target, model).data)
        if scalar.requires_grad:
            scalar.backward()
    return VarianceReport(_statistics(row) for row in rows)


class _Seen(NamedTuple):
    """One layer's output, and the gradients that reach it."""

    name: str
    kind: str
    out: Tensor
    gradients: list[Any]


def observer_of_layers(model: Module, note: Callable[[str, Any, Tensor], Any]) -> Observer:
    """Return an observer that calls ``note(name, layer, output)`` for every layer without layers of its own.

    Layers that are not the model's, such as a loss that is a module, are passed over. What `note` returns gets the
    gradient that reaches the output, by ``append``. Of a layer that returns a tuple whose first entry is a Tensor, as
    recurrent layers do, that one is the output.
    """
    names = {id(module): name for name, module in model.named_modules()}

    def observe(layer: Any, out: Any, owner: Module | None, key: str) -> Any:
        first, rest = (out[0], out[1:]) if type(out) is tuple and out else (out, ())
        inner = isinstance(layer, Module) and (id(layer) not in names or next(layer.children(), None) is not None)
        if inner or not isinstance(first, Tensor):
            return out
        name = names.get(id(layer), "") if owner is None else f"{names.get(id(owner), '')}.{key}".lstrip(".")
        first = watch(first, seen=note(name, layer, first))
        return (first, *rest) if type(out) is tuple else first

    return observe


def kind_of(layer: Any) -> str:
    """Return the name of a layer's class, or of a plain function."""
    return type(layer).__name__ if isinstance(layer, Module) else getattr(layer, "__name__", type(layer).__name__)


def _recorder(model: Module, rows: list[_Seen]) -> Observer:
    """Return the observer that appends a row for every layer without layers of its own."""

    def note(name: str, layer: Any, out: Tensor) -> list[Any]:
        rows.append(_Seen(name, kind_of(layer), out, []))
        return rows[-1].gradients

    return observer_of_layers(model, note)


def _statistics(row: _Seen) -> LayerStatistics:
    values = asnumpy(row.out.data).astype(np.float64)
    squares = sum(float((asnumpy(g).astype(np.float64) ** 2).sum()) for g in row.gradients)
    return LayerStatistics(row.name, row.kind, row.out.shape, float(values.mean()), float(values.var()), squares**0.5)


def model_input(x: Any, model: Module) -> Tensor:
    """Return a batch's array where the model is, with a gradient, so that a frozen model has gradients too."""
    array = x.data if isinstance(x, Tensor) else as_array(x)
    for parameter in model.parameters():
        array = like(array, parameter.data)
        break
    dtype = None if isinstance(x, Tensor) or not is_floating(array.dtype) else dtype_of(model)
    array = array if dtype is None else array.astype(dtype, copy=False)
    return Tensor(array, requires_grad=is_floating(array.dtype))


@contextmanager
def unchanged(model: Module) -> Iterator[None]:
    """Give gradients, buffers and random streams (the model's own, too) their state back after a ``with`` block."""
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    attributes = [(module, dict(vars(module))) for module in model.modules()]
    buffers = [(buffer, buffer.data, buffer.data.copy()) for _, buffer in model.named_buffers()]
    own = [(generator, generator.state_dict()) for generator in generators(model).values()]
    streams = random.get_state()
    try:
        yield
    finally:
        random.set_state(streams)
        for generator, state in own:
            generator.load_state_dict(state)
        for module, values in attributes:
            vars(module).clear()
            vars(module).update(values)
        for buffer, data, before in buffers:
            data[...] = before
            buffer.data = data
        for parameter, gradient in gradients:
            parameter.grad = gradient
