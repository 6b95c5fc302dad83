"""Metrics: functions ``metric(prediction, target)`` that return the batch's mean as a 0-d array."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..autograd.tensor import Tensor
from ..device import Array, array_module, asnumpy, is_array


def _array(x: Any) -> Array:
    return x.data if isinstance(x, Tensor) else x


def accuracy(prediction: Any, target: Any) -> Array:
    """Return the share of samples whose largest score is at the label.

    Args:
        prediction: scores or logits, shape (N, C, ...) with at least 2 classes.
        target: integer labels of shape (N, ...), or probabilities of the shape of `prediction`.

    Returns:
        0-d float array on the device of the data: nothing is synchronised.

    Raises:
        ValueError: shapes do not fit.
    """
    prediction, target = _array(prediction), _array(target)
    if prediction.ndim < 2 or prediction.shape[1] < 2:
        raise ValueError(f"accuracy: prediction must have shape (N, C, ...) with C >= 2, got {prediction.shape}")
    labels = target.argmax(axis=1) if target.shape == prediction.shape else target
    if labels.shape != prediction.shape[:1] + prediction.shape[2:]:
        raise ValueError(
            f"accuracy: target of shape {target.shape} does not fit prediction of shape {prediction.shape}"
        )
    return (prediction.argmax(axis=1) == labels).mean()


KNOWN: dict[str, Callable[..., Any]] = {"accuracy": accuracy}
#: Names that the logs of an epoch have for something else.
RESERVED = ("loss", "epoch", "seconds", "samples_per_second", "complete", "lr", "max_lr")


def named_metrics(metrics: Any) -> dict[str, Callable[..., Any]]:
    """Return metrics by name, of a name, a sequence of names and functions, or a dict of functions."""
    if isinstance(metrics, Mapping):
        pairs = list(metrics.items())
    else:
        pairs = [_named(m) for m in ([metrics] if isinstance(metrics, str) or callable(metrics) else metrics)]
    named = dict(pairs)
    if len(named) < len(pairs) or not named.keys().isdisjoint(RESERVED):
        names = ", ".join(name for name, _ in pairs)
        raise ValueError(f"Trainer: metrics must have different names, none of {', '.join(RESERVED)}; got {names}")
    return named


def _named(metric: Any) -> tuple[str, Callable[..., Any]]:
    if not isinstance(metric, str):
        return getattr(metric, "__name__", type(metric).__name__), metric
    if metric not in KNOWN:
        raise ValueError(f"Trainer: unknown metric {metric!r}; known by name: {', '.join(KNOWN)}")
    return metric, KNOWN[metric]


class Means:
    """Means over samples of values that come batch by batch, summed where they are."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: dict[str, Any] = {}

    def add(self, count: int, values: dict[str, Any]) -> None:
        """Add a batch of `count` samples with its mean values."""
        self.count += count
        for name, value in values.items():
            value = _array(value)
            if is_array(value):
                if value.size != 1:
                    raise ValueError(f"Trainer: {name} must be one number per batch, got shape {value.shape}")
                value = value.reshape(()).astype("float64")
            self._sums[name] = self._sums.get(name, 0.0) + value * count

    def read(self) -> dict[str, float]:
        """Return the means; waits for the device, once."""
        sums = list(self._sums.values())
        xp = array_module(*sums)
        totals = asnumpy(xp.stack([xp.asarray(total, "float64") for total in sums]))
        return {name: float(total) / self.count for name, total in zip(self._sums, totals, strict=True)}
