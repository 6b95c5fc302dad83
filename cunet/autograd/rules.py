"""How an op is differentiated again that cannot run on Tensors: as other ops, or because it is linear."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .duals import DualRule
from .forward import Call
from .linear import Linear, Op, Term, set_rule
from .mapped import Mapped, elementwise, mapped_by
from .pulling import gradients_at
from .tangents import several, shaped
from .tensor import Tensor
from .tracing import captured_by, order_here, recorded_at, traced_at, variable


def composite(op: Op) -> Callable[[Op], Op]:
    """Say what an op is in terms of other ops: its gradient is then theirs.

    The decorated function has the parameters of the op's function, and gets Tensors or arrays for its arrays.
    """

    def decorate(function: Op) -> Op:
        set_rule(op, Composite(function))
        return function

    return decorate


class Composite:
    """The rule of an op that is done by others, on the way back only: its result is its own."""

    def __init__(self, function: Op) -> None:
        self.function = function

    def vjp(self, y: Any, args: Sequence[Any], options: dict[str, Any]) -> Op:
        """See `Rule`."""

        def vjp(gy: Any) -> tuple[Any, ...]:
            order = order_here()
            mapped = any(isinstance(g, Mapped) for g in (gy if isinstance(gy, tuple) else (gy,)))
            with recorded_at(order + 1 + mapped):  # no way back of arrays knows of samples
                leaves = [variable(a) if isinstance(a, Tensor) else a for a in args]
                made = self.function(*leaves, **options)
            pairs = zip(several(made), gy if isinstance(made, tuple) else (gy,), strict=True)
            roots = [(p, g) for p, g in pairs if g is not None and isinstance(p, Tensor) and p.requires_grad]
            found = iter(gradients_at(roots, [a for a in leaves if isinstance(a, Tensor)], order))
            return tuple([next(found) if isinstance(a, Tensor) else None for a in leaves])

        return vjp

    def jvp(self, call: Call) -> Sequence[Any]:
        """See `ForwardRule`."""
        with traced_at(call.run.order), captured_by(call.run):
            made = self.function(*call.given, **call.options)
        return [call.run.tangent(part) for part in several(made)]


def linear(*each_op: Op, terms: Sequence[Term] = ((0,),), affine: bool = False, each: bool = False) -> None:
    """Say that the result of each of some ops is a sum of terms, each of which is linear in each of its arguments.

    Its gradients then are of that kind too, to every order: that of one argument is linear in what arrives and in the
    other arguments of its term.

    Args:
        each_op: the ops.
        terms: places of arguments; an argument is in one term at most. None at all: all arguments are in one term.
        affine: whether there is a constant as well, such as the border of a padding.
        each: each argument is a term of its own, however many there are.
    """
    for op in each_op:
        set_rule(op, Linear(op, terms, affine, each))


def pointwise(*each_op: Op, dual: DualRule | None = None) -> None:
    """Say that some ops work element by element: their slopes, which their vjp has, are those forward too.

    Args:
        each_op: the ops.
        dual: what makes value and tangent in one pass, where it can.
    """
    mapped_by(*each_op)(elementwise)
    for op in each_op:
        set_forward(op, _Pointwise(), dual)


class _Pointwise:
    by_vjp = True  # its tangents are found by the way back

    def dual(self, function: Op, inputs: list[Any], tangents: list[Any], options: dict[str, Any]) -> Any:
        """See `duals.DualRule`."""
        y, vjp = function(*inputs, **options)
        moved = _by_slopes(y, vjp, tangents)
        return None if moved is None else (y, [shaped(moved[0], y)])

    def jvp(self, call: Call) -> Sequence[Any] | None:
        """See `ForwardRule`."""
        return _by_slopes(call.y, call.vjp, call.tangents)


def _by_slopes(y: Any, vjp: Op, tangents: Sequence[Any]) -> list[Any] | None:
    """Return the tangent of the only result; None where there are others, or a vjp sums what was broadcast."""
    if isinstance(y, tuple):
        return None
    parts = []
    for k, t in enumerate(tangents):
        if t is not None:
            entry = vjp(shaped(t, y))[k]
            entry = entry() if callable(entry) and not isinstance(entry, Tensor) else entry
            if entry is not None and entry.shape != y.shape:
                return None
            parts += [] if entry is None else [entry]
    return [functools.reduce(_sum, parts) if parts else None]


def _sum(a: Any, b: Any) -> Any:
    return a + b


def tangent_of(op: Op, dual: DualRule | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say what an op does to tangents: ``rule(y, args, tangents, options)`` returns that of its only result.

    Args:
        op: the op.
        dual: see `pointwise`.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        set_forward(op, _Told(function), dual)
        return function

    return decorate


class _Told:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def dual(self, function: Op, inputs: list[Any], tangents: list[Any], options: dict[str, Any]) -> Any:
        """See `duals.DualRule`."""
        y, _ = function(*inputs, **options)
        return y, [shaped(self.function(y, inputs, tangents, **options), y)]

    def jvp(self, call: Call) -> Sequence[Any]:
        """See `ForwardRule`."""
        return [self.function(call.y, call.args, call.tangents, **call.options)]


def moves(*each_op: Op, terms: Sequence[Term] = ((0,),)) -> None:
    """Say of ops that are differentiated backward as they stand that tangents go through them, as in `linear`."""
    for op in each_op:
        set_forward(op, Linear(op, terms, False, False))


def set_forward(op: Op, rule: _Pointwise | _Told | Linear, dual: DualRule | None = None) -> None:
    """Say what an op does to tangents: by what makes them together with values where that can, else by a rule."""
    function = op.__wrapped__  # type: ignore[attr-defined]
    function.forward, function.duals = rule, (rule.dual,) if dual is None else (dual, rule.dual)
