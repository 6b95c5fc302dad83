"""How an op is differentiated again that cannot run on Tensors: as other ops, or because it is linear."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..device import Array, array_module, is_array
from .forward import Call, ForwardRule, shaped
from .mapped import elementwise, mapped_by
from .op import op as lift
from .operators import ops
from .pulling import gradients_at
from .tape import _fit
from .tensor import Tensor
from .tracing import Rule, captured_by, order_here, plain, recorded_at, traced_at, variable

Op = Callable[..., Any]
#: Places of arguments in each of which a term of a result is linear.
Term = tuple[int, ...]


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
            with recorded_at(order + 1):
                leaves = [variable(a) if isinstance(a, Tensor) else a for a in args]
                made = self.function(*leaves, **options)
            pairs = zip(_several(made), gy if isinstance(made, tuple) else (gy,), strict=True)
            roots = [(p, g) for p, g in pairs if g is not None and isinstance(p, Tensor) and p.requires_grad]
            found = iter(gradients_at(roots, [a for a in leaves if isinstance(a, Tensor)], order))
            return tuple([next(found) if isinstance(a, Tensor) else None for a in leaves])

        return vjp

    def jvp(self, call: Call) -> Sequence[Any]:
        """See `ForwardRule`."""
        with traced_at(call.run.order), captured_by(call.run):
            made = self.function(*call.given, **call.options)
        return [call.run.tangent(part) for part in _several(made)]


def set_rule(op: Op, rule: Rule) -> None:
    """Say how an op is differentiated again."""
    op.__wrapped__.rule = rule  # type: ignore[attr-defined]


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


def pointwise(*each_op: Op) -> None:
    """Say that some ops work element by element: their slopes, which their vjp has, are those forward too."""
    mapped_by(*each_op)(elementwise)
    for op in each_op:
        set_forward(op, _Pointwise())


class _Pointwise:
    def jvp(self, call: Call) -> Sequence[Any] | None:
        """See `ForwardRule`."""
        if isinstance(call.y, tuple):
            return None
        parts = []
        for k, t in enumerate(call.tangents):
            if t is not None:
                entry = call.vjp(shaped(t, call.y))[k]
                entry = entry() if callable(entry) and not isinstance(entry, Tensor) else entry
                if entry is not None and entry.shape != call.y.shape:
                    return None  # its vjp sums what was broadcast
                parts += [] if entry is None else [entry]
        return [functools.reduce(ops.add, parts) if parts else None]


def tangent_of(op: Op) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say what an op does to tangents: ``rule(y, args, tangents, options)`` returns that of its only result."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        set_forward(op, _Told(function))
        return function

    return decorate


class _Told:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def jvp(self, call: Call) -> Sequence[Any]:
        """See `ForwardRule`."""
        return [self.function(call.y, call.args, call.tangents, **call.options)]


def moves(*each_op: Op, terms: Sequence[Term] = ((0,),)) -> None:
    """Say of ops that are differentiated backward as they stand that tangents go through them, as in `linear`."""
    for op in each_op:
        set_forward(op, Linear(op, terms, False, False))


def set_forward(op: Op, rule: ForwardRule) -> None:
    """Say what an op does to tangents."""
    op.__wrapped__.forward = rule  # type: ignore[attr-defined]


class Linear:
    """The rule of an op that is linear in its arguments."""

    def __init__(self, op: Op, terms: Sequence[Term], affine: bool, each: bool) -> None:
        self.op, self.terms, self.affine, self.each = op, terms, affine, each

    def vjp(self, y: Any, args: Sequence[Any], options: dict[str, Any]) -> Op:
        """See `Rule`."""
        call = _Call(self, args, options)
        parts = [_nothing_like(part) for part in _several(y)]

        def vjp(gy: Any) -> tuple[Any, ...]:
            gys = gy if isinstance(y, tuple) else (gy,)
            full = [nothing if g is None else g for g, nothing in zip(gys, parts, strict=True)]
            return tuple(
                functools.partial(call.gradient, k, full, args) if call.term(k) else None for k in range(len(args))
            )

        return vjp

    def jvp(self, call: Call) -> Sequence[Any]:
        """See `ForwardRule`."""
        one = _Call(self, call.args, call.options)
        alone = list(one.still)
        for k, t in enumerate(call.tangents):
            if t is not None and one.term(k) == [k]:
                alone[k] = t
        ways = [(k, [call.args[j] for j in one.others(k)]) for k, t in enumerate(call.tangents) if t is not None]
        parts = [one.linear_part(k, call.tangents[k], others, self.op) for k, others in ways if len(one.term(k)) > 1]
        if any(a is not b for a, b in zip(alone, one.still, strict=True)):
            parts.append(one.difference(alone, one.still, self.op))
        return [functools.reduce(ops.add, each) for each in zip(*parts, strict=True)]


class _Call:
    """One call of a linear op: its options, and what its arguments look like."""

    def __init__(self, rule: Linear, args: Sequence[Any], options: dict[str, Any]) -> None:
        self.rule, self.options = rule, options
        every = range(len(args))
        terms = [(k,) for k in every] if rule.each else rule.terms or [tuple(every)]
        self.terms = [[k for k in t if k < len(args) and is_array(plain(args[k]))] for t in terms]
        held = {k for t in self.terms for k in t}
        self.still = [_nothing_like(plain(a)) if k in held else plain(a) for k, a in enumerate(args)]

    def term(self, k: int) -> list[int]:
        """Return the arguments of the term that an argument is in."""
        return next((t for t in self.terms if k in t), [])

    def others(self, k: int) -> list[int]:
        """Return the other arguments of that term."""
        return [j for j in self.term(k) if j != k]

    def filled(self, k: int, value: Any, others: Sequence[Any]) -> list[Any]:
        """Return arguments with these values in one term, and 0 in the other terms."""
        args = list(self.still)
        args[k] = value
        for j, other in zip(self.others(k), others, strict=True):
            args[j] = other
        return args

    def linear_part(self, k: int, value: Any, others: Sequence[Any], op: Op) -> list[Any]:
        """Return what the term of an argument makes of a value for it, for each result."""
        return self.difference(self.filled(k, value, others), self.filled(k, self.still[k], others), op)

    def difference(self, args: Sequence[Any], nothing: Sequence[Any], op: Op) -> list[Any]:
        """Return what an op makes of arguments, less what is there without them."""
        y = _several(op(*args, **self.options))
        if not self.rule.affine:
            return y
        rest = _several(op(*nothing, **self.options))
        return [ops.subtract(p, q) if isinstance(p, Tensor) else p - q for p, q in zip(y, rest, strict=True)]

    def gradient(self, k: int, gys: Sequence[Any], args: Sequence[Any]) -> Any:
        """Return the gradient of an argument: an op of what arrives and of the others in its term."""
        return self._transposed(k, len(gys))(*gys, *[args[j] for j in self.others(k)])

    def _transposed(self, k: int, count: int) -> Op:
        rest = self.others(k)

        def run(*arrays: Any) -> tuple[Array, Op]:
            gys, others = arrays[:count], arrays[count:]
            gx = self._plain(k, gys, self.still[k], others)

            def vjp(c: Array) -> tuple[Any, ...]:
                there = dict(zip([k, *rest], [c, *others], strict=True))
                forth = functools.cache(lambda: self.linear_part(k, c, others, self._values))
                return (
                    *[functools.partial(lambda i: forth()[i], i) for i in range(count)],
                    *[functools.partial(self._plain_at, j, gys, there) for j in rest],
                )

            return gx, vjp

        def again(tensors: Sequence[Any]) -> Op:
            gys, others = tensors[:count], tensors[count:]

            def vjp(c: Any) -> tuple[Any, ...]:
                there = dict(zip([k, *rest], [c, *others], strict=True))
                args = [there.get(i) for i in range(len(self.still))]
                forth = functools.cache(lambda: self.linear_part(k, c, others, self.rule.op))
                return (
                    *[functools.partial(lambda i: forth()[i], i) for i in range(count)],
                    *[functools.partial(self.gradient, j, gys, args) for j in rest],
                )

            return vjp

        run.__name__ = f"{self.rule.op.__name__}_transposed"
        made = lift(run)
        set_rule(made, _Again(again))
        return made

    def _values(self, *args: Any, **options: Any) -> Any:
        return self.rule.op.__wrapped__(*args, **options)[0]  # type: ignore[attr-defined]

    def _plain_at(self, j: int, gys: Sequence[Array], there: dict[int, Array]) -> Array:
        return self._plain(j, gys, self.still[j], [there[i] for i in self.others(j)])

    def _plain(self, k: int, gys: Sequence[Array], still: Array, others: Sequence[Array]) -> Array:
        """Return the gradient of an argument by the op's own vjp."""
        y, vjp = self.rule.op.__wrapped__(*self.filled(k, still, others), **self.options)  # type: ignore[attr-defined]
        g = vjp(tuple(gys) if type(y) is tuple else gys[0])[k]
        g = g() if callable(g) else g
        return _fit(g, still.shape, still.dtype, self.rule.op.__name__)


class _Again:
    """The rule of a gradient of a linear op."""

    def __init__(self, function: Callable[[Sequence[Any]], Op]) -> None:
        self.function = function

    def vjp(self, y: Any, args: Sequence[Any], options: dict[str, Any]) -> Op:
        """See `Rule`."""
        return self.function(args)


def _several(y: Any) -> list[Any]:
    return list(y) if isinstance(y, tuple) else [y]


def _nothing_like(a: Array) -> Array:
    """Return zeros of the shape and dtype of an array, of one element in memory."""
    xp = array_module(a)
    return xp.broadcast_to(xp.zeros((), a.dtype), a.shape)
