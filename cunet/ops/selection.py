"""Selection, element by element: absolute values, the larger and the smaller, limits, one of two."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.op import Result, op
from ..autograd.tape import is_recording
from ..autograd.tensor import Tensor, as_array
from ..device import Array, array_module, is_array, is_floating
from ..kernels import elementwise
from .operands import like_gradient


@op
def abs(x) -> Result:
    """Return the absolute value; its gradient at 0 is 0.

    Example:
        >>> cunet.grad(lambda x: cunet.abs(x).sum())(np.array([-2.0, 0.0, 3.0]))
        array([-1.,  0.,  1.])
    """
    xp = array_module(x)
    return xp.abs(x), lambda gy: (gy * xp.sign(x),)


@op
def maximum(x, y) -> Result:
    """Return the larger of two, NaN if either is; where they are equal each gets half the gradient.

    Example:
        >>> cunet.maximum([-1.0, 2.0], 0.0)
        Tensor([0., 2.])
        >>> cunet.grad(lambda x: cunet.maximum(x, 0.0).sum())(np.array([-1.0, 0.0, 2.0]))
        array([0. , 0.5, 1. ])
    """
    return array_module(x, y).maximum(x, y), lambda gy: (lambda: _share(gy, x, y), lambda: _share(gy, y, x))


@op
def minimum(x, y) -> Result:
    """Return the smaller of two, NaN if either is; where they are equal each gets half the gradient.

    Example:
        >>> cunet.minimum([1.0, 5.0, np.nan], 3.0)
        Tensor([ 1.,  3., nan])
    """
    return array_module(x, y).minimum(x, y), lambda gy: (lambda: _share(gy, y, x), lambda: _share(gy, x, y))


# Not a product: sqrt(maximum(x, 0)) hands down inf, and inf * 0 is NaN.
@elementwise("T gy, T x, T y", "T gx", "gx = x > y ? gy : x == y ? gy * A(0.5) : A(0)")
def share_of_larger(gy, x, y):
    return np.where(x > y, gy, np.where(x == y, gy * 0.5, 0))


def _share(gy: Array, x: Any, y: Any) -> Array:
    return share_of_larger(gy, like_gradient(gy, x), like_gradient(gy, y))


@op
def where(condition, x, y) -> Result:
    """Return `x` where `condition` holds, else `y`; no gradient crosses from the side not taken.

    Example:
        >>> x = cunet.tensor([-1.0, 2.0], requires_grad=True)
        >>> y = cunet.where(x > 0, x, 10 * x)
        >>> y.sum().backward()
        >>> y.numpy(), x.grad
        (array([-10.,   2.], dtype=float32), array([10.,  1.], dtype=float32))
    """
    xp = array_module(condition, x, y)
    if not is_array(condition):
        condition = xp.asarray(condition)
    if not is_array(x) and not is_array(y):
        x, y = xp.asarray(as_array([x, y]))  # two numbers: float32, as in a Tensor of them
    x, y = _beside(x, y), _beside(y, x)
    return xp.where(condition, x, y), lambda gy: (
        None,
        lambda: xp.where(condition, gy, 0),
        lambda: xp.where(condition, 0, gy),
    )


def _beside(number: Any, a: Any) -> Any:
    """Return a number in the dtype of a floating array; beside bfloat16 NumPy would go to float64."""
    return number if is_array(number) or not is_floating(a.dtype) else a.dtype.type(number)


@op
def _clip(x, *, min, max) -> Result:
    if min is None and max is None:
        return x, lambda gy: (gy,)
    xp = array_module(x)

    def vjp(gy):
        inside = True if min is None else x >= min
        inside = inside if max is None else (x <= max) & inside
        return (xp.where(inside, gy, 0),)

    return x.clip(min, max), vjp


def clip(x: Any, min: Any = None, max: Any = None) -> Tensor:
    """Limit values to [min, max]; the gradient is 1 on the closed interval and 0 outside.

    Args:
        x: floating tensor or array of any shape.
        min, max: numbers, or arrays that broadcast to the shape of `x`, or None for no limit. They get no
            gradient; use `maximum` and `minimum` for limits that are learned.

    Example:
        >>> cunet.clip([-3.0, 0.5, 3.0], -1, 1)
        Tensor([-1. ,  0.5,  1. ])
        >>> cunet.grad(lambda x: cunet.clip(x, -1, 1).sum())(np.array([-3.0, 0.5, 1.0]))
        array([0., 1., 1.])
    """
    return _clip(x, min=_limit(min), max=_limit(max))


def _limit(limit: Any) -> Any:
    if isinstance(limit, Tensor):
        if limit.requires_grad and is_recording():
            raise TypeError(
                "clip: limits get no gradient, but a Tensor that requires one came; use maximum and minimum"
            )
        return limit.data
    return limit


@elementwise("T x, A nan, A posinf, A neginf", "T y", "y = isnan(x) ? nan : isinf(x) ? (x > 0 ? posinf : neginf) : x")
def nan_to_num_forward(x, nan, posinf, neginf):
    return np.where(np.isnan(x), nan, np.where(x == np.inf, posinf, np.where(x == -np.inf, neginf, x)))


@op(arrays=1)
def nan_to_num(x, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Result:
    """Replace NaN by `nan` and infinities by `posinf` and `neginf`; the gradient is 0 where something was replaced.

    Args:
        x: any shape; integers are returned as they are.
        nan: number in place of NaN.
        posinf, neginf: numbers in place of infinities; None: the largest and the smallest finite number of the dtype.

    Example:
        >>> cunet.nan_to_num([1.0, np.nan, np.inf], posinf=100.0)
        Tensor([  1.,   0., 100.])
    """
    if not is_floating(x.dtype):
        return x, lambda gy: (None,)
    xp = array_module(x)
    largest = 3.3895313892515355e38 if x.dtype.name == "bfloat16" else float(np.finfo(x.dtype).max)
    y = nan_to_num_forward(x, nan, largest if posinf is None else posinf, -largest if neginf is None else neginf)
    return y, lambda gy: (xp.where(xp.isfinite(x), gy, 0),)
