"""What a trainer does with one batch, and how that is recorded."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable
from typing import Any

from ..autograd.tensor import Tensor
from ..device import Array
from ..nn.module import Module
from ..record import CompiledStep, Report
from ..record.report import NOTHING
from .losses import Losses, total_of
from .turn import Learnt, Turn, learn, update
from .updates import Updates

#: Methods that are recorded: who calls them, and what they read.
_METHODS = {
    "step": ("fit", ("model", "loss", "optimizer", "careful")),
    "compute": ("evaluate", ("model", "loss")),
    "_apply": ("predict", ("model",)),
    "_turn": ("fit", ("model", "loss", "optimizer")),
    "_end_turn": ("update", ("model", "optimizer")),
}
_INSTEAD = {"step": "_turn", "_turn": "step"}  # what does the same part of `fit` in other runs


class Steps:
    """Apply a model to a batch, find its loss, make a training step; the part of a `Trainer` that can be recorded.

    Of all that a trainer has, these methods read model, loss, optimiser and what makes other steps of them alone; and
    `compute` what its override reads.
    """

    model: Module
    loss: Callable[..., Tensor]
    optimizer: Any
    careful: Updates | None  # what makes steps that are not plain ones
    read_by_steps = (*_METHODS["step"][1], "compute")  # see `cunet.record.watch`

    def compute(self, *batch: Any) -> tuple[Losses, Any]:
        """Return the loss of a batch and the prediction, in training and in evaluation; override it for another loss.

        Several losses are returned as a dict by name, of which "loss" is the one that is learnt from.

        Args:
            batch: (\\*inputs, target) on the trainer's device.
        """
        if len(batch) < 2:
            raise TypeError("Trainer: a batch must be a tuple (*inputs, target), got one array")
        *inputs, target = batch
        prediction = self.model(*inputs)
        return self.loss(prediction, target), prediction

    def step(self, *batch: Any) -> tuple[Losses, Any]:
        """Make one training step; return the loss and the prediction; override it for another step.

        Several losses are returned as a dict by name, of which "loss" is the one that is learnt from.
        """
        if self.careful is not None:
            return self.careful.step(self, *batch)
        self.optimizer.zero_grad()
        losses, prediction = self.compute(*batch)
        total_of(losses).backward()
        self.optimizer.step()
        return losses, prediction

    def _apply(self, *inputs: Any) -> Any:
        return self.model(*inputs)

    def _turn(self, *args: Any) -> Learnt:
        return learn(self, *args)

    def _end_turn(self, turn: Turn, norm: Array) -> None:
        update(self, turn)  # `norm` is where the gradients are: a step that is recorded works where its arguments lie

    def part(self, name: str) -> Callable[..., Any]:
        """Return one of these methods, recorded if steps are."""
        return getattr(self, name)


class Recorded:
    """The methods of a trainer's `Steps`, recorded and replayed where that can be: see `cunet.compile`.

    Args:
        mode: "auto", True or False.
    """

    def __init__(self, mode: bool | str) -> None:
        if mode not in ("auto", True, False):
            raise ValueError(f'Trainer: compile must be "auto", True or False, got {mode!r}')
        self.mode = mode
        self._known: dict[str, tuple[list[Any], CompiledStep]] = {}
        self.left: Counter[str] = Counter()  # steps that were not even tried: why, and how often

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle without what was recorded."""
        return type(self), (self.mode,)

    def method(self, steps: Steps, name: str) -> Callable[..., Any]:
        """Return a method; what was recorded of it is kept as long as these are its parts."""
        own = getattr(steps, name)
        if not self.mode:
            return own
        if isinstance(_function(own), CompiledStep):
            self._known[name] = [], _function(own)
            return own
        parts = [getattr(steps, part) for part in _METHODS[name][1] if part != "careful"]
        parts += [_function(getattr(steps, key)) for key in _METHODS]
        known = self._known.get(name)
        if known is None or any(map(operator.is_not, known[0], parts)):
            self._known.pop(_INSTEAD.get(name, ""), None)
            self._known[name] = known = parts, _compiled(steps, name, self.mode == "auto")
        return known[1]

    def summary(self) -> str:
        """Return in a few lines how training steps were run."""
        known = self.reports().get("fit")
        return f"steps: {'none was recorded' if known is None else known}"

    def reports(self) -> dict[str, Report]:
        """Return how the calls of each method were run, by who called it."""
        found = {_METHODS[name][0]: step.report() for name, (_, step) in self._known.items()}
        if self.left and self.mode:
            found.setdefault("fit", NOTHING._replace(eager=self.left.total(), refusals=dict(self.left)))
        return found


def _function(method: Any) -> Any:
    return getattr(method, "__func__", method)


def _compiled(steps: Steps, name: str, tries: bool) -> CompiledStep:
    """Return a method as a step that is recorded."""
    if all(_function(getattr(steps, key)) is getattr(Steps, key) for key in _METHODS):
        alone = Steps()  # of the trainer no more than it needs: it is not held by what it holds
        for part in _METHODS[name][1]:
            setattr(alone, part, getattr(steps, part))
        steps = alone
    return CompiledStep(getattr(steps, name), f"Trainer: {name.lstrip('_')}", tries)
