"""What confusions are counted for: the matrix itself, precision, recall, F1."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...device import Array, array_module
from .metric import Metric
from .scores import IGNORED, Scored, scored


class ConfusionMatrix(Metric):
    """How often a class, the row, was taken for another one, the column; as ``sklearn.metrics.confusion_matrix``.

    Args:
        ignore_index: label whose positions are left out.
        threshold: above which a single score means class 1.

    Example:
        >>> from cunet.train import ConfusionMatrix
        >>> metric = ConfusionMatrix()
        >>> metric.update(np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]]), np.array([0, 1, 1]))
        >>> metric.compute()  # one sample of class 1 was taken for 0
        array([[1, 0],
               [1, 1]])
    """

    name = "confusion_matrix"

    def __init__(self, ignore_index: int = IGNORED, threshold: float = 0.0) -> None:
        super().__init__()
        self.ignore_index, self.threshold = ignore_index, threshold

    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch; see `accuracy` for shapes."""
        found = scored("ConfusionMatrix", prediction, target, self.ignore_index)
        actual, predicted = _flags(found, self.threshold)
        exact = np.float32 if len(actual) < 2**24 else np.float64  # counts that are whole numbers there
        self.add(matrix=actual.astype(exact).T @ predicted.astype(exact))

    def compute(self) -> np.ndarray:
        """Return the counts, (C, C) int64; (0, 0) without samples."""
        matrix = self.fetched()["matrix"]
        return matrix.astype(np.int64) if matrix.ndim else np.zeros((0, 0), np.int64)


class _Confusions(Metric):
    """Base of what is found from hits, predictions and labels of each class."""

    def __init__(self, average: str | None = None, ignore_index: int = IGNORED, threshold: float = 0.0) -> None:
        super().__init__()
        if average not in (None, "micro", "macro", "weighted"):
            who = type(self).__name__
            raise ValueError(f'{who}: average must be None, "micro", "macro" or "weighted", got {average!r}')
        self.average, self.ignore_index, self.threshold = average, ignore_index, threshold

    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch; see `accuracy` for shapes."""
        found = scored(type(self).__name__, prediction, target, self.ignore_index)
        actual, predicted = _flags(found, self.threshold)
        single = float(found.scores.ndim == 1)
        self.add(hits=(actual & predicted).sum(axis=0), predicted=predicted.sum(axis=0), actual=actual.sum(axis=0))
        self.sums["single"] = single

    def compute(self) -> float:
        """Return the average over classes; NaN without samples."""
        sums = self.fetched()
        hits, predicted, actual = sums["hits"], sums["predicted"], sums["actual"]
        if not actual.sum():
            return float("nan")
        if self.average == "micro":
            return float(self._ratio(hits.sum(), predicted.sum(), actual.sum()))
        each = self._ratio(hits, predicted, actual)
        if self.average is None and sums["single"]:
            return float(each[1])
        if self.average == "weighted":
            return float((each * actual).sum() / actual.sum())
        return float(each[predicted + actual > 0].mean())  # of the classes that are there

    def _ratio(self, hits: Any, predicted: Any, actual: Any) -> Any:
        raise NotImplementedError


class Precision(_Confusions):
    """Share of right ones among the samples that are said to be of a class: ``hits / predicted``, 0 where none is.

    Args:
        average: "macro": the mean over the classes that occur in labels or predictions; "weighted": by their labels;
            "micro": over all samples at once; None: that of class 1 if there is a single score, else "macro".
        ignore_index: label whose positions are left out.
        threshold: above which a single score means class 1.

    Raises:
        ValueError: there is no such average.

    Example:
        >>> from cunet.train import Precision
        >>> metric = Precision()
        >>> metric.update(np.array([2.0, 1.0, -1.0, 3.0]), np.array([1, 0, 1, 1]))  # logits of class 1
        >>> round(metric.compute(), 4)  # of the three that are said to be 1
        0.6667
    """

    name = "precision"

    def _ratio(self, hits: Any, predicted: Any, actual: Any) -> Any:
        return hits / np.maximum(predicted, 1)


class Recall(_Confusions):
    """Share of the samples of a class that are said to be so: ``hits / actual``; options as `Precision`.

    Example:
        >>> from cunet.train import Recall
        >>> metric = Recall()
        >>> metric.update(np.array([2.0, 1.0, -1.0, -3.0]), np.array([1, 0, 1, 1]))  # logits of class 1
        >>> round(metric.compute(), 4)  # of the three that are 1
        0.3333
    """

    name = "recall"

    def _ratio(self, hits: Any, predicted: Any, actual: Any) -> Any:
        return hits / np.maximum(actual, 1)


class F1(_Confusions):
    """Harmonic mean of precision and recall: ``2 * hits / (predicted + actual)``; options as `Precision`.

    Example:
        >>> from cunet.train import F1
        >>> metric = F1(average="macro")
        >>> metric.update(np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]]), np.array([0, 1, 1]))
        >>> round(metric.compute(), 4)
        0.6667
    """

    name = "f1"

    def _ratio(self, hits: Any, predicted: Any, actual: Any) -> Any:
        return 2 * hits / np.maximum(predicted + actual, 1)


def _flags(found: Scored, threshold: float) -> tuple[Array, Array]:
    """Return for each sample that counts the class it has, and the one it is said to have, as flags (M, C)."""
    classes = array_module(found.scores).arange(found.classes)
    kept = found.kept[:, None]
    return (
        (found.labels[:, None] == classes) & kept,
        (found.decided(threshold)[:, None] == classes) & kept,
    )
