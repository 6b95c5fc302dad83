"""Whether a classifier is right as often as it says, and the temperature that makes it so."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..autograd.tensor import as_array
from ..device import asnumpy
from ..plot.style import BLUE, GREY, LIGHT
from ..system.checks import check_counts
from ..system.extras import new_axes


class Calibration(NamedTuple):
    """A reliability diagram: samples by confidence, the probability of the class that they are given.

    Attributes:
        confidence: the mean confidence of the samples in each bin, (bins,); NaN in an empty one.
        accuracy: the share of them whose class is right, (bins,); NaN in an empty one.
        samples: how many samples each bin has, (bins,). Bin k of K holds confidences in (k / K, (k + 1) / K].

    Example:
        >>> from cunet.diagnose import calibration
        >>> probabilities = np.array([[0.75, 0.25], [0.75, 0.25], [0.75, 0.25], [0.75, 0.25]])
        >>> found = calibration(probabilities, np.array([0, 0, 0, 1]), bins=4)
        >>> found.samples, found.accuracy, found.expected_error
        (array([0, 0, 4, 0]), array([ nan,  nan, 0.75,  nan]), 0.0)
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    samples: np.ndarray

    @property
    def expected_error(self) -> float:
        """The expected calibration error: the mean of ``abs(accuracy - confidence)`` over samples; Guo, equation 3."""
        gap = np.abs(self.accuracy - self.confidence)
        return float((np.where(self.samples > 0, gap, 0) * self.samples).sum() / self.samples.sum())

    @property
    def maximum_error(self) -> float:
        """The largest ``abs(accuracy - confidence)`` of a bin; Guo, equation 5."""
        return float(np.nanmax(np.abs(self.accuracy - self.confidence)))

    def plot(self, ax: Any = None) -> Any:
        """Draw accuracy over confidence, with the share of samples in each bin, and return the axes.

        Args:
            ax: axes of matplotlib to draw into; new ones by default.

        Raises:
            ImportError: matplotlib is not installed: ``pip install "cunet[plot]"``.
        """
        if ax is None:
            ax = new_axes("Calibration.plot", 4.2, 4.2)
        bins = len(self.samples)
        left, width = np.arange(bins) / bins, 1 / bins
        ax.bar(left, self.samples / self.samples.sum(), width, align="edge", color=LIGHT, label="share of samples")
        ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="right as often as it says")
        ax.plot(self.confidence, self.accuracy, color=BLUE, marker="o", markersize=4, label="accuracy")
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy; share of samples", aspect="equal")
        ax.set_title(f"expected calibration error {100 * self.expected_error:.2g} %")
        ax.legend(loc="upper left", frameon=False)
        return ax


def calibration(probabilities: Any, target: Any, bins: int = 15) -> Calibration:
    """Return how often a classifier is right where it says how sure it is.

    Args:
        probabilities: (N, C); of the class with the highest one it is the confidence.
        target: the right classes, integers (N,).
        bins: of equal width.

    Raises:
        ValueError: shapes do not fit, there is no sample, a row is no distribution, or a label is no class.

    Source: Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural Networks", section 2.

    Example:
        >>> from cunet.diagnose import calibration
        >>> sure = np.tile([[0.875, 0.125]], (4, 1))
        >>> found = calibration(sure, np.array([0, 0, 1, 1]), bins=10)
        >>> found.expected_error  # it says 0.875 and is right half of the time
        0.375
    """
    check_counts("calibration", bins=bins)
    p, labels = _checked("calibration", "probabilities", probabilities, target)
    sums = p.sum(axis=1)
    if (p < 0).any() or np.abs(sums - 1).max() > 1e-2:
        raise ValueError(
            f"calibration: probabilities must be at least 0 and sum to 1, got rows with sums from {sums.min():.3g} to "
            f"{sums.max():.3g} and a least value of {p.min():.3g}; of logits take the softmax first"
        )
    chosen = p.argmax(axis=1)
    confidence = np.minimum(p[np.arange(len(p)), chosen], 1.0)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    samples = np.bincount(place, minlength=bins)
    some = np.where(samples > 0, samples, np.nan)
    return Calibration(
        np.bincount(place, confidence, bins) / some, np.bincount(place, chosen == labels, bins) / some, samples
    )


def fit_temperature(logits: Any, target: Any) -> float:
    """Return the temperature T that makes the cross-entropy of ``logits / T`` the least: temperature scaling.

    Dividing logits by it changes no decision. It is fitted on data that the model was not trained on. The loss is
    convex in 1 / T, of which the root of its slope is found by Newton's method within an interval, in float64.

    Args:
        logits: (N, C), finite.
        target: the right classes, integers (N,).

    Returns:
        T > 0; above 1 for a model that is too sure.

    Raises:
        ValueError: shapes do not fit, there is no sample, a logit is not finite, or a label is no class. The least is
            at no temperature: every label has the highest logit of its row (T would be 0), or they are no more likely
            than by chance (it would be infinite).

    Source: Guo et al. 2017, section 4.2, equation 9.

    Example:
        >>> from cunet.diagnose import fit_temperature
        >>> logits = np.tile([[np.log(9.0), 0.0]], (4, 1))  # 0.9, where it is right three times of four
        >>> round(fit_temperature(logits, np.array([0, 0, 0, 1])), 4)
        2.0
    """
    z, labels = _checked("fit_temperature", "logits", logits, target)
    z = z - z.max(axis=1, keepdims=True)
    right = z[np.arange(len(z)), labels]
    if not right.any():
        raise ValueError("fit_temperature: every label has the highest logit, so that no temperature is the best")
    if (z.mean(axis=1) - right).mean() >= 0:
        raise ValueError(
            "fit_temperature: target must be likelier than by chance, got labels whose logits are on average no higher "
            "than others"
        )
    low, high = 0.0, 1.0
    while _slopes(z, right, high)[0] < 0:
        low, high = high, 2 * high
    beta = high
    for _ in range(200):
        slope, bend = _slopes(z, right, beta)
        low, high = (beta, high) if slope < 0 else (low, beta)
        last, beta = beta, beta - slope / bend if bend > 0 else 0.0
        if not low < beta < high:
            beta = (low + high) / 2
        if abs(beta - last) <= 1e-14 * last:
            break
    return float(1 / beta)


def _slopes(z: np.ndarray, right: np.ndarray, beta: float) -> tuple[float, float]:
    """Return the first and second derivative by beta of the mean of ``logsumexp(beta * z) - beta * right``."""
    p = np.exp(beta * z)
    p /= p.sum(axis=1, keepdims=True)
    mean = (p * z).sum(axis=1)
    return float((mean - right).mean()), float((p * (z - mean[:, None]) ** 2).sum(axis=1).mean())


def _checked(who: str, name: str, scores: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return scores (N, C) in float64 and labels (N,)."""
    x, labels = (asnumpy(as_array(a)) for a in (scores, target))
    if x.ndim != 2 or not x.size or labels.shape != x.shape[:1]:
        raise ValueError(f"{who}: {name} and target must have shapes (N, C) and (N,), got {x.shape}, {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{who}: target must hold integers, got {labels.dtype}")
    if labels.min() < 0 or labels.max() >= x.shape[1]:
        raise ValueError(f"{who}: target must be from 0 to {x.shape[1] - 1}, got {labels.min()} to {labels.max()}")
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError(f"{who}: {name} must be finite, got inf or nan")
    return x, labels
