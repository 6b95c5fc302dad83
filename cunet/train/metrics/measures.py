"""What is measured in an epoch: means of losses and of functions, and metrics that go through batches by themselves."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import Any

from ...device import asnumpy, is_array
from ...system.messages import warn
from .means import Means
from .metric import Metric
from .named import is_object
from .scores import as_plain


class Measures:
    """Losses and metrics of the batches so far; `means` of them are known at any time.

    Args:
        metrics: by name; objects with update, compute and reset begin anew.
        copied: whether to use copies of these objects, as somebody else is using them.
    """

    def __init__(self, metrics: Mapping[str, Any], copied: bool = False) -> None:
        self.means = Means()
        self.order = list(metrics)
        self.functions = {name: metric for name, metric in metrics.items() if not is_object(metric)}
        objects = {name: metric for name, metric in metrics.items() if name not in self.functions}
        self.objects = copy.deepcopy(objects) if copied else objects
        for metric in self.objects.values():
            metric.reset()

    def add(
        self,
        losses: Mapping[str, Any],
        prediction: Any,
        target: Any,
        weights: Mapping[str, Any],
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a batch; `weights` are of what counts otherwise than by samples, `values` of functions, if known."""
        if values is None:
            values = {name: metric(prediction, target) for name, metric in self.functions.items()}
        self.means.add(len(target), {**losses, **values}, weights)
        for metric in self.objects.values():
            metric.update(*[_for(metric, x) for x in (prediction, target)])

    def read(self) -> dict[str, Any]:
        """Return all values, in the order in which metrics were given; waits for the device."""
        means = self.means.read()
        values = {name: value for name, value in means.items() if name not in self.functions}
        for name in self.order:
            values |= {name: means[name]} if name in means else _entries(name, self.objects[name].compute())
        return values

    def state_dict(self) -> dict[str, Any]:
        """Return the state; of an object that keeps none (see `Metric.state_dict`) None."""
        kept = {name: m.state_dict() if isinstance(m, Metric) else None for name, m in self.objects.items()}
        return {"means": self.means.state_dict(), "objects": kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.means.load_state_dict(state["means"])
        for name, metric in self.objects.items():
            kept = state["objects"].get(name)
            if kept is not None and isinstance(metric, Metric):
                metric.load_state_dict(kept)
            else:
                warn(f"Trainer: the state has nothing of the metric {name!r}: this epoch's value is that of the "
                     "batches from here on")  # fmt: skip


def _for(metric: Any, value: Any) -> Any:
    """Return what an object is given: an array, or a tensor of PyTorch if the metric is made of these."""
    torch = sys.modules.get("torch")
    value = as_plain(value)
    if torch is not None and isinstance(metric, torch.nn.Module):
        return torch.as_tensor(asnumpy(value))
    return value


def _entries(name: str, value: Any) -> dict[str, Any]:
    """Return what a metric computed as entries of the logs: numbers, lists of them for arrays, those of a dict."""
    if isinstance(value, Mapping):
        return {f"{name}_{key}": entry for key, part in value.items() for entry in _entries("", part).values()}
    if value is None or isinstance(value, (int, float)):
        return {name: value}
    if hasattr(value, "detach") and not is_array(value) and hasattr(value, "numpy"):
        value = value.detach().cpu().numpy()
    array = asnumpy(as_plain(value))
    return {name: array.item() if array.size == 1 else array.tolist()}
