"""How much the mean of a batch counts in that of an epoch."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import functional
from ..device import Array, array_module, like
from ..nn.loss import BCELoss, CrossEntropyLoss, Loss, NLLLoss
from .metrics.accuracy import accuracy, counted_accuracy
from .metrics.scores import IGNORED, as_plain

_OVER_LABELS = (
    functional.cross_entropy,
    functional.nll_loss,
    CrossEntropyLoss.function,
    NLLLoss.function,
    accuracy,
)


def _unwrapped(function: Any) -> tuple[Any, dict[str, Any]]:
    """Return what partials are of, and the options that they give."""
    options: dict[str, Any] = {}
    while isinstance(function, functools.partial):
        function, options = function.func, {**function.keywords, **options}
    return function, options


def _options(function: Any) -> Mapping[str, Any] | None:
    """Return the options of a loss or metric that takes the mean over labels; None for any other."""
    function, options = _unwrapped(function)
    if isinstance(function, Loss):
        function, options = type(function).function, function.options
    if any(function is f for f in _OVER_LABELS) and options.get("reduction", "mean") == "mean":
        return options
    return None


def ignore_index_of(loss: Any) -> int:
    """Return the label that a loss leaves out."""
    return (_options(loss) or {}).get("ignore_index", IGNORED)


def threshold_of(loss: Any) -> float:
    """Return above what a single score means class 1: 0.5 where a loss takes probabilities, else 0."""
    while isinstance(loss, functools.partial):
        loss = loss.func
    takes_probabilities = loss is functional.binary_cross_entropy or isinstance(loss, BCELoss)
    return 0.5 if takes_probabilities else 0.0


def measured(
    functions: Mapping[str, Any], prediction: Any, target: Array, counts: dict[int, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the metrics of a batch, and what the mean of each is divided by.

    Args:
        functions: of prediction and target, by name.
        prediction, target: their arguments.
        counts: see `weight_of`; an accuracy knows one.
    """
    values: dict[str, Any] = {}
    for name, metric in functions.items():
        function, options = _unwrapped(metric)
        if function is accuracy and not getattr(metric, "args", ()):
            values[name], count = counted_accuracy(prediction, target, **options)
            counts[options.get("ignore_index", IGNORED)] = count
        else:
            values[name] = metric(prediction, target)
    return values, {name: weight_of(metric, target, counts) for name, metric in functions.items()}


def weight_of(function: Any, target: Array, counts: dict[int, Any] | None = None) -> Any:
    """Return what a batch's mean is divided by: the weights of labels that are not ignored, or the number of samples.

    A number, or a 0-d array where the labels are, so that nothing waits for a device.

    Args:
        function: the loss or metric.
        target: the labels.
        counts: how many labels are not ignored, by the one that is, as far as that is known.
    """
    options = _options(function)
    if options is None or target.dtype.kind not in "iu":
        return len(target)
    known = (counts or {}).get(options.get("ignore_index", IGNORED)) if options.get("weight") is None else None
    return _kept(options, target).sum() if known is None else known


def label_weights(loss: Any, target: Array, shape: tuple[int, ...]) -> Array:
    """Return what each of the losses of a batch, of this shape, counts by itself: 0 for a label that is ignored."""
    options = _options(loss)
    if options is None or target.dtype.kind not in "iu":
        return array_module(target).ones((), np.float32)
    return _kept(options, target).reshape(shape)


def _kept(options: Mapping[str, Any], target: Array) -> Array:
    """Return the weights of labels, of those that are ignored 0; flags where all others count 1."""
    kept = target != options.get("ignore_index", IGNORED)
    weight = options.get("weight")
    if weight is None:
        return kept
    weight = like(as_plain(weight), target)
    return weight[target % len(weight)] * kept
