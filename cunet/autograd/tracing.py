"""Ops whose gradients are differentiated: an op then runs on Tensors in place of arrays, and its way back with it.

To be differentiated n times an op is recorded *at order n*. At order 1 that is what it always is: a function of arrays,
and its vjp. At order n its function is run on the Tensors themselves, at order n - 1, so that its vjp is a function
of Tensors too: what that computes is recorded in turn. Kernels that are given Tensors are replaced by ops, which have
gradients of their own (`lifted`); an op that cannot run on Tensors has a rule instead (`composite`, `linear`).

Nothing of this is seen at first order: a `Tracer` stands where a recorder of steps would.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from ..device import Array, standing_for_arrays
from ..kernels.capture import Capture, captured, capturing
from ..kernels.dispatch import heard_by
from ..kernels.spec import Definition
from ..system.context import bound
from .derived import lifted
from .mapped import Mapped
from .tape import Node, recording
from .tensor import Tensor, wrap

#: How often the results of what is recorded here and now will be differentiated by who asked for them.
nested: ContextVar[int] = ContextVar("cunet_nested", default=0)


class Traced:
    """A vjp that is a function of Tensors.

    Attributes:
        tensors: that function.
        order: how often what it stands for can be differentiated.
        arrays: the vjp of arrays, where there is one.
        below: the results as they were recorded at a lower order, or their vjp there, where their tangents are found.
    """

    below: Sequence[Any] | Traced | None = None

    def __init__(self, tensors: Callable[[Any], Any], order: float, arrays: Callable[[Any], Any] | None = None) -> None:
        self.tensors, self.order, self.arrays = tensors, order, arrays

    def seen_by(self, arrays: Callable[[Any], Any]) -> Traced:
        """Return the same with another vjp of arrays: one that looks at what this one returns."""
        seen = copy.copy(self)
        seen.arrays = arrays
        return seen

    def __call__(self, gy: Any) -> Any:
        """Return gradients as arrays."""
        if self.arrays is not None:
            return self.arrays(gy)
        with traced_at(0):
            found = self.tensors(gy)
        return tuple([_later(g) if callable(g) and not isinstance(g, Tensor) else plain(g) for g in found])


def _later(gradient: Callable[[], Any]) -> Callable[[], Any]:
    def compute() -> Any:
        with traced_at(0):
            return plain(gradient())

    return compute


def plain(g: Any) -> Any:
    """Return the array of a Tensor; anything else as it is."""
    return g.data if isinstance(g, Tensor) else g


def not_on_tensors(name: str, error: Exception) -> Exception | None:
    """Return what says of which op something is written for arrays alone; None where `error` is of another kind."""
    if not isinstance(error, (AttributeError, TypeError)) or _NOT in str(error):
        return None
    return TypeError(f"{name.lstrip('_')}: {_NOT}, as it does not run on Tensors ({type(error).__name__}: {error})")


_NOT = "its gradient cannot be differentiated"


class Rule(Protocol):
    """How an op is differentiated again that does not run on Tensors; an attribute `rule` of its function."""

    def vjp(self, y: Any, args: Sequence[Any], options: dict[str, Any]) -> Callable[[Any], Any]:
        """Return the vjp of Tensors of a call.

        Args:
            y: its result, arrays.
            args: its arguments; those that have gradients are Tensors.
            options: its static arguments.
        """


class Level:
    """Who runs the ops that are recorded at an order: a `Tracer`, or a `forward.Forward`.

    Attributes:
        order: the order.
        outer: who runs them at the orders below, or records the step.
    """

    def __init__(self, order: int, outer: Capture | None) -> None:
        self.order, self.outer = order, outer

    def op(
        self, function: Callable[..., Any], inputs: list[Any], options: dict[str, Any], given: Sequence[Any]
    ) -> tuple[Any, Any]:
        """Return the result of an op, and its way back."""
        raise NotImplementedError

    def call(
        self, function: Callable[..., Any], inputs: list[Any], options: dict[str, Any], given: Sequence[Any]
    ) -> Any:
        """Return the same to an op that is called by itself; or its result as a Tensor, already recorded."""
        return self.op(function, inputs, options, given)

    def counter(self, holder: Any) -> None:
        """Count up."""
        holder.data = holder.data + 1

    def host(self, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return what a function makes."""
        return function(*args, **options)

    def check(self, test: Callable[..., bool], array: Array, *rest: Any) -> bool:
        """Return what a test says."""
        return test(plain(array), *rest)


class Tracer(Level):
    """What runs ops at an order above 1."""

    def op(
        self, function: Callable[..., Any], inputs: list[Any], options: dict[str, Any], given: Sequence[Any]
    ) -> tuple[Any, Any]:
        """Return the result of an op, and a vjp of Tensors."""
        tensors = [a if isinstance(a, Tensor) and a.requires_grad else x for a, x in zip(given, inputs, strict=True)]
        if not recording.get() or not any(isinstance(a, Tensor) for a in tensors):
            with captured_by(self.outer):
                return captured(function, inputs, options, given)
        rule: Rule | None = vars(function).get("rule")
        if rule is not None:
            with captured_by(self.outer):
                y, vjp = captured(function, inputs, options, given)
            return y, self._traced(rule.vjp(y, tensors, options), vjp if isinstance(vjp, Traced) else None, vjp)
        try:
            with traced_at(self.order - 1):
                y, vjp = function(*tensors, **options)
        except Exception as error:
            with captured_by(self.outer):
                function(*inputs, **options)  # which says it, where something is wrong with the arguments
            raise not_on_tensors(function.__name__, error) or error from error
        several = type(y) is tuple
        return tuple(map(plain, y)) if several else plain(y), self._traced(vjp, y if several else (y,))

    def _traced(self, vjp: Callable[[Any], Any], below: Any, arrays: Callable[[Any], Any] | None = None) -> Traced:
        traced = Traced(vjp, self.order, arrays)
        if isinstance(self.outer, Level):  # whose tangents may be asked for
            traced.below = below
        return traced


def captured_by(capture: Capture | None) -> bound:
    """Let ops be run by someone."""
    return bound((capturing, capture))


def _who(order: int) -> Capture | None:
    """Return who runs ops at an order here: forward modes stay at theirs, and there are tracers above and between."""
    capture = capturing.get()
    while isinstance(capture, Level) and (capture.order > order or isinstance(capture, Tracer)):
        capture = capture.outer
    if order < 2 or (isinstance(capture, Level) and capture.order == order):
        return capture
    return Tracer(order, capture)


def below_all(capture: Capture | None) -> Capture | None:
    """Return who runs ops below a tracer."""
    return capture.outer if isinstance(capture, Tracer) else capture


def is_forward() -> bool:
    """Tell whether tangents may be asked for of what is computed here."""
    return isinstance(below_all(capturing.get()), Level)


def order_here() -> int:
    """Return the order at which ops are recorded here and now."""
    capture = capturing.get()
    return 0 if not recording.get() else capture.order if isinstance(capture, Level) else 1


def recorded_at(order: int) -> bound:
    """Record ops so that they can be differentiated `order` times; 0: not at all."""
    return bound((recording, (recording.get() or True) if order else False), (capturing, _who(order)))


def traced_at(order: int) -> bound:
    """Run functions of arrays on Tensors, of which what they compute is recorded at an order."""
    standing = standing_for_arrays(Tensor, Mapped)
    return bound(standing, *recorded_at(order).bindings, heard_by(_on_tensors))


def _on_tensors(kernel: Definition, args: tuple[Any, ...], options: dict[str, Any], proceed: Callable[[], Any]) -> Any:
    """Run an op in place of a kernel that is given Tensors."""
    return lifted(kernel, args, options) if any(isinstance(a, (Tensor, Mapped)) for a in args) else proceed()


def variable(x: Tensor) -> Tensor:
    """Return a Tensor of the same value that gradients can be asked for, though it is computed itself."""
    if not x.requires_grad:
        return Tensor(x.data, requires_grad=True)
    same = Traced(lambda gy: (gy,), float("inf"))
    same.below = (x,)
    return wrap(x.data, Node("variable", (x._node or x,), same, x.data))


@contextmanager
def within(order: int) -> Iterator[None]:
    """Record what a function computes that will be differentiated `order` times from outside."""
    token = nested.set(order)
    try:
        if order > 1:
            with recorded_at(order):
                yield
        else:
            yield
    finally:
        nested.reset(token)


@contextmanager
def create_graph(order: int = 1) -> Iterator[None]:
    """Record what is computed within so that its gradients can be differentiated.

    Where a loss is a function of arrays, ``grad(f, create_graph=True)`` says the same without this.

    Args:
        order: how often the gradients can be differentiated.

    Raises:
        ValueError: `order` is below 1.

    Example:
        >>> x = cunet.tensor([1.0, 2.0], requires_grad=True)
        >>> with cunet.create_graph():
        ...     loss = (x**3).sum()
        >>> loss.backward(create_graph=True)
        >>> g, x.grad = x.grad, None
        >>> (g**2).sum().backward()  # of 9 x**4
        >>> x.grad
        array([ 36., 288.], dtype=float32)
    """
    if order < 1:
        raise ValueError(f"create_graph: order must be at least 1, got {order!r}")
    with within(order + 1):
        yield
