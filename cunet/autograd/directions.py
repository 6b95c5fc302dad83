"""Derivatives in directions, forwards and back, without a matrix of them: `vjp`, `jvp`, `linearize`, `hvp`.

Each returns arrays, and within a function that is being differentiated Tensors; see `transforms.value_and_grad`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .derivatives import _Pushed, _Recorded
from .forward import cotangent_of
from .tensor import Tensor
from .transforms import one_of

Function = Callable[..., Any]


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
    run = _Recorded("vjp", f, primals, 1)

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
    run = _Recorded("linearize", f, primals, 2)
    cotangents = [cotangent_of(y.data) for y in run.outputs]
    gradients = run.pull(list(zip(run.outputs, cotangents, strict=True)), run.leaves, 1)

    def push(*tangents: Any) -> Any:
        directions = run.given(tangents, run.leaves, "tangents")
        moved = [(g, d) for g, d in zip(gradients, directions, strict=True) if isinstance(g, Tensor)]
        return run.put(run.result, run.pull(moved, cotangents))

    return run.value(), push


def hvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Return the Hessian of a scalar function times a direction, for about the price of two gradients.

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

    run = _Recorded("hvp", slope, primals, 1)
    out = run.scalar()
    found = run.pull([(out, one_of(out))] if out.requires_grad else [], run.leaves)
    products = run.put(tuple(primals), found)
    return products[0] if len(primals) == 1 else products
