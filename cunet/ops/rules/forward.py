"""What ops do to tangents in forward mode, where that is simpler than two ways back."""

from __future__ import annotations

from typing import Any

from ...autograd.duals import DualRule, of_pair, of_value
from ...autograd.rules import moves, pointwise, tangent_of
from ...autograd.tensor import Tensor
from ...kernels import Kernel, elementwise
from .. import array, error_function, linalg, math, pairwise, rearrange, reduce, rounding, selection, trigonometry
from ..activation import clipping, gated, rectifier, shrink, squashing
from ..activation.registry import ACTIVATIONS

moves(
    array.astype, array.broadcast_to, array.expand_dims, array.reshape, array.split, array.squeeze, array.swapaxes,
    array.tile, array.transpose, math.negative, rearrange.roll, rearrange.tril, rearrange.triu, reduce.mean, reduce.sum,
)  # fmt: skip
moves(linalg.matmul, terms=((0, 1),))
moves(linalg.linear, terms=((0, 1), (2,)))
pointwise(
    error_function.erf, error_function.erfc, math.exp, math.exp2, math.expm1, math.log, math.log10, math.log1p,
    math.log2, math.power, math.rsqrt, math.tanh, pairwise.arctan2,
    pairwise.hypot, pairwise.lerp, pairwise.logaddexp, rounding.ceil, rounding.floor, rounding.round, rounding.sign,
    rounding.trunc, selection._clip, selection.maximum, selection.minimum, selection.nan_to_num,
    selection.where, trigonometry.arccos, trigonometry.arccosh, trigonometry.arcsin, trigonometry.arcsinh,
    trigonometry.arctan, trigonometry.arctanh, trigonometry.cos, trigonometry.cosh, trigonometry.sin, trigonometry.sinh,
    trigonometry.tan,
)  # fmt: skip
pointwise(math.reciprocal, dual=of_value("y = 1 / x"))
pointwise(math.sqrt, dual=of_value("y = sqrt(x)"))
pointwise(math.square, dual=of_value("y = x * x"))
pointwise(selection.abs, dual=of_value("y = abs(x)"))
ROOMS = clipping, gated, math, rectifier, shrink, squashing  # here, so that they are loaded
FAMILIES = {module.__name__ for module in ROOMS}
for entry in ACTIVATIONS.values():
    if entry.forward is not None and entry.function.__module__ in FAMILIES:
        pointwise(entry.function, dual=of_pair(entry.numbers))


@elementwise("T x, T y, T tx, T ty", "T z, T tz", "z = x * y; tz = tx * y + x * ty")
def product_dual(x, y, tx, ty):
    return x * y, tx * y + x * ty


@elementwise("T x, T y, T tx, T ty", "T z, T tz", "z = x / y; tz = (tx - z * ty) / y")
def quotient_dual(x, y, tx, ty):
    z = x / y
    return z, (tx - z * ty) / y


def _of_two(kernel: Kernel) -> DualRule:
    """Return what runs a kernel of two arrays of one dtype that both move."""

    def dual(function: Any, inputs: list[Any], tangents: list[Any], options: dict[str, Any]) -> Any:
        (x, y), (tx, ty) = inputs, tangents
        if tx is None or ty is None or x.dtype != y.dtype:
            return None
        z, tz = kernel(x, y, tx, ty)
        return z, (tz,)

    return dual


@tangent_of(math.multiply, _of_two(product_dual))
def _(z, args, tangents) -> Any:
    (x, y), (tx, ty) = args, tangents
    if tx is None or ty is None:
        return tx * y if ty is None else x * ty
    return tx * y + x * ty


@tangent_of(math.add)
def _(z, args, tangents) -> Any:
    tx, ty = tangents
    return (tx if ty is None else ty) if tx is None or ty is None else tx + ty


@tangent_of(math.subtract)
def _(z, args, tangents) -> Any:
    tx, ty = tangents
    return (tx if ty is None else -ty) if tx is None or ty is None else tx - ty


@tangent_of(math.divide, _of_two(quotient_dual))
def _(z, args, tangents) -> Any:
    (x, y), (tx, ty) = args, tangents
    if ty is None:
        return tx / y
    z = x / y if isinstance(y, Tensor) or isinstance(x, Tensor) else z
    moved = z * ty
    return (-moved if tx is None else tx - moved) / y
