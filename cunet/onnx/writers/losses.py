"""Losses of labels; those of pairs of arrays are written from their kernels' texts, and then reduced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops.loss import bernoulli, cross_entropy, divergence, embedding, likelihood, margin, nll, regression
from ..graph import Given, Graph, NotExportable, Value
from ..writing import at_axis_1, below, writes
from .reductions import folded, unit

#: Losses that are an elementwise kernel, and then what `reduction` says.
_PAIRS: list[Callable[..., Any]] = [
    bernoulli.binary_cross_entropy,
    divergence.binary_cross_entropy_with_logits,
    divergence.kl_div,
    likelihood.gaussian_nll_loss,
    likelihood.poisson_nll_loss,
    margin.hinge_embedding_loss,
    margin.margin_ranking_loss,
    margin.soft_margin_loss,
    regression.huber_loss,
    regression.l1_loss,
    regression.mse_loss,
    regression.smooth_l1_loss,
]
BY_ELEMENTS = frozenset(map(below, _PAIRS))


def reduced(g: Graph, loss: str, reduction: str, x: Value) -> str:
    """Return the name of a loss after its reduction."""
    if reduction == "none":
        return loss
    if reduction == "batchmean":
        count = g("Cast", g("Shape", x, start=0, end=1), to=g.type_of(g.dtype))
        return g("Div", folded(g, "Sum", loss, None, False), g("Squeeze", count))
    return folded(g, {"mean": "Mean", "sum": "Sum"}[reduction], loss, None, False)


def _labels(g: Graph, target: Value) -> Given:
    if target.dtype.kind == "f":
        raise NotExportable("targets that are probabilities have no form in ONNX; give labels")
    return g.cast(target, np.int64)


@writes(cross_entropy.cross_entropy)
def _(g, x, target, *, weight, ignore_index, reduction, label_smoothing, axis):
    labels = _labels(g, target)
    if label_smoothing:
        raise NotExportable("label_smoothing has no form in ONNX; export the model without its loss")
    options = {"ignore_index": ignore_index, "reduction": reduction}
    return g("SoftmaxCrossEntropyLoss", at_axis_1(g, x, x.ndim, axis), labels, _fixed(weight, x), **options)


@writes(nll.nll_loss)
def _(g, x, target, *, weight, ignore_index, reduction, axis):
    options = {"ignore_index": ignore_index, "reduction": reduction}
    planes = at_axis_1(g, x, x.ndim, axis)
    return g("NegativeLogLikelihoodLoss", planes, _labels(g, target), _fixed(weight, x), **options)


def _fixed(weight, x: Value) -> Given:
    return None if weight is None else np.asarray(getattr(weight, "data", weight), x.dtype)


@writes(embedding.cosine_embedding_loss)
def _(g, x1, x2, target, *, margin, reduction):
    u, v = (unit(g, x, 2, [-1], 1e-6) for x in (x1, x2))
    cosine = folded(g, "Sum", g("Mul", u, v), [-1], False)
    apart = g("Max", g("Sub", cosine, float(margin)), 0.0)
    loss = g("Where", g("Greater", g.cast(target, g.dtype), 0.0), g("Sub", 1.0, cosine), apart)
    return reduced(g, loss, reduction, x1)


@writes(margin.multi_margin_loss)
def _(g, x, target, *, p, margin, weight, reduction):
    """Add ``max(0, margin - x[y] + x[i])**p`` over all i, less that of i = y, which is ``margin**p``; over C."""
    if x.ndim != 2:
        raise NotExportable("its input must have 2 axes, (N, C)")
    labels = g("Unsqueeze", _labels(g, target), [1])
    gap = g("Max", g("Add", g("Sub", x, g("GatherElements", x, labels, axis=1)), float(margin)), 0.0)
    own = max(float(margin), 0.0) ** p
    total = g("Sub", folded(g, "Sum", gap if p == 1 else g("Mul", gap, gap), [1], False), own)
    loss = g("Div", total, float(x.length(1)))
    if weight is not None:
        loss = g("Mul", loss, g("Gather", _fixed(weight, x), g("Squeeze", labels, [1]), axis=0))
    return reduced(g, loss, reduction, x)
