"""What ops and the dispatcher tell while a step is recorded."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import numpy as np

from ..device import Array
from ..kernels.backends.native.recorder import Recorder
from ..kernels.dispatch import pick
from ..kernels.spec import Definition
from .notes import Call, Check, Host, Op, counted, owner
from .tree import Tree, Unfit, leaves_of


class Session:
    """Notes what the recorder cannot see: whose numbers and arrays they are, and what NumPy did for a kernel.

    Attributes:
        calls, checks, hosts: what was noted.
        counters: tensors that were counted up.
        constants: arrays that kernels were given and nobody can write.
        spoiled: what touched arrays that should not, or "".
        incomplete: whether parts of it were found that the next recording leaves to Python.
    """

    # `by_python`: numbers of ops that Python does in a replay, there and back, for NumPy does a part of them.

    def __init__(self, recorder: Recorder, by_python: set[int]) -> None:
        self._recorder, self._by_python = recorder, by_python
        self._depth = self._ops = 0
        self._thread: int | None = threading.get_ident()  # None when the recording has ended
        self.calls: list[Call] = []
        self.checks: list[Check] = []
        self.hosts: list[Host] = []
        self.counters: list[Any] = []
        self.constants: list[np.ndarray] = []
        self.spoiled, self.incomplete = "", False
        self._hidden: set[int] = set()  # blocks that calls of Python's made, and did not return yet

    def end(self) -> None:
        """Note nothing more: graphs and contexts may outlive a recording."""
        self.look()
        self._thread = None
        for host in self.hosts:
            if isinstance(host.function, Op):
                host.function.forget()

    def _elsewhere(self) -> bool:
        return self._thread != threading.get_ident()

    def counter(self, holder: Any) -> None:
        """Count up the 0-d integers in ``holder.data``, here and in each replay."""
        if self._elsewhere():
            holder.data = counted(holder.data)
            return
        holder.data = self._recorder.aside(counted, holder.data)
        self.counters.append(holder)

    def check(self, test: Callable[..., bool], array: Array, *rest: Any) -> bool:
        """Return ``test(array, *rest)``, which each replay asks of its own array first."""
        if self._elsewhere():
            return test(array, *rest)
        answer = bool(self._recorder.aside(test, array, *rest))
        self.checks.append(Check(test, array, rest, answer, self._recorder.count()))
        return answer

    def host(self, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return ``function(*args, **options)``, arrays of its own making, here and in each replay."""
        return self._noted(function, args, options, functools.partial(function, *args, **options))

    def op(
        self, function: Callable[..., Any], inputs: list[Any], options: dict[str, Any], given: Sequence[Any] = ()
    ) -> tuple[Any, Any]:
        """Return ``function(*inputs, **options)``, the result of an op and its way back."""
        if self._elsewhere():
            return function(*inputs, **options)
        number, self._ops = self._ops, self._ops + 1
        op = Op(number, function)
        known = number in self._by_python
        y = self._noted(op, tuple(inputs), options, functools.partial(op, *inputs, **options), known)
        vjp, op.vjp = op.vjp, None  # what is noted of an op holds nothing that its graph has let go
        if vjp is None:
            return y
        by_python = any(host.function is op for host in self.hosts)
        if by_python:
            self._by_python.add(number)
        return y, functools.partial(self._way_back, op, vjp, by_python)

    call = op

    def _way_back(self, op: Op, vjp: Callable[[Any], Any], by_python: bool, gy: Any) -> list[Any]:
        """Return what the way back of an op returns."""
        if self._elsewhere():
            return vjp(gy)
        if by_python:
            op.vjp = vjp
            self._noted(op.back, (gy,), {}, functools.partial(op.back, gy), True)
            found, op.vjp = op.gradients, None
        else:
            found = self._watched(op, functools.partial(vjp, gy))
        if not isinstance(found, (tuple, list)):
            return found
        return [functools.partial(self._thunk, op, k, g, by_python) if callable(g) else g for k, g in enumerate(found)]

    def _thunk(self, op: Op, k: int, gradient: Callable[[], Any], by_python: bool) -> Any:
        if by_python:
            run = functools.partial(op.gradient, k)
            return self._noted(run, (), {}, run, True)
        return self._watched(op, gradient)

    def _watched(self, op: Op, proceed: Callable[[], Any]) -> Any:
        """Go on with a part of the way back that is recorded; if NumPy does it, Python does this op from now on."""
        if self._elsewhere():
            return proceed()
        before = self._recorder.faults()
        if before and not self._depth:
            self.look()
        self._depth += 1
        try:
            return proceed()
        finally:
            self._depth -= 1
            if not before and self._recorder.faults():
                self._by_python.add(op.number)
                self.incomplete = True
                self._recorder.forgive()  # so that others like it are found in this recording too

    def listen(
        self, kernel: Definition, args: tuple[Any, ...], options: dict[str, Any], proceed: Callable[[], Any]
    ) -> Any:
        """Note a call; see `cunet.kernels.listening`."""
        if self._elsewhere():
            return proceed()
        first = self._recorder.count()
        result = self._noted(functools.partial(_call, kernel), args, options, proceed)
        self._note_constants(args)
        kept = (None, *args[1:]) if kernel.spec.kind == "inplace" else ()
        self.calls.append(Call(kernel, kept, first, self._recorder.count()))
        return result

    def _noted(
        self,
        function: Any,
        args: tuple[Any, ...],
        options: dict[str, Any],
        proceed: Callable[[], Any],
        always: bool = False,
    ) -> Any:
        """Go on with a call; if NumPy did something in it, or `always`, it becomes a record of its own."""
        if self._elsewhere():
            return proceed()
        before = self._recorder.faults()
        if before and not self._depth:
            self.look()
        first, blocks = self._recorder.count(), self._recorder.count_blocks()
        self._depth += 1
        try:
            result = proceed()
        finally:
            self._depth -= 1
        if not before and (always or self._recorder.faults()):
            self._as_host(function, args, options, result, first, blocks)
        return result

    def _as_host(self, function: Any, args: Any, options: Any, result: Any, first: int, blocks: int) -> None:
        if result is None:  # it changes its arguments, as optimisers do
            return
        tree = Tree(args, options)
        made: list[np.ndarray] = []
        try:
            leaves_of(result, made)
        except Unfit:
            return
        if tree.objects or any(not a.size for a in made):
            return
        places = [self._recorder.block_of(a) for a in made]
        fresh = [
            k is not None and (k >= blocks or k in self._hidden) for k in places
        ]  # others: views of what was there
        self._hidden |= {*range(blocks, self._recorder.count_blocks())}
        self._hidden -= {k for k in places if k is not None}
        made = [a for a, new in zip(made, fresh, strict=True) if new]
        self._recorder.host(first, tree.arrays, made)
        self.calls = [call for call in self.calls if call.last <= first]
        self.hosts = [host for host in self.hosts if host.record < first]
        self.hosts.append(Host(first, function, tree, tuple(fresh)))
        self._note_constants(tree.arrays)
        tree.arrays.clear()

    def _note_constants(self, args: Sequence[Any]) -> None:
        """Note arrays that nobody can write: the library's own, which no step reaches otherwise."""
        roots = [owner(a) for a in args if type(a) is np.ndarray]
        self.constants += [a for a in roots if not a.flags.writeable and a.flags.owndata]

    def look(self) -> None:
        """Note where something touched arrays that only kernels may touch."""
        if self._recorder.faults() and not self.spoiled:
            sizes = [str(block.size) for block in self._recorder.touched()]
            names = [call.kernel.name for call in self.calls[-1:]]
            behind = f" behind kernel {names[0]!r}" if names else ""
            self.spoiled = (
                f"NumPy or Python reads or writes an array of {' and '.join(sizes[:3])} bytes{behind}, {_line()}"
            )


def _call(kernel: Definition, *args: Any, **options: Any) -> Any:
    return pick(kernel, args, options)


def _line() -> str:
    """Return the lines, of cunet and of the user's code, that run."""
    frame: FrameType | None = sys._getframe(1)
    inside = ""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        parts = module.split(".")
        if parts[0] != "cunet":
            return f"{inside}at {frame.f_code.co_filename}:{frame.f_lineno}"
        if parts[1] not in ("record", "kernels", "autograd") and not inside:
            inside = f"in {module}.{frame.f_code.co_name} "
        frame = frame.f_back
    return inside
