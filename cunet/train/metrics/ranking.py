"""Metrics that need all scores at once: areas under curves, and functions of scikit-learn."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ...device import Array, asnumpy, like
from .metric import Metric, joined
from .scores import IGNORED, as_plain, probabilities, scored


class Collected(Metric):
    """Base of the metrics that keep the scores and labels of all samples, where they are, until `compute`."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[tuple[Array, Array]] = []

    def keep(self, scores: Array, labels: Array) -> None:
        """Keep those of a batch."""
        if self.parts:
            scores, labels = like(scores, self.parts[0][0]), like(labels, self.parts[0][1])
        self.parts.append((scores.copy(), labels.copy()))

    def kept(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all scores and labels as NumPy arrays."""
        if not self.parts:
            return np.zeros(0), np.zeros(0, np.int64)
        scores, labels = (joined(list(column)) for column in zip(*self.parts, strict=True))
        return asnumpy(scores), asnumpy(labels)

    def reset(self) -> None:
        """Forget all batches."""
        self.parts = []

    def state_dict(self) -> dict[str, Any]:
        """Return what is kept."""
        return {"parts": [joined(list(column)) for column in zip(*self.parts, strict=True)]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.parts = [tuple(state["parts"])] if state["parts"] else []


class _Area(Collected):
    """Base of the areas, of class 1 for a single score, else the mean over classes against the others."""

    def __init__(self, ignore_index: int = IGNORED) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch; see `accuracy` for shapes."""
        found = scored(type(self).__name__, prediction, target, self.ignore_index)
        self.keep(found.scores, found.labels)

    def compute(self) -> float:
        """Return the area; NaN where no class has both samples of its own and others, or a score is NaN."""
        scores, labels = self.kept()
        scores, labels = scores[labels != self.ignore_index], labels[labels != self.ignore_index]
        if not len(labels) or np.isnan(scores).any():
            return float("nan")
        if scores.ndim == 1:
            columns = [(scores.astype(np.float64), labels == 1)]
        else:
            shares = probabilities(scores)
            columns = [(shares[:, c], labels == c) for c in range(shares.shape[1])]
        areas = [self._area(values, positive) for values, positive in columns if 0 < positive.sum() < len(positive)]
        return float(np.mean(areas)) if areas else float("nan")

    def _area(self, scores: np.ndarray, positive: np.ndarray) -> float:
        raise NotImplementedError


class AUROC(_Area):
    """Chance that a sample of a class has a higher score for it than one of another class; a tie counts one half.

    The area under the curve of true over false positive rate; for C classes the mean over each against all others, by
    probabilities: the softmax of scores that are none.

    Args:
        ignore_index: label whose positions are left out.

    Source: Hanley and McNeil 1982, "The meaning and use of the area under a ROC curve".

    Example:
        >>> from cunet.train import AUROC
        >>> metric = AUROC()
        >>> metric.update(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
        >>> metric.compute()  # three of the four pairs are in order
        0.75
    """

    name = "auroc"

    def _area(self, scores: np.ndarray, positive: np.ndarray) -> float:
        _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(count) - (count - 1) / 2)[place]  # of equal ones their mean
        own, others = positive.sum(), (~positive).sum()
        return (ranks[positive].sum() - own * (own + 1) / 2) / (own * others)


class AveragePrecision(_Area):
    """Precision at each threshold, weighted by how much recall grows there: ``sum((R_n - R_(n-1)) * P_n)``.

    For C classes the mean over each against all others.

    Args:
        ignore_index: label whose positions are left out.

    Example:
        >>> from cunet.train import AveragePrecision
        >>> metric = AveragePrecision()
        >>> metric.update(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
        >>> round(metric.compute(), 4)
        0.8333
    """

    name = "average_precision"

    def _area(self, scores: np.ndarray, positive: np.ndarray) -> float:
        order = np.argsort(-scores, kind="stable")
        last = np.append(np.diff(scores[order]) != 0, True)  # of equal scores: one threshold
        hits = np.cumsum(positive[order])[last]
        taken = np.arange(1, len(scores) + 1)[last]
        return float((np.diff(hits, prepend=0) * hits / taken).sum() / positive.sum())


class SklearnMetric(Collected):
    """A function of ``sklearn.metrics`` over all samples of an epoch.

    Those of regression are given predictions as they are. Those of classification are given labels (the class of the
    largest score), or, where they want scores, probabilities: of class 1, if there are two classes.

    Args:
        function: the function, or a `functools.partial` of it with options.
        ignore_index: label whose positions are left out.
        threshold: above which a single score means class 1; 0.5 means that it is a probability.
    """

    def __init__(self, function: Callable[..., Any], ignore_index: int = IGNORED, threshold: float = 0.0) -> None:
        super().__init__()
        self.function, self.ignore_index, self.threshold = function, ignore_index, threshold
        plain = function.func if isinstance(function, functools.partial) else function
        self.name = plain.__name__
        self.of_numbers = plain.__module__.endswith("regression")
        second = list(inspect.signature(plain).parameters)[1]
        self.wants_scores = second in ("y_score", "y_prob", "y_proba") or self.name == "log_loss"

    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch; see `accuracy` for shapes of scores and labels."""
        prediction, target = as_plain(prediction), as_plain(target)
        if self.of_numbers or (target.shape == prediction.shape and target.ndim > 1 and target.shape[1] > 1):
            self.keep(prediction, target)  # numbers, or flags of several labels
        else:
            found = scored(self.name, prediction, target, self.ignore_index)
            self.keep(found.scores, found.labels)

    def compute(self) -> Any:
        """Return what the function says."""
        prediction, target = self.kept()
        if self.of_numbers:
            return self.function(target, prediction.reshape(target.shape))
        if prediction.ndim == 2 and target.ndim == 1:
            prediction, target = prediction[target != self.ignore_index], target[target != self.ignore_index]
            shares = probabilities(prediction)
            found = (shares[:, 1] if shares.shape[1] == 2 else shares) if self.wants_scores else shares.argmax(axis=1)
            return self.function(target, found)
        if target.ndim == 1:
            prediction, target = prediction[target != self.ignore_index], target[target != self.ignore_index]
        if not self.wants_scores:
            return self.function(target, (prediction > self.threshold).astype(np.int64))
        if self.threshold == 0:  # logits
            with np.errstate(over="ignore"):
                prediction = 1 / (1 + np.exp(-prediction.astype(np.float64)))
        return self.function(target, prediction)


def is_of_sklearn(metric: Any) -> bool:
    """Tell whether a metric is a function of ``sklearn.metrics``, or one with options."""
    plain = metric.func if isinstance(metric, functools.partial) else metric
    return inspect.isfunction(plain) and plain.__module__.startswith("sklearn.metrics")
