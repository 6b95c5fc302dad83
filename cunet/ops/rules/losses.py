"""Losses of class labels, from the logarithms of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autograd.forward import Call
from ...autograd.linear import set_rule
from ...autograd.op import Result, op
from ...autograd.rules import Composite, composite
from ...autograd.tangents import computed
from ...autograd.tensor import Tensor, as_array
from ...autograd.tracing import plain
from ...device import Array, array_module, is_floating
from .. import math, reduce, selection
from ..array import reshape
from ..loss.cross_entropy import cross_entropy
from ..loss.margin import multi_margin_loss
from ..loss.nll import class_axis, class_numbers, class_weight, labels, nll_loss, weight_of
from ..softmax import log_softmax, softmax
from ..sorting import take_along_axis


def _reduced(loss: Any, reduction: str, divisor: Any) -> Any:
    if reduction == "none":
        return loss
    total = reduce.sum(loss)
    return total if reduction == "sum" else math.divide(total, divisor)


def _kept(t: Array, weights: Any, classes: int, ignored: int) -> Array:
    """Return the weight of the loss of each label: 0 of one that is ignored, NaN of one out of range."""
    xp = array_module(t)
    inside = (t >= 0) & (t < classes)
    return xp.where(t == ignored, 0, xp.where(inside, weight_of(weights, t, classes), xp.nan))


def _labelled(x: Any, target: Any, weight: Any, ignored: int, axis: int) -> tuple[Any, Array, Any]:
    """Return the score of each label's class, 0 where it counts nothing, the weight of each, and those of classes."""
    t = labels("cross_entropy", plain(x), plain(target), axis, ignored)
    xp, classes = array_module(t), x.shape[axis]
    weights = class_weight("cross_entropy", weight, plain(x), axis)
    kept = _kept(t, weights, classes, ignored).astype(x.dtype)
    own = take_along_axis(x, xp.where((t >= 0) & (t < classes), t, 0), axis)
    return selection.where(kept == 0, 0, own), kept, weights


@composite(nll_loss)
def _(input, target, weight=None, ignore_index=-100, reduction="mean", axis=1):
    axis = class_axis("nll_loss", input, axis)
    target = target if isinstance(target, Tensor) else as_array(target)
    own, kept, _ = _labelled(input, target, weight, ignore_index, axis)
    return _reduced(reshape(math.multiply(own, -kept), plain(target).shape), reduction, kept.sum())


def _cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, axis=1):
    axis = class_axis("cross_entropy", input, axis)
    target = target if isinstance(target, Tensor) else as_array(target)
    log_p, keep, classes = log_softmax(input, axis), 1 - label_smoothing, input.shape[axis]
    if is_floating(plain(target).dtype):
        weights = class_weight("cross_entropy", weight, plain(input), axis)
        share = math.add(math.multiply(target, keep), label_smoothing / classes)
        loss = reduce.sum(_counted(math.multiply(share, weights), math.negative(log_p)), axis=axis)
        return _reduced(loss, reduction, max(1, loss.size))
    own, kept, weights = _labelled(log_p, target, weight, ignore_index, axis)
    loss = math.multiply(own, -keep * kept)
    if label_smoothing:
        counts = (_labels_of(target, axis) != ignore_index) * array_module(kept).ones_like(kept)
        spread = reduce.sum(math.multiply(math.negative(log_p), weights), axis=axis, keepdims=True)
        loss = math.add(loss, math.multiply(spread, counts * (label_smoothing / classes)))
    return _reduced(reshape(loss, plain(target).shape), reduction, kept.sum())


@op(arrays=1)
def _label_slopes(x, *, slopes, weights, axis) -> Result:
    """Return the gradient of a cross-entropy of labels, which is known: its own is that of the softmax.

    Args:
        x: logits.
        slopes: that gradient, ``weights * (softmax(x) - labels)``.
        weights: of the loss of each position, with an axis of length 1 for the classes.
        axis: of the classes.
    """

    def vjp(gy):
        _, back = softmax.__wrapped__(x, axis=axis)  # type: ignore[attr-defined]
        return back((gy * weights).astype(gy.dtype))

    return slopes, vjp


class _LabelLoss(Composite):
    """Forward the loss of labels moves by its gradient, which has a gradient of its own: in place of ten ops three."""

    def jvp(self, call: Call) -> Sequence[Any]:
        """See `ForwardRule`."""
        (x, target, *_), (tx, *_), given = call.args, call.tangents, call.options
        target = as_array(plain(target))
        if is_floating(target.dtype) or given.get("label_smoothing") or tx is None:
            return super().jvp(call)
        data, reduction = plain(x), given.get("reduction", "mean")
        axis = class_axis("cross_entropy", data, given.get("axis", 1))
        t, weight = _labels_of(target, axis), class_weight("cross_entropy", given.get("weight"), data, axis)
        kept = _kept(t, weight, data.shape[axis], given.get("ignore_index", -100))
        weights = kept / kept.sum() if reduction == "mean" else kept
        slopes = plain(computed(call.arrays(array_module(data).ones_like(plain(call.y)))[0]))
        moved = math.multiply(_label_slopes(x, slopes=slopes, weights=weights, axis=axis), tx)
        return [reduce.sum(moved, axis=axis if reduction == "none" else None)]


set_rule(cross_entropy, _LabelLoss(_cross_entropy))


def _labels_of(target: Any, axis: int) -> Array:
    t = plain(target)
    return t.reshape(*t.shape[:axis], 1, *t.shape[axis:])


def _counted(share: Any, x: Any) -> Any:
    """Return ``share * x``, 0 where the share is, be x infinite."""
    return math.multiply(share, selection.where(plain(share) == 0, 0, x))


@composite(multi_margin_loss)
def _(input, target, p=1, margin=1.0, weight=None, reduction="mean"):
    axis, classes = input.ndim - 1, input.shape[-1]
    t = _labels_of(target, axis)
    xp = array_module(t)
    weights = weight_of(class_weight("multi_margin_loss", weight, plain(input), axis), t, classes)
    z = math.add(math.subtract(input, take_along_axis(input, t, axis)), margin)
    counts = (t != class_numbers(plain(input), axis)) & (z.data > 0)
    z = selection.where(counts, math.square(z) if p == 2 else z, 0)
    loss = math.multiply(reduce.sum(z, axis=axis, keepdims=True), xp.asarray(weights / classes))
    return _reduced(reshape(loss, plain(target).shape), reduction, max(1, t.size))
