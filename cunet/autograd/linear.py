"""The rule of ops that are linear: their gradients are of that kind too, to every order."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..device import Array, array_module, is_array
from .forward import Call
from .mapped import Call as Samples
from .mapped import Mapped, mapped_by
from .op import op as lift
from .operators import ops
from .pulling import gradients_at
from .tangents import several, shaped
from .tape import _fit
from .tensor import Tensor
from .tracing import Rule, order_here, plain, recorded_at

Op = Callable[..., Any]
#: Places of arguments in each of which a term of a result is linear.
Term = tuple[int, ...]


def set_rule(op: Op, rule: Rule) -> None:
    """Say how an op is differentiated again."""
    function = op.__wrapped__  # type: ignore[attr-defined]
    function.rule = rule
    if isinstance(rule, Linear):
        function.duals = (rule.dual,)


class Linear:
    """The rule of an op that is linear in its arguments."""

    def __init__(self, op: Op, terms: Sequence[Term], affine: bool, each: bool) -> None:
        self.op, self.terms, self.affine, self.each = op, terms, affine, each

    def vjp(self, y: Any, args: Sequence[Any], options: dict[str, Any]) -> Op:
        """See `Rule`."""
        call = _Call(self, args, options)
        parts = [_nothing_like(part) for part in several(y)]

        def vjp(gy: Any) -> tuple[Any, ...]:
            gys = gy if isinstance(y, tuple) else (gy,)
            full = [nothing if g is None else g for g, nothing in zip(gys, parts, strict=True)]
            return tuple(
                functools.partial(call.gradient, k, full, args) if call.term(k) else None for k in range(len(args))
            )

        return vjp

    def dual(
        self, function: Op, inputs: list[Any], tangents: list[Any], options: dict[str, Any]
    ) -> tuple[Any, Sequence[Any]] | None:
        """See `duals.DualRule`: a tangent goes where its argument goes, if all moves through one place of one term."""
        moving = [k for k, t in enumerate(tangents) if t is not None]
        if self.affine or self.each or len(self.terms) != 1 or len(moving) != 1:
            return None
        y, _ = function(*inputs, **options)
        along = list(inputs)
        along[moving[0]] = tangents[moving[0]]
        moved = several(function(*along, **options)[0])
        return y, [shaped(t, part) for t, part in zip(moved, several(y), strict=True)]

    def jvp(self, call: Call) -> Sequence[Any]:
        """See `ForwardRule`."""
        one = _Call(self, call.args, call.options)
        moving = {k: t for k, t in enumerate(call.tangents) if t is not None and one.term(k)}
        alone = {k: t for k, t in moving.items() if one.term(k) == [k]}  # all of them in one call, of a product if any
        parts = []
        for k in [k for k in moving if k not in alone] or list(alone)[:1]:
            args = one.only(k)
            for j, t in {**alone, k: moving[k]}.items():
                args[j] = t
            parts.append(one.difference(args, functools.partial(one.without, k), self.op))
            alone = {}
        return [functools.reduce(ops.add, each) for each in zip(*parts, strict=True)]


class _Call:
    """One call of a linear op: its options, and what its arguments look like."""

    def __init__(self, rule: Linear, args: Sequence[Any], options: dict[str, Any]) -> None:
        self.rule, self.options, self.args = rule, options, args
        every = range(len(args))
        terms = [(k,) for k in every] if rule.each else rule.terms or [tuple(every)]
        self.terms = [[k for k in t if k < len(args) and is_array(plain(args[k]))] for t in terms]

    @functools.cached_property
    def still(self) -> list[Any]:
        """The arguments, with 0 in all terms."""
        held = {k for t in self.terms for k in t}
        return [_nothing_like(plain(a)) if k in held else plain(a) for k, a in enumerate(self.args)]

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

    def only(self, k: int) -> list[Any]:
        """Return the arguments, with 0 in all terms but that of one of them."""
        own = self.term(k)
        if len(own) == len([j for term in self.terms for j in term]):
            return list(self.args)
        return [self.args[j] if j in own else still for j, still in enumerate(self.still)]

    def without(self, k: int) -> list[Any]:
        """Return the arguments, with 0 in all other terms and for one argument."""
        return self.filled(k, self.still[k], [self.args[j] for j in self.others(k)])

    def linear_part(self, k: int, value: Any, others: Sequence[Any], op: Op) -> Sequence[Any]:
        """Return what the term of an argument makes of a value for it, for each result."""
        if "draw" in self.options and isinstance(value, Mapped):
            return [ops.multiply(value, self._drawn(k))]
        return self.difference(self.filled(k, value, others), lambda: self.filled(k, self.still[k], others), op)

    def _drawn(self, k: int) -> Array:
        """Return what was drawn, as a factor: on the way back it is the same for all samples."""
        still = self.still[k]
        return self._plain(k, [array_module(still).ones(still.shape, still.dtype)], still, [])

    def difference(self, args: Sequence[Any], nothing: Callable[[], Sequence[Any]], op: Op) -> Sequence[Any]:
        """Return what an op makes of arguments, less what is there without them."""
        y = several(op(*args, **self.options))
        if not self.rule.affine:
            return y
        rest = several(op(*nothing(), **self.options))
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
        mapped_by(made)(functools.partial(self._of_samples, k, count))
        return made

    def _of_samples(self, k: int, count: int, call: Samples) -> Any:
        """Return the gradient of an argument for each sample: that of the op on all of them."""
        order, size = order_here(), call.size
        if "draw" in self.options:
            return ops.multiply(call.args[0], self._drawn(k))
        zero = _nothing_like(call.xp.broadcast_to(self.still[k], (size, *self.still[k].shape)))
        with recorded_at(order + 1):
            leaf = Tensor(zero, requires_grad=True)
            y = self.rule.op(*self.filled(k, Mapped(call.level, leaf), call.given[count:]), **self.options)
        roots = [(part.value, call.full(j)) for j, part in enumerate(several(y))]
        return gradients_at(roots, [leaf], order)[0]

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


def _nothing_like(a: Array) -> Array:
    """Return zeros of the shape and dtype of an array, of one element in memory."""
    xp = array_module(a)
    return xp.broadcast_to(xp.zeros((), a.dtype), a.shape)
