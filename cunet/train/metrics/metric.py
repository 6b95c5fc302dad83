"""Metric: what is summed over batches where they are, and read once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...device import Array, array_module, asnumpy, is_array, like


class Metric:
    """Base of the metrics that are no mean over batches: `update` with each batch, `compute` at the end, `reset`.

    A subclass defines `update`, which calls `add` with arrays of one shape each, and `compute`, which makes of the
    sums of these (`fetched`) a number, or an array.

    Attributes:
        name: what its value is called in the logs.
        sums: what was summed up so far, by name, on the device of the data.

    Example:
        >>> from cunet.train import Metric
        >>> class Bias(Metric):
        ...     name = "bias"
        ...     def update(self, prediction, target):
        ...         self.add(errors=(prediction - target).sum(), count=target.size)
        ...     def compute(self):
        ...         sums = self.fetched()
        ...         return float(sums["errors"] / sums["count"])
        >>> metric = Bias()
        >>> metric.update(np.array([1.0, 3.0]), np.array([0.0, 1.0]))
        >>> metric.compute()
        1.5
    """

    name = ""

    def __init__(self) -> None:
        self.sums: dict[str, Any] = {}

    def update(self, prediction: Any, target: Any) -> None:
        """Take in a batch: arrays of predictions and targets."""
        raise NotImplementedError(f"{type(self).__name__} must define update()")

    def compute(self) -> Any:
        """Return the value over all batches since the last `reset`."""
        raise NotImplementedError(f"{type(self).__name__} must define compute()")

    def reset(self) -> None:
        """Forget all batches."""
        self.sums = {}

    def add(self, **values: Any) -> None:
        """Add to the sums, in float64, without waiting for a device."""
        for name, value in values.items():
            wide = value.astype(np.float64) if hasattr(value, "astype") else float(value)
            if name in self.sums:
                before = self.sums[name]
                wide = wide + (like(before, wide) if is_array(before) and is_array(wide) else before)
            self.sums[name] = wide

    def fetched(self) -> dict[str, np.ndarray]:
        """Return the sums as NumPy arrays; waits for the device, once. 0 for what was never added."""
        xp = array_module(*self.sums.values())
        arrays = [xp.asarray(value, np.float64) for value in self.sums.values()]
        if not arrays:
            return _Zeros()
        flat = asnumpy(xp.concatenate([array.reshape(-1) for array in arrays]))
        ends = np.cumsum([array.size for array in arrays])
        parts = np.split(flat, ends[:-1])
        return {name: part.reshape(a.shape) for name, part, a in zip(self.sums, parts, arrays, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """Return the sums as they are."""
        return {"sums": dict(self.sums)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.sums = {name: _number(value) for name, value in state["sums"].items()}


class _Zeros(dict[str, np.ndarray]):
    """The sums over no batch."""

    def __missing__(self, name: str) -> np.ndarray:
        return np.zeros(())


def _number(value: Any) -> Any:
    """Return a 0-d array as a number, which any device adds to."""
    return value.item() if is_array(value) and not value.ndim else value


def joined(parts: list[Array]) -> Array:
    """Return batches one after the other."""
    return array_module(*parts).concatenate(parts)
