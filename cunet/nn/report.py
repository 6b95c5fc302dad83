"""variance_report: what a model does to the scale of activations and gradients, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..backend import asnumpy, like
from ..ops.math import multiply
from ..ops.reduce import sum as sum_op
from ..random import Generator
from ..tensor import Tensor, op
from .module import Module, observing


class LayerStatistics(NamedTuple):
    """One row of a `VarianceReport`: figures of one layer's output in one pass."""

    name: str
    kind: str
    shape: tuple[int, ...]
    mean: float
    variance: float
    gradient_norm: float


class VarianceReport(list[LayerStatistics]):
    """The rows of a report, in order of computation; `str` and `repr` give a table."""

    def __str__(self) -> str:
        """Return the table."""
        head = ("layer", "kind", "output", "mean", "variance", "grad norm")
        rows = [
            (
                r.name,
                r.kind,
                "x".join(map(str, r.shape)),
                f"{r.mean:.3g}",
                f"{r.variance:.3g}",
                f"{r.gradient_norm:.3g}",
            )
            for r in self
        ]
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
        lines = []
        for row in (head, *rows):
            left = "  ".join(cell.ljust(w) for cell, w in zip(row[:2], widths[:2], strict=True))
            lines.append(left + "  " + "  ".join(cell.rjust(w) for cell, w in zip(row[2:], widths[2:], strict=True)))
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__


@op
def _watch(x, *, seen):
    def vjp(gy):
        seen.append(gy)
        return (gy,)

    return x, vjp


def variance_report(
    model: Module, batch: Any, loss: Callable[..., Tensor] | None = None, *, generator: Generator | None = None
) -> VarianceReport:
    """Run one batch forward and backward; return mean, variance and gradient norm of every layer's output.

    At a sound initialisation the variance neither dies nor explodes with depth. Parameters, gradients,
    running statistics and modes are as before afterwards.

    Args:
        model: the model, in the mode it is to be looked at in.
        batch: an input array; or, with `loss`, a tuple (\\*inputs, target) as a Loader yields.
        loss: ``loss(output, target) -> scalar Tensor``. Without it the backward pass starts from standard
            normal noise of the output's shape.
        generator: source of that noise; by default one with seed 0, so a report can be repeated.

    Returns:
        Rows for modules that hold no others, and for plain functions in a Sequential. The gradient norm
        is the Euclidean norm of the gradient with respect to the layer's output (0 if none reached it).
    """
    names = {id(module): name for name, module in model.named_modules()}
    rows: list[tuple[str, str, Tensor, list[Any]]] = []

    def observe(layer: Any, out: Any) -> Any:
        if not isinstance(out, Tensor) or (isinstance(layer, Module) and next(layer.children(), None) is not None):
            return out
        seen: list[Any] = []
        kind = type(layer).__name__ if isinstance(layer, Module) else getattr(layer, "__name__", repr(layer))
        rows.append((names.get(id(layer), ""), kind, out, seen))
        return _watch(out, seen=seen)

    *inputs, target = batch if loss is not None else (batch, None)
    gradients = [(p, p.grad) for p in model.parameters()]
    buffers = [(b, b.data) for _, b in model.named_buffers()]
    try:
        with observing(observe):
            output = model(*inputs)
            if loss is None:
                noise = (generator or Generator(0, "variance_report")).rng().standard_normal(output.shape)
                scalar = sum_op(multiply(output, like(noise.astype(output.dtype), output.data)))
            else:
                scalar = loss(output, target)
        scalar.backward()
    finally:
        for parameter, gradient in gradients:
            parameter.grad = gradient
        for buffer, data in buffers:
            buffer.data = data
    report = VarianceReport()
    for name, kind, out, seen in rows:
        values = asnumpy(out.data).astype("float64")
        squares = sum((asnumpy(g).astype("float64") ** 2).sum() for g in seen)
        report.append(LayerStatistics(name, kind, out.shape, float(values.mean()), float(values.var()), squares**0.5))
    return report
