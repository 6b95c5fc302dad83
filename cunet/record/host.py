"""Calls of Python's in a replay: what NumPy does, on the plan's memory."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence

import numpy as np

from ..device import Array
from ..kernels.backends.native.plans import Operand
from ..random import Generator
from .moves import Ahead
from .notes import Host, Op
from .tree import leaves_of


class _Memory:
    """Memory at an address, as NumPy sees that of others."""

    def __init__(self, address: int, o: Operand) -> None:
        self.__array_interface__ = {
            "data": (address, False), "shape": o.shape, "strides": o.strides, "version": 3,
            "typestr": np.dtype(chr(o.letter)).str,
        }  # fmt: skip


class View:
    """An operand of a call of Python's, as an array."""

    def __init__(self, o: Operand, moving: int | None, place: int) -> None:
        self._operand, self._moving, self._place = o, moving, place
        self._fixed = np.asarray(_Memory(place, o)) if moving is None else None

    def among(self, moving: list[Array]) -> Array:
        """Return it, where arrays are moving."""
        if self._fixed is not None:
            return self._fixed
        a, o = moving[self._moving or 0], self._operand
        if not self._place and a.dtype.char == chr(o.letter) and a.shape == o.shape and a.strides == o.strides:
            return a
        return np.asarray(_Memory(a.__array_interface__["data"][0] + self._place, o))


def ends_of(hosts: Sequence[Host]) -> dict[int, int]:
    """Return for each call of Python's the record behind which its op needs nothing more of what it was given."""
    last = {_op_of(host): host.record for host in hosts}
    return {host.record: last[op] if (op := _op_of(host)) else host.record for host in hosts}


def _op_of(host: Host) -> Op | None:
    """Return the op that a call is a part of; other functions keep nothing."""
    function = host.function.func if isinstance(host.function, functools.partial) else host.function
    owner = getattr(function, "__self__", function)
    return owner if isinstance(owner, Op) else None


class HostCall:
    """A call of Python's in a replay; behind the record `end` its op keeps nothing.

    Attributes:
        spent: the least nanoseconds that it took.
    """

    spent = 0

    def __init__(self, host: Host, views: list[View], draws: list[Ahead], end: int) -> None:
        count = len(views) - sum(host.fresh)
        self._is_last = host.record == end
        self._host, self._read, self._written, self._draws = host, views[:count], views[count:], draws

    def run(self, moving: list[Array], generators: list[Generator], calls: list[int]) -> None:
        """Make it, and put what it returns where later calls find it."""
        began = time.perf_counter_ns()
        made: list[Array] = []
        host = self._host
        for k, (_, g, ahead) in enumerate(self._draws):
            host.tree.draws[k] = host.tree.draws[k]._replace(call=calls[g] + ahead)
        leaves_of(host.tree.call(host.function, [v.among(moving) for v in self._read]), made)
        fresh = [a for a, new in zip(made, host.fresh, strict=True) if new]
        for view, a in zip(self._written, fresh, strict=True):
            np.copyto(view.among(moving), a)
        if self._is_last:
            self.forget()
        spent = time.perf_counter_ns() - began
        self.spent = min(spent, self.spent or spent)

    def forget(self) -> None:
        """Let go of what an op keeps for its way back."""
        op = _op_of(self._host)
        if op is not None:
            op.forget()
