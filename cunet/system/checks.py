"""Settings that must be numbers: whatever else comes, such as the "1e-3" that YAML reads as text, is named."""

from __future__ import annotations

from typing import Any

import numpy as np

from .messages import shown


def check_numbers(who: str, /, **settings: Any) -> None:
    """Raise TypeError for a setting that is no number; `who` complains."""
    for name, value in settings.items():
        number = isinstance(value, (int, float, np.number)) or (getattr(value, "ndim", None) == 0)
        if not number or isinstance(value, str):
            raise TypeError(f"{who}: {name} must be a number, got {shown(value)}")


def check_counts(who: str, least: float = 1, /, **settings: Any) -> None:
    """Raise TypeError for a setting that is no whole number, ValueError for one below `least`; `who` complains."""
    for name, value in settings.items():
        if not isinstance(value, (int, np.integer)):
            raise TypeError(f"{who}: {name} must be a whole number, got {shown(value)}")
        if value < least:
            raise ValueError(f"{who}: {name} must be at least {least}, got {value}")
