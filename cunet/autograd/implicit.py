"""Solutions of equations, whose derivatives do not ask how they were found: `custom_root` and `fixed_point`.

Where ``residual(x, p) = 0``, x moves with p so that it stays 0: ``J dx + dr = 0`` with the Jacobian J of the residual
by x, and dr what p alone does to it. That is a linear equation, whose solution is implicit too: there is every order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..device import Array, accumulator, array_module
from ..kernels.capture import capturing
from .custom import boundary
from .forward import Dual, Forward, no_way_back
from .pulling import gradients_at
from .tape import Node, clock, no_grad
from .tensor import Tensor, wrap
from .tracing import Traced, Tracer, is_forward, order_here, plain, recorded_at, variable

Function = Callable[..., Any]
Matvec = Callable[[Array], Array]
LinearSolve = Callable[[Matvec, Array], Array]


def custom_root(residual: Function, solve: Function, linear_solve: LinearSolve | None = None) -> Function:
    """Return a function that solves ``residual(x, *args) = 0`` for x, and has derivatives of every order.

    Args:
        residual: ``residual(x, *args) -> Tensor`` of the shape of x, computed with what runs on Tensors. Parameters of
            modules that it uses get gradients too.
        solve: ``solve(*args) -> x``, by any means: it is given arrays, and nothing of it is recorded.
        linear_solve: ``linear_solve(matvec, b)`` solves ``matvec(v) = b`` for an array like b. By default the matrix is
            computed column by column and factored, which is for up to some hundred unknowns.

    Raises:
        ValueError: (when it is called) the residual has not the shape of x.

    Source: Blondel et al. 2022, "Efficient and modular implicit differentiation", arXiv:2105.15183.

    Example:
        >>> root = cunet.custom_root(lambda x, a: x**2 - a, lambda a: np.sqrt(a))
        >>> cunet.grad(root)(np.array(4.0)), cunet.hessian(root)(np.array(4.0))
        (array(0.25), array(-0.03125))
    """

    @functools.wraps(solve)
    def solution(*args: Any) -> Tensor:
        with no_grad():
            x = plain(solve(*map(plain, args)))
        return _implicit(lambda x: residual(x, *args), x, linear_solve or _by_columns)

    return solution


def fixed_point(f: Function, x: Any, *args: Any, tol: float | None = None, max_iter: int = 200) -> Tensor:
    """Return the x for which ``x = f(x, *args)``, found by going on from a first one; its derivatives are implicit.

    For layers of any depth at the price, in memory, of one. Derivatives are found by going on in the same way, which
    ends where that did: where `f` brings what is apart closer together.

    Args:
        f: ``f(x, *args) -> Tensor`` of the shape of x. Parameters of modules that it uses get gradients too.
        x: the first x, an array; the result does not depend on it.
        args: what has derivatives.
        tol: the change in a step, relative to the length of x, at which to end; by default ``eps**0.75`` of the dtype.
        max_iter: how many steps there may be.

    Raises:
        RuntimeError: these were not enough.

    Source: Bai, Kolter & Koltun 2019, "Deep equilibrium models", arXiv:1909.01377.

    Example:
        >>> def root(a):  # by Newton's method
        ...     return cunet.fixed_point(lambda x, a: (x + a / x) / 2, np.array(1.0), a)
        >>> cunet.value_and_grad(root)(np.array(4.0))
        (array(2.), array(0.25))
    """
    first = plain(x)
    tol = float(np.finfo(accumulator(first.dtype)).eps) ** 0.75 if tol is None else tol
    iterate = functools.partial(_settled, tol=tol, max_iter=max_iter)
    with no_grad():
        found = iterate(lambda x: plain(f(Tensor(x), *args)), first)
    return _implicit(
        lambda x: f(x, *args) - x,
        found,
        lambda matvec, b: iterate(lambda v: matvec(v) + v - b, array_module(b).zeros_like(b)),
    )


def _settled(step: Matvec, x: Array, *, tol: float, max_iter: int) -> Array:
    """Return x after so many steps that it does not change."""
    xp = array_module(x)
    change = np.inf
    for _ in range(max_iter):
        after = xp.asarray(step(x), dtype=x.dtype)
        change = float(xp.linalg.norm((after - x).ravel()))
        x = after
        if change <= tol * float(xp.linalg.norm(x.ravel())):
            return x
    raise RuntimeError(f"fixed_point: max_iter={max_iter} steps must suffice, got a last change of {change:.3g}")


def _by_columns(matvec: Matvec, b: Array) -> Array:
    """Return the solution of ``matvec(v) = b`` by a matrix of all columns."""
    xp = array_module(b)
    if not b.size:
        return b
    units = xp.eye(b.size, dtype=b.dtype)
    columns = [matvec(unit.reshape(b.shape)).ravel() for unit in units]
    return xp.linalg.solve(xp.stack(columns, axis=1), b.ravel()).reshape(b.shape)


def _implicit(residual: Function, x: Array, linear_solve: LinearSolve) -> Tensor:
    """Return x, where a residual is 0, as a Tensor that moves with all that the residual uses."""
    order, capture = order_here(), capturing.get()
    if isinstance(capture, Forward):
        return _with_tangent(capture, residual, x, linear_solve)
    if not order:
        return wrap(x)
    before, leaf = next(clock), Tensor(x, requires_grad=True)
    r = residual(leaf)
    if not isinstance(r, Tensor) or r.shape != x.shape:
        raise ValueError(f"custom_root: the residual must be a Tensor of shape {x.shape}, got {_kind(r)}")
    places = [place for place in boundary([r], before) if place is not leaf]
    if not places:
        return wrap(x)

    def back(gy: Any) -> tuple[Any, ...]:
        return _gradients(residual, x, gy, places, linear_solve)

    def arrays(gy: Any) -> tuple[Any, ...]:
        with recorded_at(0):
            return tuple(map(plain, back(gy)))

    traced = Traced(back, order, arrays)
    if is_forward():
        assert isinstance(capture, Tracer) and isinstance(capture.outer, Forward)
        with recorded_at(capture.outer.order):
            traced.below = (_implicit(residual, x, linear_solve),)
    return wrap(x, Node("root", places, traced, x))


def _kind(r: Any) -> str:
    return f"shape {r.shape}" if isinstance(r, Tensor) else type(r).__name__


def _gradients(residual: Function, x: Array, gy: Any, places: Sequence[Any], linear_solve: LinearSolve) -> Any:
    """Return the gradients at places, by the equation ``J.T u = gy``."""
    order = order_here()
    y = _implicit(residual, x, linear_solve)
    with recorded_at(order + 1):
        leaf = variable(y)
        r = residual(leaf)

    def transposed(u: Any, order: int) -> Any:
        return gradients_at([(r, u)], [leaf], order)[0]

    u: Any = linear_solve(lambda v: plain(transposed(v, 0)), plain(gy))
    if order:
        u = _implicit(lambda u: transposed(u, order_here()) - gy, u, linear_solve)
    return tuple(gradients_at([(r, -u)], [*places, leaf], order)[:-1])  # not through x: there it ends


def _with_tangent(run: Forward, residual: Function, x: Array, linear_solve: LinearSolve) -> Tensor:
    """Return x with its tangent, by the equation ``J t = -dr``."""
    r = residual(wrap(x))
    moved = run.tangent(r)
    with recorded_at(run.order - 1):
        y = _implicit(residual, x, linear_solve)
        if moved is None:
            return y
        t: Any = linear_solve(lambda v: plain(_pushed(residual, wrap(x), v)), -plain(moved))
        if run.order > 1:
            t = _implicit(lambda t: _pushed(residual, y, t) + moved, t, linear_solve)
    node = y._node
    rest = no_way_back if run.order == 1 else Traced(lambda gy: (), float("inf")) if node is None else node.vjp
    return wrap(x, Node("root", () if node is None else node.parents, Dual(run, [t], rest), x))


def _pushed(residual: Function, y: Tensor, t: Any) -> Any:
    """Return the derivative of a residual in a direction."""
    run = Forward(order_here() + 1)
    with run.running():
        r = residual(run.variable(y, t))
    found = run.tangent(r)
    return array_module(r.data).zeros_like(r.data) if found is None else found
