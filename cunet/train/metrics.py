"""Metrics: functions ``metric(prediction, target)`` that return the batch's mean as a 0-d array."""

from __future__ import annotations

from typing import Any

from ..backend import Array
from ..tensor import Tensor


def _array(x: Any) -> Array:
    return x.data if isinstance(x, Tensor) else x


def accuracy(prediction: Any, target: Any) -> Array:
    """Return the share of samples whose largest score is at the label.

    Args:
        prediction: scores or logits, shape (N, C, ...).
        target: integer labels of shape (N, ...), or probabilities of the shape of `prediction`.

    Returns:
        0-d float array on the device of the data: nothing is synchronised.
    """
    prediction, target = _array(prediction), _array(target)
    if target.ndim == prediction.ndim:
        target = target.argmax(axis=1)
    if target.shape != prediction.shape[:1] + prediction.shape[2:]:
        raise ValueError(
            f"accuracy: target of shape {target.shape} does not fit prediction of shape {prediction.shape}"
        )
    return (prediction.argmax(axis=1) == target).mean()
