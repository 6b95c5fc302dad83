"""Losses of regression: mse_loss, l1_loss, smooth_l1_loss, huber_loss; and what all losses share.

Sums over half types are kept in float32. The arrays must have one shape: (N,) against (N, 1) would silently
compare everything with everything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd.op import Result, op
from ...autograd.tensor import Tensor, as_array
from ...device import Array, accumulator, device_of, is_array, is_floating, like
from ...kernels import Kernel, elementwise
from ...kernels.capture import quotient

REDUCTIONS = ("mean", "sum", "none")


def check_reduction(who: str, reduction: str, allowed: tuple[str, ...] = REDUCTIONS) -> None:
    """Raise ValueError unless `reduction` is one of those `allowed`."""
    if reduction not in allowed:
        raise ValueError(f"{who}: reduction must be one of {', '.join(map(repr, allowed))}, got {reduction!r}")


def reduce_loss(loss: Array, dtype: Any, reduction: str, divisor: Any) -> Array:
    """Return `loss` itself for "none", else its sum over `divisor`; in `dtype`. Over nothing, a mean is nan."""
    if reduction != "none":
        loss = loss.sum()
        loss = loss if reduction == "sum" else loss / divisor
    return loss.astype(dtype, copy=False)


def spread_gradient(gy: Array, dtype: Any, divisor: Any) -> Array:
    """Return the gradient of each element's loss, in the dtype of sums over `dtype`."""
    g = gy.astype(accumulator(dtype), copy=False)
    return g if type(divisor) is int and divisor == 1 else quotient(g, divisor)


def constant(who: str, name: str, value: Any, x: Array) -> Array:
    """Return an argument without gradient in the dtype of sums over `x`; numbers and lists go to its device."""
    value = value.data if isinstance(value, Tensor) else value
    if not is_array(value):
        value = like(as_array(value), x)
    elif device_of(value) != device_of(x):
        raise TypeError(f"{who}: {name} is on the {device_of(value)}, all else on the {device_of(x)}; use .to(device)")
    return value.astype(accumulator(x.dtype), copy=False)


def as_pair(who: str, x: Any, y: Any) -> tuple[Array, Array]:
    """Return two arrays of one shape and one floating dtype, or raise."""
    x, y = as_array(x), as_array(y)
    if x.shape != y.shape:
        raise ValueError(f"{who}: both arrays must have the same shape, got {x.shape} and {y.shape}")
    x, y = as_floats(who, x, y)
    return x, y


def as_same(who: str, **arrays: Any) -> list[Array]:
    """Return arrays, given by their names, of one shape and one floating dtype, or raise."""
    given = {name: as_array(a) for name, a in arrays.items()}
    if len({a.shape for a in given.values()}) > 1:
        shapes = ", ".join(f"{name} {a.shape}" for name, a in given.items())
        raise ValueError(f"{who}: all arrays must have the same shape, got {shapes}")
    return as_floats(who, *given.values())


def as_floats(who: str, *arrays: Array) -> list[Array]:
    """Return arrays in the widest of their floating dtypes, or raise."""
    floating = [a.dtype for a in arrays if is_floating(a.dtype)]
    if not floating or any(a.dtype.kind == "c" for a in arrays):
        got = " and ".join(str(a.dtype) for a in arrays)
        raise TypeError(f"{who}: an array of floating dtype is required, got {got}")
    dtype = np.result_type(*floating)
    return [a.astype(dtype, copy=False) for a in arrays]


def divisor_of(x: Array, reduction: str) -> int:
    """Return what the sum over the losses of all elements of `x` is divided by."""
    return {"mean": x.size, "batchmean": len(x) if x.ndim else 1}.get(reduction, 1)


def _compare(
    who: str, x: Any, y: Any, reduction: str, forward: Kernel, backward: Kernel, *params: float
) -> tuple[Array, Any]:
    """Do what losses of ``x - y`` share; `backward` gives the gradient for `x`."""
    check_reduction(who, reduction)
    x, y = as_pair(who, x, y)
    divisor = divisor_of(x, reduction)

    def vjp(gy):
        gx = backward(spread_gradient(gy, x.dtype, divisor), x, y, *params)
        return gx, lambda: -gx

    return reduce_loss(forward(x, y, *params), x.dtype, reduction, divisor), vjp


@elementwise("T x, T y", "A loss", "loss = (x - y) * (x - y)")
def mse_forward(x, y):
    d = x - y
    d *= d
    return d


@elementwise("A g, T x, T y", "T gx", "gx = 2 * g * (x - y)")
def mse_backward(g, x, y):
    d = x - y
    d *= 2 * g
    return d


@op(arrays=2)
def mse_loss(input, target, reduction: str = "mean") -> Result:
    """Return the squared error ``(input - target)**2``.

    Args:
        input, target: arrays of one shape; at least one floating. Both get a gradient.
        reduction: "mean" over all elements, "sum", or "none" for the error of each element.

    Raises:
        ValueError: the shapes differ, or an unknown reduction.
        TypeError: neither is of floating dtype.

    Example:
        >>> F.mse_loss(cunet.tensor([1.0, 2.0]), cunet.tensor([1.0, 4.0]))
        Tensor(2.)
        >>> F.mse_loss(cunet.tensor([[1.0], [2.0]]), cunet.tensor([1.0, 4.0]))
        Traceback (most recent call last):
            ...
        ValueError: mse_loss: both arrays must have the same shape, got (2, 1) and (2,)
    """
    return _compare("mse_loss", input, target, reduction, mse_forward, mse_backward)


@elementwise("T x, T y", "A loss", "loss = fabs(x - y)")
def l1_forward(x, y):
    return np.abs(x - y)


@elementwise("A g, T x, T y", "T gx", "A d = x - y; gx = d > 0 ? g : d < 0 ? -g : g * d", smooth="gx = g * sign(x - y)")
def l1_backward(g, x, y):
    return g * np.sign(x - y)


@op(arrays=2)
def l1_loss(input, target, reduction: str = "mean") -> Result:
    """Return the absolute error ``|input - target|``, whose gradient at 0 is 0; arguments as in `mse_loss`.

    Example:
        >>> F.l1_loss(cunet.tensor([1.0, 2.0]), cunet.tensor([1.0, 4.0]))
        Tensor(1.)
        >>> F.l1_loss(cunet.tensor([1.0, 2.0]), cunet.tensor([1.0, 4.0]), reduction="none")
        Tensor([0., 2.])
    """
    return _compare("l1_loss", input, target, reduction, l1_forward, l1_backward)


# c * (d - c / 2) with c = min(d, delta) is d * d / 2 below delta, and the tangent from there on.
@elementwise(
    "T x, T y, A delta, A scale",
    "A loss",
    "A d = fabs(x - y); A c = d < delta ? d : delta; loss = scale * c * (d - c / 2)",
)
def huber_forward(x, y, delta, scale):
    d = np.abs(x - y)
    c = np.minimum(d, delta)
    return scale * c * (d - c / 2)


@elementwise(
    "A g, T x, T y, A delta, A scale",
    "T gx",
    "A d = x - y; gx = g * scale * (d > delta ? delta : d < -delta ? -delta : d)",
)
def huber_backward(g, x, y, delta, scale):
    return g * scale * np.clip(x - y, -delta, delta)


@op(arrays=2)
def huber_loss(input, target, reduction: str = "mean", delta: float = 1.0) -> Result:
    """Return ``d**2 / 2`` where ``d = |input - target|`` is at most `delta`, else ``delta * (d - delta / 2)``.

    Args:
        input, target, reduction: as in `mse_loss`.
        delta: where the square ends; above 0.

    Raises:
        ValueError: the shapes differ, an unknown reduction, or `delta` is not above 0.
        TypeError: neither array is of floating dtype.

    Source: Huber 1964, "Robust estimation of a location parameter".

    Example:
        >>> F.huber_loss(cunet.tensor([1.0, 3.0]), cunet.tensor([0.0, 0.0]), delta=2.0, reduction="none")
        Tensor([0.5, 4. ])
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be above 0, got {delta}")
    return _compare("huber_loss", input, target, reduction, huber_forward, huber_backward, float(delta), 1.0)


@op(arrays=2)
def smooth_l1_loss(input, target, reduction: str = "mean", beta: float = 1.0) -> Result:
    """Return ``d**2 / (2 * beta)`` where ``d = |input - target|`` is below `beta`, else ``d - beta / 2``.

    It is ``huber_loss(delta=beta) / beta``, and `l1_loss` for beta = 0.

    Args:
        input, target, reduction: as in `mse_loss`.
        beta: where the square ends; at least 0.

    Raises:
        ValueError: the shapes differ, an unknown reduction, or `beta` is below 0.
        TypeError: neither array is of floating dtype.

    Source: Girshick 2015, arXiv:1504.08083, equation 3.

    Example:
        >>> F.smooth_l1_loss(cunet.tensor([0.5, 3.0]), cunet.tensor([0.0, 0.0]), reduction="none")
        Tensor([0.125, 2.5  ])
        >>> F.smooth_l1_loss(cunet.tensor([0.5, 3.0]), cunet.tensor([0.0, 0.0]), beta=0.5, reduction="none")
        Tensor([0.25, 2.75])
    """
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must be at least 0, got {beta}")
    if beta == 0:
        return _compare("smooth_l1_loss", input, target, reduction, l1_forward, l1_backward)
    return _compare("smooth_l1_loss", input, target, reduction, huber_forward, huber_backward, float(beta), 1 / beta)
