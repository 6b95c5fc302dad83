"""What a call launches, found once for arguments of the same shapes, dtypes and alignment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from ...spec import Definition, single
from . import tuning as settings

_MOST = 512  # recipes of a kernel; where shapes never come again they would fill the memory


class Launch(NamedTuple):
    """One launch of a program.

    Attributes:
        program: a RawKernel.
        grid, block: as CUDA has them.
        picks: which of arguments, outputs and rooms it takes, counted through.
        sizes: numbers that follow.
    """

    program: Any
    grid: tuple[int, ...]
    block: tuple[int, ...]
    picks: tuple[int, ...]
    sizes: tuple[Any, ...]


class Recipe:
    """How a call runs: what becomes of its arguments, the arrays that are made, and the launches.

    Args:
        takes: for each argument a function of it, or None to take it as it is.
        outs: shape and dtype of each output.
        launches: in their order.
        rooms: bytes of arrays that one launch leaves to another.
    """

    def __init__(
        self,
        takes: Sequence[Callable[[Any], Any] | None],
        outs: Sequence[tuple[tuple[int, ...], np.dtype]],
        launches: Sequence[Launch],
        rooms: Sequence[int] = (),
    ) -> None:
        self._takes = [(k, take) for k, take in enumerate(takes) if take is not None]
        self._outs, self._rooms = outs, rooms
        self._launches = [(*launch[:3], _picker(launch.picks), launch.sizes) for launch in launches]

    def __call__(self, xp: Any, args: Sequence[Any]) -> Any:
        """Run the call; return its outputs."""
        outs = [xp.empty(shape, dtype) for shape, dtype in self._outs]
        values = [*args, *outs]
        for k, take in self._takes:
            values[k] = take(args[k])
        for size in self._rooms:
            values.append(xp.empty(size, np.uint8))
        for program, grid, block, pick, sizes in self._launches:
            program(grid, block, (*pick(values), *sizes))
        return single(outs)


def _picker(picks: tuple[int, ...]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    if len(picks) == 1:
        (first,) = picks
        return lambda values: (values[first],)
    return itemgetter(*picks)


def known(kernel: Definition, xp: Any, args: Sequence[Any], options: Any, make: Callable[[], Any]) -> Any:
    """Return what `make` returns, remembered for arguments that differ in their values alone.

    Args:
        kernel: what is called.
        xp: the array module.
        args: arrays of the device, and numbers.
        options: what else decides.
        make: called where no such arguments were seen; what it returns, or it itself, refuses arrays of NumPy's.
    """
    kind: Any = xp.ndarray
    parts = [
        (a.shape, a.dtype, a.flags.c_contiguous, a.data.ptr & 15) if isinstance(a, kind) else type(a) for a in args
    ]
    key = (settings.tuning, options, *parts)
    recipes = kernel.prepared.get(xp)
    if recipes is None or len(recipes) > _MOST:
        recipes = kernel.prepared[xp] = {}
    found = recipes.get(key)
    if found is None:
        found = recipes[key] = make()
    return found
