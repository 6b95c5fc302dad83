"""A piece, in a process of its own."""

from __future__ import annotations

import contextlib
import time
import traceback
from typing import Any

import numpy as np

import cunet

from .group import Piece, load
from .results import plain


def compute(name: str, piece: Piece) -> dict[str, Any]:
    """Run a piece; cunet's streams start from its seed."""
    cunet.manual_seed(piece["seed"])
    with np.errstate(all="ignore"):  # some diverge: that is what they show
        return {key: plain(value) for key, value in load(name).run(**piece).items()}


def work(pipe: Any, name: str, piece: Piece) -> None:
    """Send what a piece finds, or the error as text, and its seconds of processor time."""
    begin = time.process_time()
    try:
        found: Any = compute(name, piece)
    except Exception:
        found = traceback.format_exc()
    with contextlib.suppress(BrokenPipeError):  # who asked was stopped
        pipe.send((found, time.process_time() - begin))
    pipe.close()
