"""Ops that are one node, element by element; others are written from their kernels' texts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops import error_function, pairwise, rounding, selection, trigonometry
from ...ops import math as arithmetic
from ...ops.activation import clipping, gated, rectifier, shrink, squashing
from ..graph import Given, Graph, Value
from ..writing import parameter, writes

_NODES: dict[str, Callable[..., Any]] = {
    "Abs": selection.abs,
    "Acos": trigonometry.arccos,
    "Acosh": trigonometry.arccosh,
    "Add": arithmetic.add,
    "Asin": trigonometry.arcsin,
    "Asinh": trigonometry.arcsinh,
    "Atan": trigonometry.arctan,
    "Atanh": trigonometry.arctanh,
    "Ceil": rounding.ceil,
    "Cos": trigonometry.cos,
    "Cosh": trigonometry.cosh,
    "Div": arithmetic.divide,
    "Erf": error_function.erf,
    "Exp": arithmetic.exp,
    "Floor": rounding.floor,
    "HardSwish": gated.hardswish,
    "Identity": squashing.identity,
    "Log": arithmetic.log,
    "Max": selection.maximum,
    "Min": selection.minimum,
    "Mish": gated.mish,
    "Mul": arithmetic.multiply,
    "Neg": arithmetic.negative,
    "Pow": arithmetic.power,
    "Reciprocal": arithmetic.reciprocal,
    "Relu": rectifier.relu,
    "Selu": rectifier.selu,
    "Sigmoid": squashing.sigmoid,
    "Sign": rounding.sign,
    "Sin": trigonometry.sin,
    "Sinh": trigonometry.sinh,
    "Softsign": squashing.softsign,
    "Sqrt": arithmetic.sqrt,
    "Sub": arithmetic.subtract,
    "Tan": trigonometry.tan,
    "Tanh": arithmetic.tanh,
}


def alike(g: Graph, *arrays: Given) -> list[Given]:
    """Return arrays of numbers in the dtype of the result."""
    return [g.cast(x, g.dtype) if isinstance(x, Value) else x for x in arrays]


def _node(kind: str) -> Callable[..., str]:
    return lambda g, *arrays: g(kind, *alike(g, *arrays))


for _kind, _op in _NODES.items():
    writes(_op)(_node(_kind))


@writes(arithmetic.square)
def _(g, x):
    (x,) = alike(g, x)
    return g("Mul", x, x)


@writes(arithmetic.expm1)
def _(g, x):
    return g("Sub", g("Exp", *alike(g, x)), 1.0)


@writes(arithmetic.exp2)
def _(g, x):
    return g("Pow", 2.0, *alike(g, x))


@writes(arithmetic.log1p)
def _(g, x):
    return g("Log", g("Add", *alike(g, x), 1.0))


@writes(arithmetic.log2)
def _(g, x):
    return g("Mul", g("Log", *alike(g, x)), 1 / math.log(2))


@writes(arithmetic.log10)
def _(g, x):
    return g("Mul", g("Log", *alike(g, x)), 1 / math.log(10))


@writes(arithmetic.rsqrt)
def _(g, x):
    return g("Reciprocal", g("Sqrt", *alike(g, x)))


@writes(error_function.erfc)
def _(g, x):
    return g("Sub", 1.0, g("Erf", *alike(g, x)))


@writes(pairwise.hypot)
def _(g, x, y):
    x, y = alike(g, x, y)
    return g("Sqrt", g("Add", g("Mul", x, x), g("Mul", y, y)))


@writes(pairwise.logaddexp)
def _(g, x, y):
    x, y = alike(g, x, y)
    return g("Add", g("Max", x, y), g("Log", g("Add", g("Exp", g("Neg", g("Abs", g("Sub", x, y)))), 1.0)))


@writes(pairwise.lerp)
def _(g, start, end, weight):
    start, end, weight = alike(g, start, end, weight)
    return g("Add", start, g("Mul", weight, g("Sub", end, start)))


@writes(rounding.trunc)
def _(g, x):
    (x,) = alike(g, x)
    return g("Mul", g("Sign", x), g("Floor", g("Abs", x)))


@writes(rounding.round)
def _(g, x, *, decimals):
    scale = 10.0**decimals
    return g("Div", g("Round", g("Mul", *alike(g, x), scale)), scale)


@writes(rounding.remainder)
def _(g, x, y):
    x, y = alike(g, x, y)
    return g("Sub", x, g("Mul", g("Floor", g("Div", x, y)), y))


@writes(rounding.floor_divide)
def _(g, x, y):
    return g("Floor", g("Div", *alike(g, x, y)))


@writes(selection.where)
def _(g, condition, x, y):
    return g("Where", g.cast(condition, np.bool_), *alike(g, x, y))


@writes(selection._clip)
def _(g, x, *, min, max):
    return g("Clip", *alike(g, x, min, max))


@writes(clipping.hardtanh)
def _(g, x, *, min_val, max_val):
    return g("Clip", x, float(min_val), float(max_val))


@writes(clipping.relu6)
def _(g, x):
    return g("Clip", x, 0.0, 6.0)


@writes(clipping.hardsigmoid)
def _(g, x, *, slope):
    return g("HardSigmoid", x, alpha=float(slope), beta=0.5)


@writes(squashing.softplus)
def _(g, x, *, beta):
    return g("Softplus", x) if beta == 1 else g("Div", g("Softplus", g("Mul", x, float(beta))), float(beta))


@writes(rectifier.leaky_relu)
def _(g, x, *, negative_slope):
    return g("LeakyRelu", x, alpha=float(negative_slope))


@writes(rectifier.elu)
def _(g, x, *, alpha):
    return g("Elu", x, alpha=float(alpha))


@writes(rectifier.celu)
def _(g, x, *, alpha):  # Celu itself is for float32 alone
    return g("Mul", g("Elu", g("Div", x, float(alpha))), float(alpha))


@writes(rectifier.prelu)
def _(g, x, weight, *, axis):
    return g("PRelu", x, parameter(g, weight, x.ndim, axis) if x.ndim > 1 else weight)


@writes(gated.gelu)
def _(g, x, *, approximate):
    return g("Gelu", x, approximate=approximate)


@writes(gated.silu)
def _(g, x):
    return g("Mul", x, g("Sigmoid", x))


@writes(gated.glu)
def _(g, x, *, dim, axis):
    a, b = g.node("Split", [x], 2, axis=dim if axis is None else axis, num_outputs=2)
    return g("Mul", a, g("Sigmoid", b))


@writes(shrink.hardshrink)
def _(g, x, *, lambd):
    return g("Shrink", x, lambd=float(lambd), bias=0.0)


@writes(shrink.softshrink)
def _(g, x, *, lambd):
    return g("Shrink", x, lambd=float(lambd), bias=float(lambd))
