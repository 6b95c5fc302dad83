"""Derivatives that are given, `custom_vjp` and `custom_jvp`; values that are computed again, not kept: `checkpoint`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..device import array_module, is_array, is_floating, standing_for_arrays
from ..random import streams
from ..system.context import bound
from .forward import Call
from .linear import Linear, set_rule
from .op import op
from .pulling import Place, gradients_at
from .tangents import cotangent_of
from .tape import Node, clock, is_recording
from .tensor import Tensor, wrap
from .tracing import Traced, is_forward, order_here, plain, recorded_at

Function = Callable[..., Any]
#: Whether what runs is computed again, and leaves no trace such as a running mean.
recomputing: ContextVar[bool] = ContextVar("cunet_recomputing", default=False)


def custom_vjp(forward: Function, backward: Function, *, linear: bool = False) -> Function:
    """Return a function of Tensors with a gradient that is given: a projector and its adjoint, a solver, an FFT.

    Args:
        forward: ``forward(*arrays, **options) -> array``, any function of NumPy's or CuPy's arrays.
        backward: ``backward(gy, *arrays, **options)``, the gradient of the only array, or a tuple of one for each
            (None: it has none).
        linear: whether `forward` is linear in its only array. Then the derivative of `backward` is `forward`, to every
            order. Without it higher derivatives are those of `backward`, which is then given Tensors: it must be
            written with what runs on these.

    Raises:
        TypeError: (when it is called) a function returned something else.

    Example:
        >>> shifted = cunet.custom_vjp(lambda x: np.roll(x, 1), lambda g, x: np.roll(g, -1), linear=True)
        >>> cunet.grad(lambda x: (shifted(x) * np.arange(3.0)).sum())(np.zeros(3))
        array([1., 2., 0.])
    """

    @functools.wraps(forward)
    def run(*arrays: Any, **options: Any) -> tuple[Any, Function]:
        return plain(forward(*arrays, **options)), lambda gy: _given(backward(gy, *arrays, **options))

    lifted = op(run)
    set_rule(lifted, Linear(lifted, ((0,),), False, False) if linear else _Given(backward))
    return lifted


def _given(gradients: Any) -> tuple[Any, ...]:
    """Return gradients as arrays, one for each argument."""
    return tuple(map(plain, gradients)) if isinstance(gradients, tuple) else (plain(gradients),)


class _Given:
    """The rule of a function whose gradient was given: that runs on Tensors."""

    def __init__(self, backward: Function) -> None:
        self.backward = backward

    def vjp(self, y: Any, args: Sequence[Any], options: dict[str, Any]) -> Function:
        """See `tracing.Rule`."""

        def vjp(gy: Any) -> tuple[Any, ...]:
            found = self.backward(gy, *args, **options)
            return found if isinstance(found, tuple) else (found,)

        return vjp


def custom_jvp(forward: Function, tangent: Function) -> Function:
    """Return a function of Tensors whose derivative in a direction is given; gradients are found from that.

    Args:
        forward: ``forward(*arrays, **options) -> array``, any function of NumPy's or CuPy's arrays.
        tangent: ``tangent(*tangents, *arrays, **options)``, the derivative of the result: linear in the tangents, of
            which there is one for each array, and written with what runs on Tensors. Higher derivatives are its own.

    Raises:
        TypeError: (when it is differentiated) `tangent` returned no Tensor.
        ValueError: that has not the shape of the result.

    Example:
        >>> log_sum = cunet.custom_jvp(lambda x: np.log(np.exp(x).sum()),
        ...                            lambda tx, x: (tx * cunet.exp(x)).sum() / cunet.exp(x).sum())
        >>> cunet.grad(log_sum)(np.zeros(4))
        array([0.25, 0.25, 0.25, 0.25])
    """
    rule = _Moved(forward.__name__, tangent)

    @functools.wraps(forward)
    def run(*arrays: Any, **options: Any) -> tuple[Any, Function]:
        y = plain(forward(*arrays, **options))
        return y, lambda gy: tuple(map(plain, rule.gradients(y, gy, arrays, options, 0)))

    lifted = op(run)
    set_rule(lifted, rule)
    return lifted


class _Moved:
    """The rule of a function whose tangent was given: a gradient is the gradient of that, by the tangents."""

    def __init__(self, name: str, tangent: Function) -> None:
        self.name, self.tangent = name, tangent

    def jvp(self, call: Call) -> Sequence[Any]:
        """See `ForwardRule`."""
        pairs = [(t, a) for t, a in zip(call.tangents, call.args, strict=True) if is_array(plain(a))]
        tangents = [array_module(plain(a)).zeros_like(plain(a)) if t is None else t for t, a in pairs]
        with bound(standing_for_arrays()):
            return [
                self.tangent(*[t if isinstance(t, Tensor) else Tensor(t) for t in tangents], *call.args, **call.options)
            ]

    def vjp(self, y: Any, args: Sequence[Any], options: dict[str, Any]) -> Function:
        """See `tracing.Rule`."""
        return lambda gy: tuple(self.gradients(y, gy, args, options, order_here()))

    def gradients(self, y: Any, gy: Any, args: Sequence[Any], options: dict[str, Any], order: int) -> Iterator[Any]:
        """Return the gradient of each argument, None for what is no array."""
        start = next(clock)
        tangents = [cotangent_of(plain(a)) for a in args if is_array(plain(a))]
        with bound(standing_for_arrays(), *recorded_at(order + 1).bindings):
            moved = self.tangent(*tangents, *args, **options)
        if not isinstance(moved, Tensor):
            raise TypeError(f"custom_jvp: the tangent of {self.name} must be a Tensor, got {type(moved).__name__}")
        if moved.shape != y.shape:
            raise ValueError(f"custom_jvp: the tangent of {self.name} must have shape {y.shape}, got {moved.shape}")
        wanted = [t for t in tangents if t.requires_grad]
        found = iter(gradients_at([(moved, gy)], wanted, order, start) if moved.requires_grad else [None] * len(wanted))
        return (next(found) if is_array(plain(a)) and is_floating(plain(a).dtype) else None for a in args)


def checkpoint(f: Function, *args: Any, **kwargs: Any) -> Any:
    """Return ``f(*args, **kwargs)``, of which only the result is kept: backward computes the rest again.

    Memory for time, as in long chains of layers. Masks of dropout are the same again where they come from the streams
    of `cunet.manual_seed`, and running statistics of batch norms move once. Derivatives of every order.

    Args:
        f: a module or function, which returns a Tensor or a tuple of Tensors; it does the same at each call.
        args, kwargs: its arguments. Gradients reach these, and all parameters that `f` uses.

    Raises:
        TypeError: `f` returned something else.

    Source: Chen et al. 2016, "Training deep nets with sublinear memory cost", arXiv:1604.06174.

    Example:
        >>> def block(x):
        ...     print("computing")
        ...     return cunet.exp(cunet.sin(x))
        >>> x = cunet.tensor([0.0], requires_grad=True)
        >>> y = cunet.checkpoint(block, x)
        computing
        >>> y.backward()  # what was not kept is computed again
        computing
        >>> x.grad
        array([1.], dtype=float32)
    """
    if not is_recording() or is_forward():  # which keeps nothing
        return f(*args, **kwargs)
    order, states = order_here(), {name: g.state_dict() for name, g in streams().items()}
    before = next(clock)
    with recorded_at(1):
        y = f(*args, **kwargs)
    results = y if isinstance(y, tuple) else (y,)
    if not all(isinstance(part, Tensor) for part in results):
        raise TypeError(f"checkpoint: the function must return a Tensor or a tuple of them, got {type(y).__name__}")
    places = boundary(results, before)

    def back(gy: Any) -> tuple[Any, ...]:
        order = order_here()
        with _again(states, order + 1 if order else 1):
            made = f(*args, **kwargs)
        parts = made if isinstance(made, tuple) else (made,)
        pairs = zip(parts, gy if isinstance(made, tuple) else (gy,), strict=True)
        return tuple(gradients_at([(p, g) for p, g in pairs if g is not None and p.requires_grad], places, order))

    def arrays(gy: Any) -> tuple[Any, ...]:
        with recorded_at(0):
            return back(gy)

    data = tuple(part.data for part in results)
    if not places:
        return y
    node = Node("checkpoint", places, Traced(back, order, arrays), data if isinstance(y, tuple) else data[0])
    return _wrapped(node, data) if isinstance(y, tuple) else wrap(data[0], node)


def _wrapped(node: Node, data: tuple[Any, ...]) -> tuple[Tensor, ...]:
    found = []
    for k, part in enumerate(data):
        leaf = Node(node.name, (node,), len(data), part)
        leaf.index = k
        found.append(wrap(part, leaf) if part.dtype.kind == "f" else wrap(part))
    return tuple(found)


def boundary(results: Sequence[Tensor], before: int) -> list[Place]:
    """Return what results were computed from: leaves, and nodes that were there before."""
    places: dict[int, Place] = {}
    seen: set[int] = set()
    waiting: list[Any] = [y._node or y for y in results if y.requires_grad]
    while waiting:
        place = waiting.pop()
        if isinstance(place, Node) and place.order > before:
            if id(place) not in seen:
                seen.add(id(place))
                waiting += [parent for parent in place.parents if parent is not None]
        else:
            places[id(place)] = place
    return list(places.values())


@contextmanager
def _again(states: dict[str, Any], order: int) -> Iterator[None]:
    """Compute something again: with the random numbers of the first time, and no trace."""
    now = {name: g.state_dict() for name, g in streams().items()}
    token = recomputing.set(True)
    try:
        for name, generator in streams().items():
            generator.load_state_dict(states.get(name, now[name]))
        # Code of users: Tensors are Tensors there.
        with bound(standing_for_arrays(), *recorded_at(order).bindings):
            yield
    finally:
        recomputing.reset(token)
        for name, generator in streams().items():
            if name in now:
                generator.load_state_dict(now[name])
