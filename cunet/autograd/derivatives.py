"""Transforms on top of gradients: `vjp`, `jvp`, `hvp`.

Each returns arrays, and within a function that is being differentiated Tensors; see `transforms.value_and_grad`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..device import array_module
from .forward import Forward
from .mapped import Mapped
from .nesting import Nesting
from .pulling import gradients_at
from .tangents import cotangent_of
from .tape import grad_enabled, is_recording
from .tensor import Tensor, beside
from .tracing import nested, plain, variable, within
from .transforms import _map_arrays, one_of

Function = Callable[..., Any]


class Recorded:
    """A function at a point, recorded so that it can be differentiated.

    Attributes:
        leaves: its arguments.
        outputs: its results, Tensors.
        order: how often what is returned can be differentiated from outside.
        nesting: which calls of `vmap` it is in; leaves and outputs have their axes in front.
    """

    def __init__(self, who: str, f: Function, primals: Sequence[Any], more: int) -> None:
        self._start(who, primals)
        with grad_enabled(), within(self.order + more):
            self._run(f)

    def _start(self, who: str, primals: Sequence[Any]) -> None:
        self.who, self.leaves, self.outputs, self.nesting = who, list[Tensor](), list[Tensor](), Nesting()
        self.order = nested.get() if is_recording() else 0
        self.arguments = [_map_arrays(self._lift, p) for p in primals]

    def _run(self, f: Function) -> None:
        self.result = f(*self.arguments)
        _map_arrays(self._take, self.result)

    def _lift(self, x: Any) -> Any:
        x = self.nesting.full(x)
        leaf = variable(x) if self.order and isinstance(x, Tensor) else Tensor(plain(x), requires_grad=True)
        self.leaves.append(leaf)
        return self.nesting.seen(leaf)

    def _take(self, y: Any) -> Any:
        if not isinstance(y, (Tensor, Mapped)):
            raise TypeError(f"{self.who}: the function must return Tensors, got {type(y).__name__}")
        self.outputs.append(self.nesting.full(y))
        return y

    def scalar(self) -> Tensor:
        """Return the only output, which has one element."""
        if len(self.outputs) != 1 or math.prod(self.nesting.shape(self.outputs[0])) != 1:
            got = ", ".join(str(self.nesting.shape(y)) for y in self.outputs)
            raise ValueError(f"{self.who}: the function must return one element, got shape {got}")
        return self.outputs[0]

    def pull(self, roots: Sequence[tuple[Tensor, Any]], targets: Sequence[Tensor], more: int = 0) -> list[Any]:
        """Return gradients of targets, 0 where there are none, that can be differentiated `more` times than results."""
        gradients = gradients_at([(y, g) for y, g in roots if y.requires_grad], targets, self.order + more)
        return [
            array_module(x.data).zeros_like(x.data) if g is None else g for x, g in zip(targets, gradients, strict=True)
        ]

    def given(self, trees: Sequence[Any], like: Sequence[Tensor], what: str) -> list[Any]:
        """Return the arrays of nested directions or cotangents, which have the shapes of Tensors."""
        flat: list[Any] = []
        for tree in trees:
            _map_arrays(flat.append, tree)
        shapes = [a.shape if isinstance(a, Mapped) else np.shape(plain(a)) for a in flat]
        if shapes != (wanted := [self.nesting.shape(x) for x in like]):
            raise ValueError(f"{self.who}: {what} must have shapes {wanted}, got {shapes}")
        arrays = [self.nesting.full(beside(a, x.data)) for a, x in zip(flat, like, strict=True)]
        return [
            a if isinstance(a, Tensor) else a.astype(x.dtype, copy=False) for a, x in zip(arrays, like, strict=True)
        ]

    def put(self, tree: Any, values: Sequence[Any]) -> Any:
        """Return results in the place of the arrays of a tree: Tensors, or arrays to who asked from outside."""
        queue = iter(values)

        def next_value(_: Any) -> Any:
            value = next(queue)
            value = plain(value) if not self.order else value if isinstance(value, Tensor) else Tensor(value)
            return self.nesting.seen(value)

        return _map_arrays(next_value, tree)

    def value(self) -> Any:
        """Return what the function returned."""
        return self.put(self.result, self.outputs)


class _Pushed(Recorded):
    """A function at a point, with the derivative of each of its results in a direction.

    Attributes:
        tangents: these derivatives.
    """

    def __init__(self, who: str, f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> None:
        self._start(who, primals)
        run = Forward(self.order + 1)
        pairs = zip(self.leaves, self.given(tangents, self.leaves, "tangents"), strict=True)
        moving = iter([self.nesting.seen(run.variable(x, t)) for x, t in pairs])
        self.arguments = [_map_arrays(lambda _: next(moving), a) for a in self.arguments]
        with run.running():
            self._run(f)
        found = [(y, run.tangent(y)) for y in self.outputs]
        self.tangents = [array_module(y.data).zeros_like(y.data) if t is None else t for y, t in found]


def vjp(f: Function, *primals: Any) -> tuple[Any, Function]:
    """Return ``f(*primals)``, and the function from a cotangent of it to the gradients of `primals`.

    Args:
        f: takes arrays, or nested tuples, lists and dicts of arrays; returns a Tensor, or such of Tensors.
        primals: its arguments.

    Returns:
        The value, and ``pull(cotangent)``: for one primal its gradient, else a tuple of gradients. It may be called
        often.

    Raises:
        TypeError: `f` returned no Tensors.
        ValueError: (of pull) the cotangent has other shapes.

    Example:
        >>> y, pull = cunet.vjp(lambda x: x**2, np.array([1.0, 3.0]))
        >>> y, pull(np.array([1.0, 10.0]))
        (array([1., 9.]), array([ 2., 60.]))
    """
    run = Recorded("vjp", f, primals, 1)

    def pull(cotangent: Any) -> Any:
        found = run.pull(
            list(zip(run.outputs, run.given([cotangent], run.outputs, "the cotangent"), strict=True)), run.leaves
        )
        gradients = run.put(tuple(primals), found)
        return gradients[0] if len(primals) == 1 else gradients

    return run.value(), pull


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Return ``f(*primals)`` and its derivative in the direction `tangents`, by forward mode.

    Each op's derivative is found together with its result, and nothing is kept on the way.

    Args:
        f: see `vjp`.
        primals: a tuple of arguments.
        tangents: the direction, of the same structure and shapes.

    Raises:
        TypeError: `f` returned no Tensors.
        ValueError: `tangents` have other shapes.

    Source: Wengert 1964, "A simple automatic derivative evaluation program", CACM 7(8).

    Example:
        >>> cunet.jvp(lambda x: x**2, (np.array([1.0, 3.0]),), (np.array([1.0, 10.0]),))
        (array([1., 9.]), array([ 2., 60.]))
    """
    run = _Pushed("jvp", f, primals, tangents)
    return run.value(), run.put(run.result, run.tangents)


def linearize(f: Function, *primals: Any) -> tuple[Any, Function]:
    """Return ``f(*primals)``, and the function from directions to derivatives of `f` there.

    `f` runs once, and each direction then costs about as much as a gradient: for many directions at one point. It is
    found by two ways back: the gradient of `f` is linear in the cotangent, and this is the gradient of that.

    Args:
        f: see `vjp`.
        primals: its arguments.

    Returns:
        The value, and ``push(*tangents)``, of the structures and shapes of `primals`. It may be called often.

    Raises:
        TypeError: `f` returned no Tensors.
        ValueError: (of push) tangents have other shapes.

    Example:
        >>> y, push = cunet.linearize(lambda x: x**2, np.array([1.0, 3.0]))
        >>> [push(direction) for direction in np.eye(2)]
        [array([2., 0.]), array([0., 6.])]
    """
    run = Recorded("linearize", f, primals, 2)
    cotangents = [cotangent_of(y.data) for y in run.outputs]
    gradients = run.pull(list(zip(run.outputs, cotangents, strict=True)), run.leaves, 1)

    def push(*tangents: Any) -> Any:
        directions = run.given(tangents, run.leaves, "tangents")
        moved = [(g, d) for g, d in zip(gradients, directions, strict=True) if isinstance(g, Tensor)]
        return run.put(run.result, run.pull(moved, cotangents))

    return run.value(), push


def hvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Return the Hessian of a scalar function times a direction, for the price of 2.3 gradients of a net.

    It is the gradient of the derivative in that direction: of all that forward mode computed.

    Args:
        f: takes arrays, or nested structures of them; returns a Tensor of one element.
        primals: a tuple of arguments.
        tangents: the direction, of the same structure and shapes.

    Returns:
        Of each primal, in a tuple if there are several.

    Raises:
        ValueError: `f` returned more than one element; `tangents` have other shapes.

    Source: Pearlmutter 1994, "Fast exact multiplication by the Hessian", Neural Computation 6(1).

    Example:
        >>> cunet.hvp(lambda x: (x**3).sum(), (np.array([1.0, 2.0]),), (np.array([1.0, 10.0]),))
        array([  6., 120.])
    """

    def slope(*xs: Any) -> Any:
        pushed = _Pushed("hvp", f, xs, tangents)
        pushed.scalar()
        return pushed.put(None, pushed.tangents)

    run = Recorded("hvp", slope, primals, 1)
    out = run.scalar()
    found = run.pull([(out, one_of(out))] if out.requires_grad else [], run.leaves)
    products = run.put(tuple(primals), found)
    return products[0] if len(primals) == 1 else products
