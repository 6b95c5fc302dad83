"""Steps that an optimiser would make, tried on one batch and taken back."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..nn.module import Module
from ..optim import LBFGS, Optimizer

#: How many steps are made; and what share of the loss one long step in the direction of the first shall take away.
STEPS, SHARE = 5, 0.01


class Trial(NamedTuple):
    """The loss of one batch around steps on it, with the same dropout masks.

    Attributes:
        before: at the weights as they are.
        after: after `STEPS` steps.
        steps: how many steps like the first, sped up by momentum, would take `SHARE` of the loss away, by its slope;
            infinite where the loss does not fall in that direction.
        at_once: the share that is gone after one step as long as all these.
    """

    before: float
    after: float
    steps: float
    at_once: float


def can_try(optimizer: Any) -> bool:
    """Tell whether an optimiser makes steps by gradients that are there."""
    return isinstance(optimizer, Optimizer) and not isinstance(optimizer, LBFGS)


def tried(model: Module, optimizer: Optimizer, value: Callable[[], float], learn: Callable[[], None]) -> Trial:
    """Return what an optimiser's steps do to a loss; model and optimiser are as before afterwards.

    Args:
        model: the model.
        optimizer: of its parameters; a copy with a state of its own makes the steps.
        value: returns the loss.
        learn: computes the gradients of it.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    data = [p.data for p in parameters]
    own = copy.deepcopy(optimizer, {id(p): p for p in parameters})
    momentum = max((group.get("momentum", 0.0) or 0.0) for group in own.param_groups)
    try:
        before, fall, change = value(), 0.0, []
        for k in range(STEPS):
            learn()
            own.step()
            if not k:
                change = [p.data - old for p, old in zip(parameters, data, strict=True)]
                fall = -sum(
                    float((c * p.grad).sum()) for c, p in zip(change, parameters, strict=True) if p.grad is not None
                )
        after = value()
        length = SHARE * abs(before) / fall if fall > 0 else math.inf
        at_once = 0.0
        if math.isfinite(length):
            for p, old, step in zip(parameters, data, change, strict=True):
                p.data = old + (step * length).astype(old.dtype)
            at_once = (before - value()) / abs(before) if before else 0.0
        return Trial(before, after, length * (1 - momentum), at_once)
    finally:
        for p, old in zip(parameters, data, strict=True):
            p.data = old
