"""What ops do to tangents in forward mode, where that is simpler than two ways back."""

from __future__ import annotations

from typing import Any

from ...autograd.rules import moves, pointwise, tangent_of
from ...autograd.tensor import Tensor
from ...kernels import elementwise
from .. import array, error_function, linalg, math, pairwise, rearrange, reduce, rounding, selection, trigonometry
from ..activation import gated, rectifier, shrink, squashing
from ..activation.registry import ACTIVATIONS

moves(
    array.astype, array.broadcast_to, array.expand_dims, array.reshape, array.split, array.squeeze, array.swapaxes,
    array.tile, array.transpose, math.negative, rearrange.roll, rearrange.tril, rearrange.triu, reduce.mean, reduce.sum,
)  # fmt: skip
moves(linalg.matmul, terms=((0, 1),))
moves(linalg.linear, terms=((0, 1), (2,)))
pointwise(
    error_function.erf, error_function.erfc, math.exp, math.exp2, math.expm1, math.log, math.log10, math.log1p,
    math.log2, math.power, math.reciprocal, math.rsqrt, math.sqrt, math.square, math.tanh, pairwise.arctan2,
    pairwise.hypot, pairwise.lerp, pairwise.logaddexp, rounding.ceil, rounding.floor, rounding.round, rounding.sign,
    rounding.trunc, selection._clip, selection.abs, selection.maximum, selection.minimum, selection.nan_to_num,
    selection.where, trigonometry.arccos, trigonometry.arccosh, trigonometry.arcsin, trigonometry.arcsinh,
    trigonometry.arctan, trigonometry.arctanh, trigonometry.cos, trigonometry.cosh, trigonometry.sin, trigonometry.sinh,
    trigonometry.tan,
)  # fmt: skip
FAMILIES = {module.__name__ for module in (gated, math, rectifier, shrink, squashing)}  # here, so that they are loaded
pointwise(*(e.function for e in ACTIVATIONS.values() if e.forward is not None and e.function.__module__ in FAMILIES))


@elementwise("T x, T y, T tx, T ty", "T tz", "tz = tx * y + x * ty")
def product_tangent(x, y, tx, ty):
    return tx * y + x * ty


@tangent_of(math.multiply)
def _(z, args, tangents) -> Any:
    (x, y), (tx, ty) = args, tangents
    if tx is None or ty is None:
        return math.multiply(tx, y) if ty is None else math.multiply(x, ty)
    if all(a.dtype == z.dtype for a in (x, y)):
        return product_tangent(x, y, tx, ty)
    return math.add(math.multiply(tx, y), math.multiply(x, ty))


@tangent_of(math.add)
def _(z, args, tangents) -> Any:
    tx, ty = tangents
    return (tx if ty is None else ty) if tx is None or ty is None else math.add(tx, ty)


@tangent_of(math.subtract)
def _(z, args, tangents) -> Any:
    tx, ty = tangents
    return (tx if ty is None else math.negative(ty)) if tx is None or ty is None else math.subtract(tx, ty)


@tangent_of(math.divide)
def _(z, args, tangents) -> Any:
    (x, y), (tx, ty) = args, tangents
    if ty is None:
        return math.divide(tx, y)
    z = math.divide(x, y) if isinstance(y, Tensor) or isinstance(x, Tensor) else z
    moved = math.multiply(z, ty)
    return math.divide(math.negative(moved) if tx is None else math.subtract(tx, moved), y)
