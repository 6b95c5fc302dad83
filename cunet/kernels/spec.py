"""What kernels say of themselves: parameters, folds, and the shapes that reductions leave."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Param:
    """One parameter of a kernel: ``raw`` or not, its type and its name."""

    __slots__ = ("name", "raw", "type")

    def __init__(self, text: str) -> None:
        words = text.split()
        self.raw = words[0] == "raw"
        if len(words) != 2 + self.raw:
            raise ValueError(f'kernel parameter must read "[raw] type name", got {text!r}')
        self.type, self.name = words[-2:]
        if self.name in ("i", "n", "in0", "out0") or self.name.startswith("_"):
            raise ValueError(f"kernel parameter may not be called {self.name!r}: CuPy uses that name")


def parse(text: str) -> tuple[Param, ...]:
    """Read a list of parameters."""
    return tuple(Param(part) for part in text.split(",") if part.strip())


def signature(params: Sequence[Param], wide: np.dtype, suffix: str = "") -> str:
    """Write parameters for CuPy: ``A`` as a concrete type, ``T`` names with `suffix`."""
    parts = []
    for p in params:
        kind = wide.name if p.type == "A" else p.type
        name = p.name + suffix if p.type == "T" and not p.raw else p.name
        parts.append(f"{'raw ' * p.raw}{kind} {name}")
    return ", ".join(parts)


def prelude(wide: np.dtype) -> str:
    """Return what stands before every CUDA text."""
    return f"typedef {'double' if wide.char == 'd' else 'float'} A;\n"


class Fold(NamedTuple):
    """What is folded of each element, and how: see `reduction`."""

    map: str
    reduce: str
    identity: str
    type: str = "A"


class Twice(NamedTuple):
    """A reduction as processors do it best: over values that are in the cache twice, the second time knowing more.

    Texts as in `reduction`; `n` is the number of values. `found` makes a number of the first fold's ``a``, which the
    second fold and `post` know as ``found``. `preamble` is placed before these texts.
    """

    first: Fold
    found: str
    second: Fold
    post: str
    preamble: str = ""


def folded_axes(ndim: int, axis: Any) -> tuple[int, ...]:
    """Return the axes that `axis` (int, tuple, None: all) names, from 0; as in NumPy a 0-d array has an axis 0.

    Raises:
        numpy.exceptions.AxisError: there is no such axis.
    """
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    for a in given:
        if not -max(ndim, 1) <= a < max(ndim, 1):
            raise np.exceptions.AxisError(a, ndim)
    return tuple(a % ndim for a in given) if ndim else ()


@functools.lru_cache(4096)
def reduced_shape(shape: tuple[int, ...], axis: Any, keepdims: bool) -> tuple[int, ...]:
    """Return the shape left when `axis` (None: all) is folded."""
    axes = folded_axes(len(shape), axis)
    if keepdims:
        return tuple(1 if i in axes else s for i, s in enumerate(shape))
    return tuple(s for i, s in enumerate(shape) if i not in axes)
