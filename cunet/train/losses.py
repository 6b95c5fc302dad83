"""Losses of a step: one, or several by name of which "loss" is the one that is learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..autograd.tensor import Tensor
from ..system.messages import shown

Losses = Tensor | Mapping[str, Any]


def total_of(losses: Any) -> Any:
    """Return the loss that is learnt from."""
    return named(losses)["loss"]


def named(losses: Any) -> Mapping[str, Any]:
    """Return losses by name.

    Raises:
        ValueError: there is none that is called "loss".
        TypeError: there is no loss.
    """
    if losses is None:
        raise TypeError(f"Trainer: step and compute must return (loss, prediction), got {shown(losses)} for the loss")
    if not isinstance(losses, Mapping):
        return {"loss": losses}
    if "loss" not in losses:
        raise ValueError(f'Trainer: of several losses one must be called "loss", got {", ".join(losses)}')
    return losses
