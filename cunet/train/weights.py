"""How much the mean of a batch counts in that of an epoch."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from .. import functional
from ..device import Array, like
from ..nn.loss import CrossEntropyLoss, Loss, NLLLoss
from .metrics import accuracy, as_plain

IGNORED = -100  # PyTorch's, the default of all that takes labels
_OVER_LABELS = (
    functional.cross_entropy,
    functional.nll_loss,
    CrossEntropyLoss.function,
    NLLLoss.function,
    accuracy,
)


def _options(function: Any) -> Mapping[str, Any] | None:
    """Return the options of a loss or metric that takes the mean over labels; None for any other."""
    options: dict[str, Any] = {}
    while isinstance(function, functools.partial):
        function, options = function.func, {**function.keywords, **options}
    if isinstance(function, Loss):
        function, options = type(function).function, function.options
    if any(function is f for f in _OVER_LABELS) and options.get("reduction", "mean") == "mean":
        return options
    return None


def ignore_index_of(loss: Any) -> int:
    """Return the label that a loss leaves out."""
    return (_options(loss) or {}).get("ignore_index", IGNORED)


def weight_of(function: Any, target: Array) -> Any:
    """Return what a batch's mean is divided by: the weights of labels that are not ignored, or the number of samples.

    A number, or a 0-d array where the labels are, so that nothing waits for a device.
    """
    options = _options(function)
    if options is None or target.dtype.kind not in "iu":
        return len(target)
    kept = target != options.get("ignore_index", IGNORED)
    weight = options.get("weight")
    if weight is None:
        return kept.sum()
    weight = like(as_plain(weight), target)
    return (weight[target % len(weight)] * kept).sum()
