"""Scaling of the loss, so that small gradients of a float16 model do not round to 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..system.messages import shown
from .arguments import check_positive

_FIRST = 2.0**15  # the largest power of two that float16 has
_PATIENCE = 2000  # updates without an overflow after which the scale is doubled


class LossScale:
    """What a loss is multiplied by on the way back, and gradients divided by before they are used.

    A gradient that overflows is of no use: its update is left out. A "dynamic" scale is then halved, and doubled after
    2,000 updates without one, up to what the dtype of the loss holds.

    Args:
        scale: "dynamic", or a number above 0, which stays.

    Attributes:
        value: the scale; a power of two, where it is dynamic, so that it rounds nothing.
        good: updates since it was changed.

    Source: Micikevicius et al. 2018, "Mixed precision training", arXiv:1710.03740, section 3.2.
    """

    def __init__(self, scale: Any) -> None:
        self.dynamic = isinstance(scale, str)
        if self.dynamic and scale != "dynamic":
            raise ValueError(f'Trainer: loss_scale must be "dynamic", a number or None, got {shown(scale)}')
        if not self.dynamic:
            check_positive("loss_scale", scale)
        self.value, self.good, self._most = _FIRST if self.dynamic else float(scale), 0, 2.0**127

    def take(self, finite: bool) -> None:
        """Take note of whether an update could be made."""
        self.good = self.good + 1 if finite else 0
        if self.dynamic and not finite:
            self.value = max(self.value / 2, 2.0**-126)
        elif self.dynamic and self.good >= _PATIENCE and self.value * 2 <= self._most:
            self.value, self.good = self.value * 2, 0

    def limit(self, dtype: Any) -> None:
        """Take note of the dtype of the loss, which the scale is to fit in.

        Raises:
            ValueError: it does not.
        """
        largest = 65504.0 if dtype == np.float16 else np.inf
        if self.value > largest:
            raise ValueError(
                f"Trainer: loss_scale must be at most 65504 for a loss of float16, got {self.value:g}; compute the loss"
                " of float32 predictions, or take a smaller one"
            )
        self._most = min(2.0**127, largest)

    def state_dict(self) -> dict[str, Any]:
        """Return what the next update depends on."""
        return {"value": self.value, "good": self.good}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned; a scale that stays is the one that was given."""
        if self.dynamic:
            self.value, self.good = float(state["value"]), int(state["good"])
