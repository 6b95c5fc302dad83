"""Ways in which the same numbers can lie in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Move = Callable[[np.ndarray], np.ndarray]


class Layout(NamedTuple):
    """Makes of an array another that owns its memory, and of that one a view with odd strides.

    Attributes:
        base: the array to be moved to a device.
        view: what a call is given; indexing alone, so that arrays of any device can do it.
        cpu_only: no device has such arrays.
    """

    base: Move
    view: Move = lambda base: base
    cpu_only: bool = False


def _spread(a: np.ndarray) -> np.ndarray:
    base = np.full((*a.shape[:-1], 2 * a.shape[-1]), 77, a.dtype)
    base[..., ::2] = a
    return base


def _framed(a: np.ndarray) -> np.ndarray:
    base = np.full([n + 2 for n in a.shape], 77, a.dtype)
    base[(slice(1, -1),) * a.ndim] = a
    return base


def _big_endian(a: np.ndarray) -> np.ndarray:
    return a.astype(a.dtype.newbyteorder(">")) if a.dtype.kind in "iuf" else a


def _unaligned(a: np.ndarray) -> np.ndarray:
    base = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    base[...] = a
    return base


def _read_only(a: np.ndarray) -> np.ndarray:
    a.flags.writeable = False
    return a


def _overlapping(a: np.ndarray) -> np.ndarray:
    """Windows over one row, each a step further than the last."""
    if a.ndim < 2 or a.size == 0:
        return a
    *_, rows, width = a.shape
    base = np.resize(a, rows + width - 1)
    strides = (*(0,) * (a.ndim - 2), base.itemsize, base.itemsize)
    return np.lib.stride_tricks.as_strided(base, a.shape, strides, writeable=False)


LAYOUTS: dict[str, Layout] = {
    "plain": Layout(lambda a: a),
    "strided": Layout(_spread, lambda base: base[..., ::2]),
    "reversed": Layout(lambda a: a[..., ::-1].copy(), lambda base: base[..., ::-1]),
    "upside down": Layout(lambda a: a[::-1].copy(), lambda base: base[::-1]),
    "transposed": Layout(lambda a: np.array(a.T, order="C"), lambda base: base.T),
    "window": Layout(_framed, lambda base: base[(slice(1, -1),) * base.ndim]),
    "read-only": Layout(_read_only, cpu_only=True),
    "broadcast": Layout(lambda a: np.broadcast_to(a[:1], a.shape), cpu_only=True),
    "big-endian": Layout(_big_endian, cpu_only=True),
    "unaligned": Layout(_unaligned, cpu_only=True),
    "overlapping": Layout(_overlapping, cpu_only=True),
}
