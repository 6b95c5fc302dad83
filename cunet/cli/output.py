"""What a command prints: text for people, or one line of JSON for scripts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def show(as_json: bool, text: str, data: Any) -> None:
    """Print a text, or else the same as JSON."""
    import json  # here, so that nobody pays for it who does not ask

    print(json.dumps(plain(data), allow_nan=False) if as_json else text, flush=True)


def plain(value: Any) -> Any:
    """Return a value for JSON: arrays as lists, numbers that are not finite as null, all that JSON has not as text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


def numbers(logs: dict[str, Any]) -> str:
    """Return the single numbers of some logs in words: ``loss 0.1234, accuracy 0.9876``."""
    shown = {name: value for name, value in logs.items() if isinstance(value, (int, float, np.number))}
    return ", ".join(f"{name} {value:.4g}" for name, value in shown.items())
