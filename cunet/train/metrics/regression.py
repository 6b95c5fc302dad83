"""Metrics of numbers: errors, and the share of variance that is explained; and of the likelihood of labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...autograd.tape import no_grad
from ...device import Array, like
from ...functional import cross_entropy
from .metric import Metric
from .scores import IGNORED, as_plain


class _Errors(Metric):
    """Base of the metrics of numbers: predictions and targets (N, ...) of one shape, (N, 1) and (N,) alike."""

    def errors(self, prediction: Any, target: Any) -> tuple[Array, Array]:
        """Return errors and targets in float64, (N, D).

        Raises:
            ValueError: shapes do not fit.
        """
        prediction, target = as_plain(prediction), as_plain(target)
        if prediction.shape != target.shape and (
            prediction.size != target.size or prediction.shape[:1] != target.shape[:1]
        ):
            raise ValueError(f"{type(self).__name__}: target of shape {target.shape} does not fit prediction of shape "
                             f"{prediction.shape}")  # fmt: skip
        n = len(target)
        wide = target.reshape(n, math.prod(target.shape[1:])).astype(np.float64)
        return prediction.reshape(wide.shape).astype(np.float64) - wide, wide


class MAE(_Errors):
    """Mean absolute error: ``mean(abs(prediction - target))``.

    Example:
        >>> from cunet.train import MAE
        >>> metric = MAE()
        >>> metric.update(np.array([1.0, 3.0]), np.array([0.0, 5.0]))
        >>> metric.compute()
        1.5
    """

    name = "mae"

    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch of predictions and targets (N, ...)."""
        errors, _ = self.errors(prediction, target)
        self.add(sum=abs(errors).sum(), count=errors.size)

    def compute(self) -> float:
        """Return the mean; NaN without samples."""
        sums = self.fetched()
        return float(sums["sum"] / sums["count"]) if sums["count"] else float("nan")


class RMSE(_Errors):
    """Root mean square error: ``sqrt(mean((prediction - target) ** 2))``; of several outputs the mean of theirs.

    Example:
        >>> from cunet.train import RMSE
        >>> metric = RMSE()
        >>> for prediction, target in (([1.0], [0.0]), ([3.0], [10.0])):  # not the mean of both batches' roots
        ...     metric.update(np.array(prediction), np.array(target))
        >>> metric.compute()
        5.0
    """

    name = "rmse"

    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch of predictions and targets (N, ...)."""
        errors, _ = self.errors(prediction, target)
        self.add(squares=(errors * errors).sum(axis=0), count=len(errors))

    def compute(self) -> float:
        """Return the root; NaN without samples."""
        sums = self.fetched()
        return float(np.sqrt(sums["squares"] / sums["count"]).mean()) if sums["count"] else float("nan")


class R2(_Errors):
    """Share of the variance of the targets that is explained: ``1 - sum(errors ** 2) / sum((target - mean) ** 2)``.

    Of several outputs the mean of theirs. Targets that are all equal give 1 if there is no error, else 0.

    Mean and squares of the targets are joined batch by batch (Chan et al. 1983, equation 1.5): a mean far from 0 costs
    no digits.

    Example:
        >>> from cunet.train import R2
        >>> metric = R2()
        >>> metric.update(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
        >>> metric.compute()
        0.5
    """

    name = "r2"

    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch of predictions and targets (N, ...)."""
        errors, target = self.errors(prediction, target)
        n = len(target)
        if not n:
            return
        mean = target.mean(axis=0)
        spread = ((target - mean) ** 2).sum(axis=0)
        before = self.sums.get("count", 0)
        if before:
            old = like(self.sums["mean"], mean)
            apart = mean - old
            spread = spread + apart * apart * (before * n / (before + n))
            mean = old + apart * (n / (before + n))
        self.add(squares=(errors * errors).sum(axis=0), spread=spread)
        self.sums |= {"mean": mean, "count": before + n}

    def compute(self) -> float:
        """Return the share; NaN for fewer than two samples."""
        sums = self.fetched()
        if sums["count"] < 2:
            return float("nan")
        squares, spread = sums["squares"], sums["spread"]
        constant = spread == 0
        explained = 1 - squares / np.where(constant, 1, spread)
        return float(np.where(constant, np.where(squares == 0, 1.0, 0.0), explained).mean())


class Perplexity(Metric):
    """``exp`` of the mean cross-entropy of labels: how many classes a model of text is in doubt between.

    Args:
        ignore_index: label whose positions are left out.

    Example:
        >>> from cunet.train import Perplexity
        >>> metric = Perplexity()
        >>> metric.update(np.zeros((2, 8)), np.array([3, 5]))  # logits that are all alike
        >>> round(metric.compute(), 4)
        8.0
    """

    name = "perplexity"

    def __init__(self, ignore_index: int = IGNORED) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    @no_grad()
    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch: logits (N, C, ...) and labels (N, ...)."""
        prediction, target = as_plain(prediction), as_plain(target)
        loss = cross_entropy(prediction, target, ignore_index=self.ignore_index, reduction="none")
        self.add(loss=loss.data.astype(np.float64).sum(), count=(target != self.ignore_index).sum())

    def compute(self) -> float:
        """Return the perplexity; NaN without labels."""
        sums = self.fetched()
        with np.errstate(over="ignore"):
            return float(np.exp(sums["loss"] / sums["count"])) if sums["count"] else float("nan")
