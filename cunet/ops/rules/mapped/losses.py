"""Losses: those of all elements, of which each sample sums, or takes the mean of, its own."""

from __future__ import annotations

from typing import Any

from ....autograd.mapped import Call, mapped_by
from ....autograd.tensor import array_of
from ....device import is_floating
from ... import reduce
from ...indexing import getitem
from ...loss import bernoulli, divergence, embedding, likelihood, margin, nll, regression
from ...loss.cross_entropy import cross_entropy
from ...math import divide
from ...selection import where
from .layers import folded, unfolded


def _reduced(call: Call, loss: Any, divisor: Any = None) -> Any:
    """Return the losses of each sample reduced as was asked for; a mean divides by `divisor`, if it is given."""
    how, axes = call.options.get("reduction", "mean"), tuple(range(1, loss.ndim))
    if how == "none":
        return loss
    if how == "mean" and divisor is None:
        return reduce.mean(loss, axis=axes)
    total = reduce.sum(loss, axis=axes)
    return total if how == "sum" else divide(total, divisor)


@mapped_by(
    bernoulli.binary_cross_entropy, divergence.binary_cross_entropy_with_logits, divergence.kl_div,
    likelihood.gaussian_nll_loss, likelihood.poisson_nll_loss, margin.hinge_embedding_loss,
    margin.margin_ranking_loss, margin.soft_margin_loss, regression.huber_loss, regression.l1_loss,
    regression.mse_loss, regression.smooth_l1_loss,
)  # fmt: skip
def _(call: Call) -> Any:
    args = [call.full(k) if hasattr(a, "ndim") else a for k, a in enumerate(call.args)]
    count = call.shape()[0] if call.ndim() else 1
    return _reduced(
        call,
        call.op(*args, **call.options | {"reduction": "none"}),
        count if call.options.get("reduction") == "batchmean" else None,
    )


@mapped_by(embedding.cosine_embedding_loss, margin.multi_margin_loss)
def _(call: Call) -> Any:
    args = [call.full(k) for k in range(len(call.args))]
    rows = call.ndim() == 2
    loss = call.op(*(map(folded, args) if rows else args), **call.options | {"reduction": "none"})
    return _reduced(call, unfolded(loss, call.size) if rows else loss)


@mapped_by(cross_entropy, nll.nll_loss)
def _(call: Call) -> Any:
    x, target, weight = call.full(0), call.full(1), call.options.get("weight")
    row = call.ndim() == 1
    axis = 1 if row else call.options.get("axis", 1)
    options = call.options | {"axis": axis, "reduction": "none"}
    loss = call.op(*((x, target) if row else (folded(x), folded(target))), **options)
    loss = loss if row else unfolded(loss, call.size)
    return _reduced(call, loss, None if is_floating(target.dtype) else _counted(call, target, weight))


def _counted(call: Call, target: Any, weight: Any) -> Any:
    """Return the weights of the labels that are not ignored, summed for each sample."""
    kept = target != call.options.get("ignore_index", -100)
    x = array_of(call.args[0])
    own = 1.0 if weight is None else regression.constant(call.name, "weight", weight, x)
    weights = own if weight is None else getitem(own, where(kept, target, 0))
    counted = where(kept, weights, 0.0)
    return reduce.sum(counted, axis=tuple(range(1, counted.ndim)), dtype=call.args[0].dtype)
