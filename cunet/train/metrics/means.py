"""Means over samples, of values that come batch by batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...device import Array, array_module, asnumpy, is_array, is_gpu_array
from .ondevice import accumulate, fits
from .scores import as_plain


class Means:
    """Means over samples of values that come batch by batch, summed where they are."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: dict[str, Any] = {}
        self._weights: dict[str, Any] = {}
        self._sound: Any = 0  # batches until the sum of the losses became NaN, which it then stays
        self._totals: Array | None = None  # on a GPU: what all of these are views of

    def add(self, count: int, values: dict[str, Any], weights: Mapping[str, Any] | None = None) -> None:
        """Add a batch of `count` samples with its mean values, of which some weigh otherwise than by the samples."""
        values = {name: as_plain(value) for name, value in values.items()}
        for name, value in values.items():
            if is_array(value) and value.size != 1:
                raise ValueError(f"Trainer: {name} must be one number per batch, got shape {value.shape}")
        self.count += count
        weights = {name: (weights or {}).get(name, count) for name in values}
        if any(map(is_gpu_array, (*values.values(), *weights.values()))) and fits(values.values(), weights.values()):
            self._add_there(values, weights)
        else:
            self._add_here(values, weights)

    def _add_there(self, values: dict[str, Any], weights: Mapping[str, Any]) -> None:
        """Add a batch where its values are."""
        names, xp = list(values), array_module(*values.values(), *weights.values())
        if self._totals is None or names != list(self._sums):
            count, before = len(names), [*[self._sums.get(n, 0.0) for n in names], *map(self._weights.get, names)]
            totals = self._totals = xp.zeros(2 * count + 1)
            for k, value in enumerate([*before, self._sound]):
                totals[k] = 0.0 if value is None else value
            self._sums = {name: totals[k] for k, name in enumerate(names)}
            self._weights = {name: totals[count + k] for k, name in enumerate(names)}
            self._sound = totals[2 * count]
        watched = names.index("loss") if "loss" in names else None
        accumulate(self._totals, list(values.values()), list(weights.values()), watched)

    def _add_here(self, values: dict[str, Any], weights: Mapping[str, Any]) -> None:
        """Add a batch by arithmetic, wherever its values are."""
        for name, value in values.items():
            value = value.reshape(()).astype("float64") if is_array(value) else value
            weight = weights[name]
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
        sums, weights = ({k: _kept(v) for k, v in part.items()} for part in (self._sums, self._weights))
        return {"count": self.count, "sums": sums, "weights": weights, "sound": _kept(self._sound)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        sums, weights = ({k: _number(v) for k, v in state[part].items()} for part in ("sums", "weights"))
        self.count, self._sums, self._weights, self._sound = state["count"], sums, weights, _number(state["sound"])
        self._totals = None


def _kept(value: Any) -> Any:
    """Return a number as it is now."""
    return value.copy() if is_array(value) else value


def _number(value: Any) -> Any:
    """Return a number that any device adds to."""
    return value.item() if is_array(value) else value
