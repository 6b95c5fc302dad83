"""Shares of right answers: accuracy, top-k accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...device import Array, array_module, is_gpu_array
from ...system.checks import check_counts
from .metric import Metric
from .ondevice import hit_rate
from .scores import IGNORED, as_plain, read, scored


def accuracy(prediction: Any, target: Any, ignore_index: int = IGNORED, threshold: float = 0.0) -> Array:
    """Return the share of samples whose largest score is at the label.

    Args:
        prediction: scores or logits, shape (N, C, ...) with at least 2 classes; or (N,) or (N, 1, ...), of class 1.
        target: integer labels of shape (N, ...), or probabilities of the shape of `prediction`; for a single score 0
            and 1, with or without the axis of length 1.
        ignore_index: label whose positions are left out, as in `cunet.functional.cross_entropy`.
        threshold: above which a single score means class 1: 0 for logits, 0.5 for probabilities.

    Returns:
        0-d float array on the device of the data: nothing is synchronised. NaN if there are no
            labels but those that are left out.

    Raises:
        ValueError: shapes do not fit. A label that is none of the classes is a miss: losses refuse it.

    Example:
        >>> from cunet.train import accuracy
        >>> scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
        >>> float(accuracy(scores, np.array([1, 1, -100])))  # the last one is ignored
        0.5
        >>> float(accuracy(np.array([2.0, -1.0]), np.array([1, 1])))  # logits of class 1
        0.5
    """
    return counted_accuracy(prediction, target, ignore_index, threshold)[0]


def counted_accuracy(
    prediction: Any, target: Any, ignore_index: int = IGNORED, threshold: float = 0.0
) -> tuple[Array, Array]:
    """Return what `accuracy` does, and of how many samples."""
    prediction, target = as_plain(prediction), as_plain(target)
    shape = prediction.shape
    of_classes = target.shape == shape[:1] + shape[2:] and len(shape) > 1 < shape[1]
    if of_classes and target.dtype.kind in "iu" and is_gpu_array(target):
        return hit_rate(prediction, target, ignore_index)
    found = read("accuracy", prediction, target, ignore_index)
    hits, count = found.decided(threshold) == found.labels, found.kept.sum()
    hits &= found.kept
    with np.errstate(invalid="ignore"):
        return hits.sum() / count, count


class TopK(Metric):
    """Share of samples whose label is among the `k` largest scores.

    Of equal scores the first ones are the larger, as for `accuracy`, which is that of ``k=1``; a score that is NaN is
    above all others, and one of the label that is NaN never among the largest.

    Args:
        k: how many classes may be named.
        ignore_index: label whose positions are left out.

    Raises:
        ValueError: `k` is below 1; or, by `update`, there are no scores of classes.

    Example:
        >>> from cunet.train import TopK
        >>> metric = TopK(2)
        >>> metric.update(np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]), np.array([1, 0]))
        >>> metric.compute()
        0.5
    """

    def __init__(self, k: int = 5, ignore_index: int = IGNORED) -> None:
        check_counts("TopK", k=k)
        super().__init__()
        self.k, self.ignore_index, self.name = k, ignore_index, f"top{k}"

    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch: scores (N, C, ...) and labels (N, ...), or probabilities shaped as the scores."""
        found = scored("TopK", prediction, target, self.ignore_index)
        if found.scores.ndim == 1:
            raise ValueError(f"TopK: prediction must have shape (N, C, ...) with C >= 2, got {prediction.shape}")
        xp = array_module(found.scores)
        labels = xp.where(found.kept, found.labels, 0)[:, None]
        own = xp.take_along_axis(found.scores, labels, axis=1)
        behind = xp.arange(found.classes)[None] >= labels
        below = (found.scores < own) | ((found.scores == own) & behind)  # itself among them
        hits = (found.classes - below.sum(axis=1) < self.k) & found.kept
        self.add(hits=hits.sum(), count=found.kept.sum())

    def compute(self) -> float:
        """Return the share; NaN without samples."""
        sums = self.fetched()
        return float(sums["hits"] / sums["count"]) if sums["count"] else float("nan")
