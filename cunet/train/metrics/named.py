"""Metrics by name, and what a Trainer is given as metrics."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...system.messages import shown
from .accuracy import TopK, accuracy
from .counts import F1, ConfusionMatrix, Precision, Recall
from .metric import Metric
from .ranking import AUROC, AveragePrecision, SklearnMetric, is_of_sklearn
from .regression import MAE, R2, RMSE, Perplexity

#: Of labels, with a threshold for single scores.
_DECIDING: dict[str, Callable[..., Metric]] = {kind.name: kind for kind in (ConfusionMatrix, Precision, Recall, F1)}
_OF_LABELS: dict[str, Callable[..., Metric]] = {kind.name: kind for kind in (AUROC, AveragePrecision, Perplexity)}
_OF_NUMBERS: dict[str, Callable[..., Metric]] = {kind.name: kind for kind in (MAE, RMSE, R2)}
_KNOWN = ("accuracy", "top5", *_DECIDING, *_OF_LABELS, *_OF_NUMBERS)
#: Names that the logs of an epoch have for something else.
RESERVED = ("loss", "epoch", "seconds", "samples_per_second", "complete", "skipped", "lr", "max_lr")


def named_metrics(metrics: Any, ignore_index: int, threshold: float = 0.0) -> dict[str, Any]:
    """Return metrics by name, of a name, a metric, a sequence of these, or a dict.

    Args:
        metrics: names, functions, or objects with update, compute and reset.
        ignore_index: label that those given by name leave out.
        threshold: above which a single score means class 1 to those given by name, and to functions of scikit-learn.

    Raises:
        ValueError: a name is unknown, stands twice, or is one that logs have for something else.
    """
    if isinstance(metrics, Mapping):
        pairs = [(name, _made(metric, ignore_index, threshold)) for name, metric in metrics.items()]
    else:
        alone = isinstance(metrics, str) or callable(metrics) or is_object(metrics)
        if not alone and not isinstance(metrics, Iterable):
            raise TypeError(f"Trainer: metrics must be names, functions or objects, got {shown(metrics)}")
        pairs = [_named(m, ignore_index, threshold) for m in ([metrics] if alone else metrics)]
    named = dict(pairs)
    if len(named) < len(pairs) or not named.keys().isdisjoint(RESERVED):
        names = ", ".join(name for name, _ in pairs)
        raise ValueError(f"Trainer: metrics must have different names, none of {', '.join(RESERVED)}; got {names}")
    return named


def is_object(metric: Any) -> bool:
    """Tell whether a metric goes through batches by itself: it has update, compute and reset."""
    return not isinstance(metric, type) and all(
        callable(getattr(metric, name, None)) for name in ("update", "compute", "reset")
    )


def _named(metric: Any, ignore_index: int, threshold: float) -> tuple[str, Any]:
    made = _made(metric, ignore_index, threshold)
    if isinstance(metric, str):
        return metric, made
    name = getattr(made, "name", None) if isinstance(made, Metric) else getattr(made, "__name__", None)
    return name or type(made).__name__, made


def _made(metric: Any, ignore_index: int, threshold: float) -> Any:
    """Return a metric that may be given by its name, or be a function of scikit-learn."""
    if not isinstance(metric, str):
        return SklearnMetric(metric, ignore_index, threshold) if is_of_sklearn(metric) else metric
    if metric == "accuracy":
        return functools.partial(accuracy, ignore_index=ignore_index, threshold=threshold)
    if (top := re.fullmatch(r"top([1-9]\d*)", metric)) is not None:
        return TopK(int(top[1]), ignore_index)
    if metric in _DECIDING:
        return _DECIDING[metric](ignore_index=ignore_index, threshold=threshold)
    if metric in _OF_LABELS:
        return _OF_LABELS[metric](ignore_index=ignore_index)
    if metric in _OF_NUMBERS:
        return _OF_NUMBERS[metric]()
    raise ValueError(f"Trainer: unknown metric {metric!r}; known by name: {', '.join(_KNOWN)}")
