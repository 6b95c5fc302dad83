"""Forward mode: each op's derivative in a direction, found together with its result.

While a `Forward` runs ops, a result that depends on the arguments has a *tangent* beside it, kept where its way back
would be. What an op does to tangents is said by its rule (`ForwardRule`): the same op again for one that is linear, its
own slope for one that works element by element, other ops for a composite. All others take two ways back: a vjp is
linear in its cotangent, and the gradient of that is the derivative forward.

A `Forward` has an order, as a `tracing.Tracer` does. What it computes at that order is recorded at the orders below, if
it will be differentiated from outside; gradients that are asked for within are differentiated at the orders above.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..device import is_floating, is_gpu_array
from ..kernels.capture import captured, capturing
from ..system.context import bound
from .duals import at_once, of_pair
from .pulling import _fitted, gradients_at, place_of
from .tangents import computed, cotangent_of, several, shaped
from .tape import Node, clock, grad_enabled, no_grad, recording
from .tensor import Tensor, wrap
from .tracing import (
    Level,
    Traced,
    Tracer,
    below_all,
    captured_by,
    nested,
    not_on_tensors,
    plain,
    recorded_at,
    traced_at,
)


class Call(NamedTuple):
    """One call of an op.

    Attributes:
        name: of the op.
        y: its result, arrays.
        given: its arguments, Tensors those that have tangents.
        args: the same, as Tensors where derivatives are recorded, else as arrays.
        tangents: of each argument, None where it has none.
        options: its static arguments.
        vjp: its way back, of Tensors where derivatives are recorded.
        arrays: its way back, of arrays.
        run: the forward mode.
    """

    name: str
    y: Any
    given: Sequence[Any]
    args: Sequence[Any]
    tangents: Sequence[Any]
    options: dict[str, Any]
    vjp: Callable[[Any], Sequence[Any]]
    arrays: Callable[[Any], Sequence[Any]]
    run: Forward


class ForwardRule(Protocol):
    """What an op does to tangents; the attribute `forward`, or `rule`, of its function."""

    def jvp(self, call: Call) -> Sequence[Any] | None:
        """Return the tangent of each result, None for one without; or None where the rule does not reach."""


class Dual(Traced):
    """The way back of a result, and its tangents.

    Attributes:
        run: the forward mode that found them.
        tangents: one for each result.
        rest: the way back alone.
    """

    def __init__(self, run: Forward, tangents: Sequence[Any], rest: Callable[[Any], Any]) -> None:
        self.arrays = rest
        self.tensors, self.order = (rest.tensors, rest.order) if isinstance(rest, Traced) else (rest, run.order - 1)
        self.run, self.rest = run, rest
        self.tangents = [np.asarray(t) if isinstance(t, np.generic) else t for t in tangents]  # of 0-d arrays


class Moved(Node):
    """A result at first order, where all that is kept of an op is the tangent.

    Attributes:
        run: the forward mode that found it.
        tangent: an array.
    """

    __slots__ = ("run", "tangent")

    def __init__(self, name: str, y: Any, run: Forward, tangent: Any) -> None:
        self.order, self.name, self.parents, self.vjp = next(clock), name, (), no_way_back
        self.index, self.keeps_grad, self.grad = None, False, None
        self.shape, self.dtype, self.run, self.tangent = y.shape, y.dtype, run, tangent


def no_way_back(gy: Any) -> Any:
    """Raise what says that there is none."""
    raise RuntimeError(
        "backward: what is computed within a function that is differentiated forward has no way back; "
        "use cunet.grad there"
    )


class Forward(Level):
    """What runs ops on values and tangents."""

    def __init__(self, order: int) -> None:
        super().__init__(order, below_all(capturing.get()))

    def running(self) -> bound:
        """Let ops be run here."""
        return bound((nested, self.order), (capturing, self), (recording, recording.get() or True))

    def variable(self, x: Tensor, tangent: Any) -> Tensor:
        """Return a Tensor of the same value that moves in a direction."""
        if self.order == 1:
            return wrap(x.data, Moved("variable", x.data, self, plain(tangent)))
        return self._moving("variable", x, tangent)

    def _moving(self, name: str, x: Tensor, tangent: Any) -> Tensor:
        rest = Traced(lambda gy: (gy,), float("inf"))
        rest.below = (x,)
        return wrap(x.data, Node(name, (place_of(x),), Dual(self, [tangent], rest), x.data))

    def tangent(self, x: Any) -> Any:
        """Return the tangent of a Tensor, None if it has none."""
        if not isinstance(x, Tensor) or x._node is None:
            return None
        node, k = x._node, x._node.index
        if type(node) is Moved:
            return node.tangent if node.run is self else None
        return self._found(node.vjp, 0) if k is None else self._found(node.parents[0].vjp, k)  # type: ignore[union-attr]

    def _found(self, vjp: Any, k: int) -> Any:
        while isinstance(vjp, Traced):
            if isinstance(vjp, Dual):
                if vjp.run is self:
                    return vjp.tangents[k]
                vjp = vjp.rest
            elif vjp.below is None or isinstance(vjp.below, Traced):
                vjp = vjp.below
            else:
                return self.tangent(vjp.below[k])
        return None

    def op(
        self, function: Callable[..., Any], inputs: list[Any], options: dict[str, Any], given: Sequence[Any]
    ) -> tuple[Any, Any]:
        """Return the result of an op, and its way back with the tangents."""
        if self.order > 1:
            return self._above(function, inputs, options, given)
        y, tangents = self._first(function, inputs, options, given)
        return y, no_way_back if tangents is None else Dual(self, tangents, no_way_back)

    def call(
        self, function: Callable[..., Any], inputs: list[Any], options: dict[str, Any], given: Sequence[Any]
    ) -> Any:
        """Return the same, or a Tensor that has its tangent already."""
        if self.order > 1:
            whole = self._as_one(function, options, given)
            return self._above(function, inputs, options, given) if whole is None else whole
        made, node = None, given[0]._node if len(given) == 1 and type(given[0]) is Tensor else None
        if type(node) is Moved and node.run is self and self.outer is None and recording.get():  # what is soonest done
            made = at_once(function, inputs, [node.tangent], options)
        y, tangents = self._first(function, inputs, options, given) if made is None else made
        if tangents is None:
            return y, no_way_back
        if (type(y) is np.ndarray or is_gpu_array(y)) and y.dtype.kind == "f":  # no scalar, which the op makes an array
            return wrap(y, Moved(function.__name__, y, self, tangents[0]))
        return y, Dual(self, tangents, no_way_back)

    def _first(
        self, function: Callable[..., Any], inputs: list[Any], options: dict[str, Any], given: Sequence[Any]
    ) -> tuple[Any, Sequence[Any] | None]:
        """Return the result of an op at first order, and the tangent of each part; None where nothing moves."""
        recorded, tangents, moves = recording.get(), [], False
        for a in given:
            t = self._read(a) if recorded and isinstance(a, Tensor) and a._node is not None else None
            tangents.append(t)
            moves = moves or t is not None
        if moves and self.outer is None:
            made = at_once(function, inputs, tangents, options)
            if made is not None:
                return made
        token = capturing.set(self.outer)  # once for value and tangent: a context each would cost as much as both
        try:
            y, vjp = captured(function, inputs, options, given)
            if not moves:
                return y, None
            with no_grad():
                call = Call(function.__name__.lstrip("_"), y, given, inputs, tangents, options, vjp, vjp, self)
                return y, self._moved(function, call, inputs)
        finally:
            capturing.reset(token)

    def _above(
        self, function: Callable[..., Any], inputs: list[Any], options: dict[str, Any], given: Sequence[Any]
    ) -> tuple[Any, Any]:
        """Return the result of an op at a higher order, and its way back with the tangents."""
        tangents = [self._read(a) for a in given] if recording.get() else []
        if all(t is None for t in tangents):
            return self._below(function, inputs, options, given)
        args = [a if isinstance(a, Tensor) else x for a, x in zip(given, inputs, strict=True)]
        if getattr(function.__dict__.get("forward"), "by_vjp", False):  # which serves the way back too
            y, vjp = self._traced(1, function, inputs, options, given)
            tensors = vjp.tensors
        else:
            y, vjp = self._below(function, inputs, options, given)
            tensors = lambda gy: self._traced(1, function, inputs, options, given)[1].tensors(gy)  # noqa: E731
        call = Call(function.__name__.lstrip("_"), y, given, args, tangents, options, tensors, vjp, self)
        with traced_at(self.order - 1):
            return y, Dual(self, self._moved(function, call, inputs), vjp)

    def _as_one(self, function: Callable[..., Any], options: dict[str, Any], given: Sequence[Any]) -> Tensor | None:
        """Return the result of an op whose value and tangent have one way back, for both; None where there is none."""
        pair = next(iter(function.__dict__.get("duals", ())), None)
        if not isinstance(pair, of_pair) or not recording.get():
            return None
        x, t = given[0], self._read(given[0])
        if t is None or t.shape != x.shape or t.dtype != x.dtype:
            return None
        with recorded_at(self.order - 1):
            made = pair.recorded(function, x, t, options)
        return None if made is None else self._moving(function.__name__.lstrip("_"), *made)

    def _moved(self, function: Any, call: Call, inputs: list[Any]) -> list[Any]:
        """Return the tangent of each result."""
        known = vars(function)
        jvp = getattr(known.get("forward") or known.get("rule"), "jvp", None)
        found = jvp(call) if jvp is not None else None
        if found is None:
            found = self._by_two_ways_back(call, function, inputs)
        return [shaped(t, part) for t, part in zip(found, several(call.y), strict=True)]

    def _read(self, x: Any) -> Any:
        """Return the tangent of an argument. Nobody goes back from what has it here: what was before may be freed."""
        node = x._node if isinstance(x, Tensor) else None
        if node is None:
            return None
        if type(node) is Moved:
            return node.tangent if node.run is self else None
        if self.order == 1:
            call: Any = node if node.index is None else node.parents[0]
            vjp = call.vjp
            if type(vjp) is Dual and vjp.run is self:
                call.parents = ()
                return vjp.tangents[node.index or 0]
        return self.tangent(x)

    def _below(self, function: Callable[..., Any], inputs: list[Any], options: dict[str, Any], given: Any) -> Any:
        if not recording.get():
            with captured_by(self.outer):
                return captured(function, inputs, options, given)
        with recorded_at(self.order - 1):
            return captured(function, inputs, options, given)

    def _traced(self, more: int, function: Any, inputs: list[Any], options: Any, given: Sequence[Any]) -> Any:
        """Return the result of an op, and its way back, whose vjp of Tensors can be differentiated `more` times than
        tangents.
        """  # noqa: D205
        with grad_enabled():
            return Tracer(self.order - 1 + more, self.outer).op(function, inputs, options, given)

    def _by_two_ways_back(self, call: Call, function: Callable[..., Any], inputs: list[Any]) -> list[Any]:
        start, moving = next(clock), [t is not None for t in call.tangents]
        leaves = [
            a if isinstance(a, Tensor) or not move else Tensor(a, requires_grad=True)
            for a, move in zip(call.args, moving, strict=True)
        ]
        y, traced = self._traced(2, function, inputs, call.options, leaves)
        floating = [k for k, part in enumerate(several(y)) if is_floating(part.dtype)]
        cotangents = [cotangent_of(part) for part in several(y)]
        with traced_at(self.order):
            try:
                entries = traced.tensors(tuple(cotangents) if isinstance(y, tuple) else cotangents[0])
                gradients = [computed(entries[k]) if move else None for k, move in enumerate(moving)]
            except Exception as error:
                raise not_on_tensors(call.name, error) or error from error
            roots = [
                (_fitted(g, place_of(leaves[k]), call.name), call.tangents[k])
                for k, g in enumerate(gradients)
                if isinstance(g, Tensor) and g.requires_grad
            ]
        found = gradients_at(roots, [cotangents[k] for k in floating], self.order - 1, start)
        tangents: list[Any] = [None] * len(cotangents)
        for k, g in zip(floating, found, strict=True):
            tangents[k] = g
        return tangents
