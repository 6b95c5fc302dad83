"""What a model does to one example: a list of the ops that it called, as numbers of arrays and options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tape import no_grad
from ..device import Array, is_array
from ..kernels import listening
from ..kernels.capture import capturing
from ..kernels.spec import Definition
from ..nn.anomaly import Place, place_here


class Ref(NamedTuple):
    """An array, by its number in the trace."""

    number: int


class Inner(NamedTuple):
    """An array within an op: which of its kernels made it, as which output; -1: NumPy did."""

    kernel: int
    output: int


class KernelCall(NamedTuple):
    """A kernel that an op called; arrays among its arguments are known to the trace, or within the op."""

    kernel: Definition
    args: list[Any]


class Call(NamedTuple):
    """An op that was called.

    Attributes:
        function: of arrays, as it stands below `op`.
        args: its arguments: arrays as `Ref`, numbers and None as they are.
        options: its static arguments.
        results: what it made.
        single: whether that was one array.
        kernels: what it called, in order.
        made_by: for each result, what made it within.
        place: where it was called.
    """

    function: Callable[..., Any]
    args: list[Any]
    options: dict[str, Any]
    results: list[Ref]
    single: bool
    kernels: list[KernelCall]
    made_by: list[Inner]
    place: Place


_BY_NUMPY = Inner(-1, 0)


class Trace:
    """Listens to the ops of one call; stands where a recorder of steps would.

    Arrays are told apart by identity, and kept, so that no other gets the place of one in memory.

    Attributes:
        calls: the ops in their order.
        arrays: all in the order in which they were seen: those known at first, then arguments and results of ops.
    """

    def __init__(self, known: Sequence[Array]) -> None:
        self.calls: list[Call] = []
        self.arrays: list[Array] = []
        self._numbers: dict[int, int] = {}
        self._kernels: list[KernelCall] | None = None  # of the op that runs
        self._inner: dict[int, Inner] = {}  # the arrays that these made
        self._kept: list[Array] = []
        for array in known:
            self.number(array)

    def number(self, array: Array) -> Ref:
        """Return the number of an array, a new one for one that was not seen before."""
        found = self._numbers.setdefault(id(array), len(self.arrays))
        if found == len(self.arrays):
            self.arrays.append(array)
        return Ref(found)

    def run(self, function: Callable[..., Any], args: Sequence[Any]) -> Any:
        """Return what a function of Tensors returns, with its ops on the list."""
        token = capturing.set(self)
        try:
            with no_grad(), listening(self._kernel):
                return function(*args)
        finally:
            capturing.reset(token)

    def op(
        self, function: Callable[..., Any], inputs: list[Any], options: dict[str, Any], given: Sequence[Any]
    ) -> tuple[Any, Any]:
        """Run an op and put it on the list."""
        if self._kernels is not None:  # a part of another one
            return function(*inputs, **options)
        args = [self.number(a) if is_array(a) else a for a in inputs]
        kernels: list[KernelCall] = []
        inner: dict[int, Inner] = {}
        self._kernels, self._inner = kernels, inner
        try:
            y, vjp = function(*inputs, **options)
        finally:
            self._kernels = None
        single = type(y) is not tuple
        results = [np.asarray(part) if isinstance(part, np.generic) else part for part in ((y,) if single else y)]
        made_by = [inner.get(id(part), _BY_NUMPY) for part in results]
        refs = [self.number(part) for part in results]
        self.calls.append(Call(function, args, options, refs, single, kernels, made_by, place_here()))
        return (results[0] if single else tuple(results)), vjp

    call = op

    def _kernel(
        self, kernel: Definition, args: tuple[Any, ...], options: dict[str, Any], proceed: Callable[[], Any]
    ) -> Any:
        made = proceed()
        if self._kernels is not None:
            self._kernels.append(KernelCall(kernel, [self._seen(a) if is_array(a) else a for a in args]))
            for k, part in enumerate(made if isinstance(made, tuple) else (made,)):
                self._inner[id(part)] = Inner(len(self._kernels) - 1, k)
                self._kept.append(part)
        return made

    def _seen(self, array: Array) -> Ref | Inner:
        """Return who made an array that a kernel is given."""
        number = self._numbers.get(id(array))
        return self._inner.get(id(array), _BY_NUMPY) if number is None else Ref(number)

    def counter(self, holder: Any) -> None:
        """Count up."""
        holder.data = holder.data + 1

    def host(self, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return what a function makes."""
        return function(*args, **options)

    def check(self, test: Callable[..., bool], array: Array, *rest: Any) -> bool:
        """Return what a test says."""
        return test(array, *rest)


class Traced(NamedTuple):
    """What a model did to one example.

    Attributes:
        trace: its ops; the first arrays are the inputs, then those of the state.
        outputs: what it returned, by name.
    """

    trace: Trace
    outputs: dict[str, Ref]
