"""What metrics read in predictions and targets: scores, labels, and which of them count."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...autograd.tensor import Tensor, as_array
from ...device import Array, array_module
from ...system.checks import check_numbers

#: Label that is left out unless another one is named, as in losses.
IGNORED = -100


def as_plain(x: Any) -> Array:
    """Return the array of a Tensor, or of what can be one; a number as it is."""
    return x.data if isinstance(x, Tensor) else x if isinstance(x, (int, float)) else as_array(x)


class Scored(NamedTuple):
    """Scores of M samples (or pixels), their labels, and which of them count.

    Attributes:
        scores: (M, C), or (M,) of class 1 where there are two classes and one score.
        labels: (M,) integers.
        kept: (M,) flags.
    """

    scores: Array
    labels: Array
    kept: Array

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self.scores.shape[1] if self.scores.ndim == 2 else 2

    def decided(self, threshold: float) -> Array:
        """Return the predicted labels: of the largest score, or 1 where the only one is above `threshold`."""
        return self.scores.argmax(axis=1) if self.scores.ndim == 2 else (self.scores > threshold).astype(np.int64)


def scored(who: str, prediction: Any, target: Any, ignore_index: int = IGNORED) -> Scored:
    """Return what a batch says.

    Args:
        who: the metric, for errors.
        prediction: scores of C >= 2 classes (N, C, ...); or one score of class 1, (N,) or (N, 1, ...).
        target: integer labels (N, ...) or probabilities of the classes, shaped as `prediction`; labels 0 and 1, of any
            dtype, with or without the axis of length 1.
        ignore_index: label that does not count.

    Raises:
        ValueError: shapes do not fit, or, on the CPU, a label is none of the classes.
    """
    found = read(who, prediction, target, ignore_index)
    if type(found.labels) is np.ndarray:
        wrong = found.kept & ((found.labels < 0) | (found.labels >= found.classes))
        if wrong.any():
            raise ValueError(f"{who}: target must hold labels in [0, {found.classes}), got {found.labels[wrong][0]}")
    return found


def read(who: str, prediction: Any, target: Any, ignore_index: int) -> Scored:
    """Return what `scored` does without a look at the labels: those out of range are no class's."""
    check_numbers(who, ignore_index=ignore_index)
    prediction, target = as_plain(prediction), as_plain(target)
    shape = prediction.shape
    if len(shape) > 1 and shape[1] > 1:
        scores = prediction
        if len(shape) > 2:
            scores = array_module(prediction).moveaxis(prediction, 1, -1).reshape(-1, shape[1])
        if target.shape == shape:
            labels = target.argmax(axis=1).reshape(-1)
            return Scored(scores, labels, array_module(labels).ones(labels.shape, bool))
        fits = target.shape == shape[:1] + shape[2:]
    else:
        scores = prediction.reshape(-1)
        fits = len(shape) > 0 and target.shape in (shape, shape[:1] + shape[2:])
    if not fits or (scores.ndim == 2 and target.dtype.kind == "f"):
        raise ValueError(f"{who}: target of shape {target.shape} does not fit prediction of shape {shape}")
    labels = target.reshape(-1) if target.ndim != 1 else target
    labels = labels if labels.dtype == np.int64 else labels.astype(np.int64)
    return Scored(scores, labels, labels != ignore_index)


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Return scores (N, C) as probabilities in float64: their softmax, or as they are if that is what they are."""
    scores = scores.astype(np.float64)
    if len(scores) and (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        return scores
    with np.errstate(invalid="ignore"):
        powers = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-math.inf))
    return powers / powers.sum(axis=1, keepdims=True)
