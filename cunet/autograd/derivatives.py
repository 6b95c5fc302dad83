"""Matrices of derivatives, `jacobian` and `hessian`, and a function at a point, of which all derivatives are made.

Each returns arrays, and within a function that is being differentiated Tensors; see `transforms.value_and_grad`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..device import array_module
from .forward import Forward, cotangent_of
from .mapped import Mapped, Place
from .pulling import gradients_at
from .tape import grad_enabled, is_recording
from .tensor import Tensor, beside
from .tracing import nested, plain, variable, within
from .transforms import _map_arrays, one_of

Function = Callable[..., Any]


class _Recorded:
    """A function at a point, recorded so that it can be differentiated.

    Attributes:
        leaves: its arguments.
        outputs: its results, Tensors.
        order: how often what is returned can be differentiated from outside.
        place: which calls of `vmap` it is in; leaves and outputs have their axes in front.
    """

    def __init__(self, who: str, f: Function, primals: Sequence[Any], more: int) -> None:
        self._start(who, primals)
        with grad_enabled(), within(self.order + more):
            self._run(f)

    def _start(self, who: str, primals: Sequence[Any]) -> None:
        self.who, self.leaves, self.outputs, self.place = who, list[Tensor](), list[Tensor](), Place()
        self.order = nested.get() if is_recording() else 0
        self.arguments = [_map_arrays(self._lift, p) for p in primals]

    def _run(self, f: Function) -> None:
        self.result = f(*self.arguments)
        _map_arrays(self._take, self.result)

    def _lift(self, x: Any) -> Any:
        x = self.place.full(x)
        leaf = variable(x) if self.order and isinstance(x, Tensor) else Tensor(plain(x), requires_grad=True)
        self.leaves.append(leaf)
        return self.place.seen(leaf)

    def _take(self, y: Any) -> Any:
        if not isinstance(y, (Tensor, Mapped)):
            raise TypeError(f"{self.who}: the function must return Tensors, got {type(y).__name__}")
        self.outputs.append(self.place.full(y))
        return y

    def scalar(self) -> Tensor:
        """Return the only output, which has one element."""
        if len(self.outputs) != 1 or math.prod(self.place.shape(self.outputs[0])) != 1:
            got = ", ".join(str(self.place.shape(y)) for y in self.outputs)
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
        if shapes != (wanted := [self.place.shape(x) for x in like]):
            raise ValueError(f"{self.who}: {what} must have shapes {wanted}, got {shapes}")
        arrays = [self.place.full(beside(a, x.data)) for a, x in zip(flat, like, strict=True)]
        return [
            a if isinstance(a, Tensor) else a.astype(x.dtype, copy=False) for a, x in zip(arrays, like, strict=True)
        ]

    def put(self, tree: Any, values: Sequence[Any]) -> Any:
        """Return results in the place of the arrays of a tree: Tensors, or arrays to who asked from outside."""
        queue = iter(values)

        def next_value(_: Any) -> Any:
            value = next(queue)
            value = plain(value) if not self.order else value if isinstance(value, Tensor) else Tensor(value)
            return self.place.seen(value)

        return _map_arrays(next_value, tree)

    def value(self) -> Any:
        """Return what the function returned."""
        return self.put(self.result, self.outputs)


class _Pushed(_Recorded):
    """A function at a point, with the derivative of each of its results in a direction.

    Attributes:
        tangents: these derivatives.
    """

    def __init__(self, who: str, f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> None:
        self._start(who, primals)
        run = Forward(self.order + 1)
        pairs = zip(self.leaves, self.given(tangents, self.leaves, "tangents"), strict=True)
        moving = iter([self.place.seen(run.variable(x, t)) for x, t in pairs])
        self.arguments = [_map_arrays(lambda _: next(moving), a) for a in self.arguments]
        with run.running():
            self._run(f)
        found = [(y, run.tangent(y)) for y in self.outputs]
        self.tangents = [array_module(y.data).zeros_like(y.data) if t is None else t for y, t in found]


def jacobian(f: Function) -> Function:
    """Make of ``f(x) -> Tensor`` the function that returns its Jacobian, of shape ``(*f(x).shape, *x.shape)``.

    It is found row by row by gradients, or column by column if there are fewer columns.

    Args:
        f: a function of an array, and of others that are not differentiated.

    Raises:
        TypeError: `f` returned no Tensor.

    Example:
        >>> cunet.jacobian(lambda x: x[:1] * x)(np.array([1.0, 3.0]))
        array([[2., 0.],
               [3., 1.]])
    """

    @functools.wraps(f)
    def evaluate(x: Any, *args: Any, **kwargs: Any) -> Any:
        run = _Recorded("jacobian", lambda x: f(x, *args, **kwargs), [x], 2)
        (y,), (leaf,) = run.outputs, run.leaves
        if y.size <= leaf.size:
            return run.put(None, [_rows(run, y, leaf)])
        cotangent = cotangent_of(y.data)
        (g,) = run.pull([(y, cotangent)], [leaf], 1)
        columns, ndim = _rows(run, g if isinstance(g, Tensor) else Tensor(g), cotangent), len(run.place.shape(leaf))
        lead = columns.ndim - ndim - len(run.place.shape(y))
        return run.put(None, [np.moveaxis(columns, tuple(range(lead, lead + ndim)), tuple(range(-ndim, 0)))])

    return evaluate


def hessian(f: Function) -> Function:
    """Make of ``f(x) -> Tensor`` of one element the function that returns its Hessian, ``(*x.shape, *x.shape)``.

    Args:
        f: a function of an array, and of others that are not differentiated.

    Raises:
        ValueError: `f` returned more than one element.

    Example:
        >>> cunet.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
        array([[6., 2.],
               [2., 0.]])
    """

    @functools.wraps(f)
    def evaluate(x: Any, *args: Any, **kwargs: Any) -> Any:
        run = _Recorded("hessian", lambda x: f(x, *args, **kwargs), [x], 2)
        out, (leaf,) = run.scalar(), run.leaves
        (g,) = run.pull([(out, one_of(out))], [leaf], 1)
        return run.put(None, [_rows(run, g if isinstance(g, Tensor) else Tensor(g), leaf)])

    return evaluate


def _rows(run: _Recorded, y: Tensor, x: Tensor) -> Any:
    """Return the gradients of all elements of `y`, one after the other, in the shape of both together."""
    own, lead = run.place.shape(y), y.shape[: len(run.place.levels)]
    xp, rows, count = array_module(y.data), [], math.prod(own)
    for k in range(count):
        unit = xp.zeros(count, y.dtype)
        unit[k] = 1
        rows += run.pull([(y, xp.broadcast_to(unit.reshape(own), y.shape))], [x])
    shape = (*lead, *own, *run.place.shape(x))
    if not rows:
        return xp.zeros(shape, x.dtype)
    if any(isinstance(row, Tensor) for row in rows):
        tensors: Any = [row if isinstance(row, Tensor) else Tensor(row) for row in rows]
        return np.stack(tensors, axis=len(lead)).reshape(shape)
    return xp.stack(rows, axis=len(lead)).reshape(shape)
