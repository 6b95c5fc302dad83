"""Whole matrices of derivatives, `jacobian` and `hessian`: many rows at once, as `vmap` does many samples."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..device import array_module
from .derivatives import Function, Recorded
from .mapped import Mapped, mapping
from .tangents import cotangent_of
from .tensor import Tensor
from .transforms import one_of

#: How many rows of a Jacobian are found at once: memory grows with them.
AT_ONCE = 64


def jacobian(f: Function) -> Function:
    """Make of ``f(x) -> Tensor`` the function that returns its Jacobian, of shape ``(*f(x).shape, *x.shape)``.

    It is found by rows, or by columns if there are fewer of them: many at once, as `vmap` does many samples; one after
    the other where an op on the way back has no rule for that.

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
        run = Recorded("jacobian", lambda x: f(x, *args, **kwargs), [x], 3)
        (y,), (leaf,) = run.outputs, run.leaves
        if y.size <= leaf.size:
            return run.put(None, [_rows(run, y, leaf)])
        cotangent = cotangent_of(y.data)
        (g,) = run.pull([(y, cotangent)], [leaf], 2)
        columns, ndim = _rows(run, g if isinstance(g, Tensor) else Tensor(g), cotangent), len(run.nesting.shape(leaf))
        lead = columns.ndim - ndim - len(run.nesting.shape(y))
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
        run = Recorded("hessian", lambda x: f(x, *args, **kwargs), [x], 3)
        out, (leaf,) = run.scalar(), run.leaves
        (g,) = run.pull([(out, one_of(out))], [leaf], 2)
        return run.put(None, [_rows(run, g if isinstance(g, Tensor) else Tensor(g), leaf)])

    return evaluate


def _rows(run: Recorded, y: Tensor, x: Tensor) -> Any:
    """Return the gradients of all elements of `y`, in the shape of both together: many at once, else one by one."""
    own, lead = run.nesting.shape(y), y.shape[: len(run.nesting.levels)]
    xp, parts, count = array_module(y.data), list[Any](), math.prod(own)
    for first in range(0, count, AT_ONCE):
        units = xp.eye(min(AT_ONCE, count - first), count, first, y.dtype)
        units = units.reshape(len(units), *(1,) * len(lead), *own)
        units = xp.broadcast_to(units, (len(units), *y.shape))
        parts += _many_rows(run, y, x, units) or [row[None] for unit in units for row in run.pull([(y, unit)], [x])]
    shape = (*lead, *own, *run.nesting.shape(x))
    if not parts:
        return xp.zeros(shape, x.dtype)
    if any(isinstance(part, Tensor) for part in parts):
        parts = [part if isinstance(part, Tensor) else Tensor(part) for part in parts]
    rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return np.moveaxis(rows, 0, len(lead)).reshape(shape)


def _many_rows(run: Recorded, y: Tensor, x: Tensor, units: Any) -> list[Any]:
    """Return the gradients for many cotangents at once, as `vmap` does it; nothing if an op on the way has no rule."""
    try:
        with mapping(len(units)) as level:
            (g,) = run.pull([(y, Mapped(level, units))], [x])
    except Exception:  # an error of its own comes again, row by row
        return []
    return [g.value if isinstance(g, Mapped) else array_module(g).zeros((len(units), *g.shape), g.dtype)]
