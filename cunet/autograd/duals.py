"""Values and tangents in one pass: what forward mode does at first order, where tangents are arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ..kernels.calculus.duals import joined, joined_backward, pushed
from ..kernels.calculus.kernels import from_text, gradient_kernel
from ..kernels.calculus.reading import Unreadable
from ..kernels.dispatch import Kernel
from ..kernels.grammar import parse
from ..kernels.spec import Definition
from .mapped import elementwise, mapped_by
from .op import Vjp, op
from .tensor import Tensor

#: The kernel forward, the kernel backward, and the numbers that both take after the array.
Pair = tuple[Kernel, Kernel, Sequence[float]]
_LIMIT = 64  # options that are remembered of a function


class DualRule(Protocol):
    """What makes the result of an op and its tangent."""

    def __call__(
        self, function: Callable[..., Any], inputs: list[Any], tangents: list[Any], options: dict[str, Any], /
    ) -> tuple[Any, Sequence[Any]] | None:
        """Return results, an array or a tuple, and tangents of their shapes and dtypes; None where this cannot.

        Args:
            function: the op's own.
            inputs: its arguments.
            tangents: arrays, None for arguments that do not move; one moves.
            options: its static arguments.
        """


def at_once(
    function: Callable[..., Any], inputs: list[Any], tangents: list[Any], options: dict[str, Any]
) -> tuple[Any, Sequence[Any]] | None:
    """Return the result of an op, and its tangents, by what makes both; None where it has no such rule."""
    for dual in function.__dict__.get("duals", ()):
        made = dual(function, inputs, tangents, options)
        if made is not None:
            return made
    return None


class of_pair:  # noqa: N801 (lower case, as its neighbours)
    """What joins the texts of two kernels of an array and of numbers: of a function and of its gradient.

    Args:
        numbers: ``numbers(**options)`` returns the kernels and the numbers.
    """

    def __init__(self, numbers: Callable[..., Pair]) -> None:
        self.numbers = numbers
        self.known: dict[Any, Pair] = {}

    def pair(self, function: Callable[..., Any], options: dict[str, Any]) -> Pair:
        """Return the kernels and the numbers of a call."""
        key = tuple(options.items())
        found = self.known.get(key)
        if found is None:
            function(np.zeros(0, np.float32), **options)  # which complains of its options
            if len(self.known) >= _LIMIT:
                self.known.clear()
            found = self.known[key] = self.numbers(**options)
        return found

    def __call__(self, function: Any, inputs: list[Any], tangents: list[Any], options: dict[str, Any]) -> Any:
        """See `DualRule`."""
        forward, backward, values = self.known.get(tuple(options.items())) or self.pair(function, options)
        kernel = forward.prepared.get(backward) or joined(forward, backward)
        if kernel is None:
            return None
        y, t = kernel(*inputs, *values, *tangents)
        return y, (t,)

    def recorded(self, function: Any, x: Tensor, t: Any, options: dict[str, Any]) -> Sequence[Any] | None:
        """Return the result and its tangent as Tensors with one way back for both; None where there is none."""
        forward, backward, values = self.pair(function, options)
        dual = _op_of_pair(forward, backward)
        moves = isinstance(t, Tensor) and t.requires_grad
        return None if dual is None else dual(x, t, numbers=tuple(values), moves=moves)


def _op_of_pair(forward: Kernel, backward: Kernel) -> Callable[..., Any] | None:
    """Return the op of a value and of its tangent, made once; None if the gradient's text is not readable."""
    key = "op", backward
    if key not in forward.prepared:
        try:
            dual, *back = (
                joined(forward, backward),
                *(joined_backward(forward, backward, moves) for moves in (False, True)),
            )
            forward.prepared[key] = None if dual is None or None in back else _Pair(forward, backward, dual, back).op()
        except Unreadable:
            forward.prepared[key] = None
    return forward.prepared[key]


class _Pair:
    """A function and its gradient, of which forward mode makes a value and a tangent.

    Attributes:
        forward, backward: their kernels.
        dual: the kernel of value and tangent.
        back: the kernels of gradients of these, of a tangent that has none and of one that has.
        bent: the kernel of the gradient of the tangent by the array, None where that is 0.
    """

    def __init__(self, forward: Kernel, backward: Kernel, dual: Any, back: Sequence[Any]) -> None:
        self.forward, self.backward, self.dual, self.back = forward, backward, dual, back
        self.names = [p.name for p in forward.spec.params]
        self.read = [p.name for p in backward.spec.ins[1:]]
        x = self.names[0]
        self.bent = gradient_kernel(backward, 1 + self.read.index(x)) if x in self.read else None

    def op(self) -> Callable[..., Any]:
        """Return the op, and let kernels that are given Tensors be done by ops."""

        def run(x: Any, t: Any, *, numbers: Any, moves: bool) -> tuple[tuple[Any, Any], Vjp]:
            y, moved = self.dual(x, *numbers, t)
            known = dict(zip(self.names, (x, *numbers, y), strict=True))
            return (y, moved), lambda gy: self._gradients(known, t, gy, moves)

        run.__name__ = self.dual.name
        made = op(arrays=2)(run)
        mapped_by(made)(elementwise)
        self.dual.tensors(lambda x, *rest: made(x, rest[-1], numbers=rest[:-1], moves=True))
        for moves, kernel in enumerate(self.back):
            names = [p.name for p in kernel.spec.ins[:-3]]
            kernel.tensors(functools.partial(self._on_tensors, names, bool(moves)))
        return made

    def _gradients(self, known: dict[str, Any], t: Any, arriving: Sequence[Any], moves: bool) -> Sequence[Any]:
        g, gt = arriving
        if g is None or gt is None:  # no kernel of both: where nothing arrives an infinite slope would make NaN
            return self._apart(known, t, g, gt)
        kernel = self.back[moves]
        found = kernel(*[known[p.name] for p in kernel.spec.ins[:-3]], t, g, gt)
        return found if moves else (found, None)

    def _apart(self, known: dict[str, Any], t: Any, g: Any, gt: Any) -> Sequence[Any]:
        """Return the gradients of the array and of its tangent, a kernel for each part."""
        rest = [known[name] for name in self.read]
        gx = None if g is None else self.backward(g, *rest)
        if gt is not None and self.bent is not None:
            by_tangent = self.bent(t, *rest, gt)
            gx = by_tangent if gx is None else gx + by_tangent
        return gx, None if gt is None else lambda: self.backward(gt, *rest)

    def _on_tensors(self, names: Sequence[str], moves: bool, *args: Any) -> Any:
        *inputs, t, g, gt = args
        gx, by_tangent = self._apart(dict(zip(names, inputs, strict=True)), t, g, gt)
        return (gx, by_tangent()) if moves else gx


def of_text(kernel: Definition) -> DualRule:
    """Return what makes outputs and tangents by the text of an elementwise kernel and its derivative."""

    def dual(function: Any, inputs: list[Any], tangents: list[Any], options: dict[str, Any]) -> Any:
        moving = tuple([k for k, t in enumerate(tangents) if t is not None])
        made = pushed(kernel, moving)
        if made is None:
            return None
        found, count = made(*inputs, *[tangents[k] for k in moving]), len(kernel.spec.outs)
        return (found[0] if count == 1 else found[:count]), found[count:]

    return dual


def of_value(text: str) -> DualRule:
    """Return what makes ``y`` and its tangent by a text of ``x``: one that has NumPy's bits, rounded once."""

    @functools.cache
    def made() -> DualRule:  # when it is needed: a text takes longer to read than a module
        kernel = from_text("value", parse("T x"), parse("T y"), text)
        kernel.ours = True
        return of_text(kernel)

    return lambda *call: made()(*call)
