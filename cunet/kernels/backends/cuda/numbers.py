"""Numbers that go to a GPU as arguments of a kernel: no memory of the host is read later, and nothing waits."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....device import array_module

CHUNK = 64  # numbers of a launch: 512 of the 4096 bytes that arguments may have


def write_numbers(values: Sequence[Any], out: Any) -> None:
    """Write numbers to the beginning of a 1-D array of a GPU, and maybe zeros behind them.

    Args:
        values: float64, rounded to the dtype of `out`; uint64 where that is uint64.
        out: float32, float64 or uint64, contiguous, its length a multiple of `CHUNK`.
    """
    kind = np.uint64 if out.dtype.kind == "u" else np.float64
    for first in range(0, len(values), CHUNK):
        some = [kind(value) for value in values[first : first + CHUNK]]
        count = 1 << (len(some) - 1).bit_length()
        room = out[first : first + count]
        _writer(array_module(out), kind, count)(*some, *[kind(0)] * (count - len(some)), room, size=1)


@functools.cache
def _writer(xp: Any, kind: type, count: int) -> Any:
    name = np.dtype(kind).name
    ins = ", ".join([f"{name} c{k}" for k in range(count)])
    lines = "; ".join([f"out[{k}] = (T)c{k}" for k in range(count)])
    return xp.ElementwiseKernel(ins, "raw T out", lines, "write_numbers")
