"""Metrics: functions ``metric(prediction, target)`` that return the batch's mean as a 0-d array."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, as_array
from ..device import Array, array_module, asnumpy, is_array


def as_plain(x: Any) -> Array:
    """Return the array of a Tensor, or of what can be one; a number as it is."""
    return x.data if isinstance(x, Tensor) else x if isinstance(x, (int, float)) else as_array(x)


def accuracy(prediction: Any, target: Any, ignore_index: int = -100) -> Array:
    """Return the share of samples whose largest score is at the label.

    Args:
        prediction: scores or logits, shape (N, C, ...) with at least 2 classes.
        target: integer labels of shape (N, ...), or probabilities of the shape of `prediction`.
        ignore_index: label whose positions are left out, as in `cunet.functional.cross_entropy`.

    Returns:
        0-d float array on the device of the data: nothing is synchronised. NaN if there are no labels
            but those that are left out.

    Raises:
        ValueError: shapes do not fit.
    """
    prediction, target = as_plain(prediction), as_plain(target)
    if prediction.ndim < 2 or prediction.shape[1] < 2:
        raise ValueError(f"accuracy: prediction must have shape (N, C, ...) with C >= 2, got {prediction.shape}")
    given = target.shape != prediction.shape
    labels = target if given else target.argmax(axis=1)
    if labels.shape != prediction.shape[:1] + prediction.shape[2:]:
        raise ValueError(
            f"accuracy: target of shape {target.shape} does not fit prediction of shape {prediction.shape}"
        )
    hits, count = prediction.argmax(axis=1) == labels, labels.size
    if given:
        kept = labels != ignore_index
        hits &= kept
        count = kept.sum()
    with np.errstate(invalid="ignore"):
        return hits.sum() / count


KNOWN: dict[str, Callable[..., Any]] = {"accuracy": accuracy}
#: Names that the logs of an epoch have for something else.
RESERVED = ("loss", "epoch", "seconds", "samples_per_second", "complete", "lr", "max_lr")


def named_metrics(metrics: Any, ignore_index: int) -> dict[str, Callable[..., Any]]:
    """Return metrics by name, of a name, a sequence of names and functions, or a dict of functions."""
    if isinstance(metrics, Mapping):
        pairs = list(metrics.items())
    else:
        pairs = [
            _named(m, ignore_index) for m in ([metrics] if isinstance(metrics, str) or callable(metrics) else metrics)
        ]
    named = dict(pairs)
    if len(named) < len(pairs) or not named.keys().isdisjoint(RESERVED):
        names = ", ".join(name for name, _ in pairs)
        raise ValueError(f"Trainer: metrics must have different names, none of {', '.join(RESERVED)}; got {names}")
    return named


def _named(metric: Any, ignore_index: int) -> tuple[str, Callable[..., Any]]:
    if not isinstance(metric, str):
        return getattr(metric, "__name__", type(metric).__name__), metric
    if metric not in KNOWN:
        raise ValueError(f"Trainer: unknown metric {metric!r}; known by name: {', '.join(KNOWN)}")
    return metric, functools.partial(KNOWN[metric], ignore_index=ignore_index)


class Means:
    """Means over samples of values that come batch by batch, summed where they are."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: dict[str, Any] = {}
        self._weights: dict[str, Any] = {}
        self._sound: Any = 0  # batches until the sum of the losses became NaN, which it then stays

    def add(self, count: int, values: dict[str, Any], weights: Mapping[str, Any] | None = None) -> None:
        """Add a batch of `count` samples with its mean values, of which some weigh otherwise than by the samples."""
        self.count += count
        for name, value in values.items():
            value = as_plain(value)
            if is_array(value):
                if value.size != 1:
                    raise ValueError(f"Trainer: {name} must be one number per batch, got shape {value.shape}")
                value = value.reshape(()).astype("float64")
            weight = (weights or {}).get(name, count)
            term = value * weight
            if not isinstance(weight, int):  # nothing counts in this batch: its mean is 0 / 0
                term = array_module(term).where(weight == 0, 0.0, term)
            total = self._sums[name] = self._sums.get(name, 0.0) + term
            self._weights[name] = self._weights.get(name, 0) + weight
            if name == "loss":
                self._sound = self._sound + (total == total)

    def read(self) -> dict[str, float]:
        """Return the means; waits for the device, once. NaN where nothing counted."""
        values = [*self._sums.values(), *self._weights.values()]
        xp, arrays = array_module(*values), [is_array(value) for value in values]
        read = np.array([0.0 if there else value for value, there in zip(values, arrays, strict=True)])
        if any(arrays):
            read[arrays] = asnumpy(xp.stack([xp.asarray(v, "float64") for v in values if is_array(v)]))
        with np.errstate(invalid="ignore"):
            means = read[: len(self._sums)] / read[len(self._sums) :]
        return dict(zip(self._sums, means.tolist(), strict=True))

    def first_nan(self) -> int | None:
        """Return the number, from 1, of the first batch whose loss made the sum of all NaN; None if none did."""
        return int(self._sound) + 1 if math.isnan(self._sums["loss"]) else None

    def state_dict(self) -> dict[str, Any]:
        """Return the sums as they are."""
        return {"count": self.count, "sums": dict(self._sums), "weights": dict(self._weights), "sound": self._sound}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        sums, weights = ({k: _number(v) for k, v in state[part].items()} for part in ("sums", "weights"))
        self.count, self._sums, self._weights, self._sound = state["count"], sums, weights, _number(state["sound"])


def _number(value: Any) -> Any:
    """Return a number that any device adds to."""
    return value.item() if is_array(value) else value
