"""Nodes that work element by element."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from ...autograd.tensor import Tensor
from ...device import NUMBERS, array_module, is_floating
from ...ops import error_function, math, rounding, selection, trigonometry
from ...ops.activation import gated, rectifier, shrink, squashing
from ...system.extras import extra
from ..reading import need, numbers, reads

_UNARY: dict[str, Callable[..., Any]] = {
    "Abs": selection.abs, "Acos": trigonometry.arccos, "Acosh": trigonometry.arccosh, "Asin": trigonometry.arcsin,
    "Asinh": trigonometry.arcsinh, "Atan": trigonometry.arctan, "Atanh": trigonometry.arctanh, "Ceil": rounding.ceil,
    "Cos": trigonometry.cos, "Cosh": trigonometry.cosh, "Erf": error_function.erf, "Exp": math.exp,
    "Floor": rounding.floor, "HardSwish": gated.hardswish, "Identity": squashing.identity, "Log": math.log,
    "Mish": gated.mish, "Neg": math.negative, "Reciprocal": math.reciprocal, "Relu": rectifier.relu,
    "Round": rounding.round, "Sigmoid": squashing.sigmoid, "Sign": rounding.sign, "Sin": trigonometry.sin,
    "Sinh": trigonometry.sinh, "Softplus": squashing.softplus, "Softsign": squashing.softsign, "Sqrt": math.sqrt,
    "Tan": trigonometry.tan, "Tanh": math.tanh,
}  # fmt: skip
#: For integers, of which there are no kernels.
_INTEGERS = {"Abs": "abs", "Neg": "negative", "Sign": "sign", "Relu": "maximum"}


def _unary(kind: str, function: Callable[..., Any]) -> Callable[[Any], Any]:
    def read(x):
        if is_floating(x.dtype) or kind not in _INTEGERS:
            return x if kind == "Identity" else function(x)
        xp = array_module(x.data)
        return xp.maximum(x.data, 0) if kind == "Relu" else getattr(xp, _INTEGERS[kind])(x.data)

    return read


for _kind, _function in _UNARY.items():
    reads(_kind)(_unary(_kind, _function))


def _plainly(name: str) -> Callable[..., Any]:
    """Return a reader that asks NumPy or CuPy: for results that have no gradient."""
    return lambda *arrays: getattr(array_module(*[a.data for a in arrays]), name)(*[a.data for a in arrays])


for _kind, _name in {
    "And": "logical_and", "Or": "logical_or", "Xor": "logical_xor", "Not": "logical_not", "Equal": "equal",
    "Less": "less", "LessOrEqual": "less_equal", "Greater": "greater", "GreaterOrEqual": "greater_equal",
    "IsNaN": "isnan", "BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or", "BitwiseXor": "bitwise_xor",
    "BitwiseNot": "invert",
}.items():  # fmt: skip
    reads(_kind)(_plainly(_name))


@reads("IsInf")
def _(x, detect_negative=1, detect_positive=1):
    xp = array_module(x.data)
    infinite = xp.isinf(x.data)
    return infinite & (((x.data > 0) & bool(detect_positive)) | ((x.data < 0) & bool(detect_negative)))


def _two(function: Callable[..., Any], plain: str) -> Callable[[Any, Any], Any]:
    def read(x, y):
        return function(x, y) if is_floating(x.dtype) else _plainly(plain)(x, y)

    return read


reads("Add")(_two(math.add, "add"))
reads("Sub")(_two(math.subtract, "subtract"))
reads("Mul")(_two(math.multiply, "multiply"))


@reads("Div")
def _(x, y):
    if is_floating(x.dtype):
        return math.divide(x, y)
    xp = array_module(x.data, y.data)
    quotient = xp.abs(x.data) // xp.abs(y.data)  # C cuts towards 0, NumPy towards minus infinity
    return xp.where((x.data < 0) != (y.data < 0), -quotient, quotient).astype(x.dtype)


@reads("Mod")
def _(x, y, fmod=0):
    return array_module(x.data, y.data).fmod(x.data, y.data) if fmod else _plainly("mod")(x, y)


@reads("Pow")
def _(x, y):
    if not is_floating(x.dtype):
        return (x.data**y.data).astype(x.dtype)
    exponent = y if is_floating(y.dtype) else Tensor(y.data.astype(x.dtype))
    return math.power(x, exponent).astype(x.dtype)


def _fold(function: Callable[..., Any], plain: str) -> Callable[..., Any]:
    two = _two(function, plain)
    return lambda *arrays: reduce(lambda x, y: two(x, Tensor(y) if not isinstance(y, Tensor) else y), arrays)


reads("Max")(_fold(selection.maximum, "maximum"))
reads("Min")(_fold(selection.minimum, "minimum"))
reads("Sum")(_fold(math.add, "add"))


@reads("Mean")
def _(*arrays):
    return math.divide(reduce(math.add, arrays), len(arrays))


@reads("Cast")
def cast(x, to=1, saturate=1, round_mode="up"):
    """Return another dtype, given by ONNX's number."""
    return _as(x, extra("onnx.helper", "onnx", "onnx.load").tensor_dtype_to_np_dtype(to))


@reads("CastLike")
def _(x, like, saturate=1, round_mode="up"):
    return _as(x, like.dtype)


def _as(x: Any, dtype: np.dtype) -> Any:
    there = (dtype.isbuiltin == 1 and dtype.kind in NUMBERS) or dtype.name == "bfloat16"
    need(there, f"there are no arrays of {dtype} here")
    return x.astype(dtype)


@reads("Clip", settings=(1, 2))
def _(x, min=None, max=None):
    low, high = numbers(min), numbers(max)
    if is_floating(x.dtype):
        return selection.clip(x, low, high)
    return x.data.clip(low, high).astype(x.dtype)


@reads("Where")
def _(condition, x, y):
    if is_floating(x.dtype):
        return selection.where(condition.data, x, y)
    return array_module(x.data).where(condition.data, x.data, y.data)


@reads("Celu")
def _(x, alpha=1.0):
    return rectifier.celu(x, alpha)


@reads("Elu")
def _(x, alpha=1.0):
    return rectifier.elu(x, alpha)


@reads("Selu")
def _(x, alpha=1.6732632, gamma=1.0507010):
    if abs(alpha - 1.6732632) < 1e-6 and abs(gamma - 1.0507010) < 1e-6:
        return rectifier.selu(x)
    return rectifier.elu(x, alpha) * gamma


@reads("LeakyRelu")
def _(x, alpha=0.01):
    return rectifier.leaky_relu(x, alpha)


@reads("PRelu")
def _(x, slope):
    return selection.maximum(x, 0.0) + slope * selection.minimum(x, 0.0)


@reads("ThresholdedRelu")
def _(x, alpha=1.0):
    return rectifier.threshold(x, alpha, 0.0)


@reads("HardSigmoid")
def _(x, alpha=0.2, beta=0.5):
    return selection.clip(x * alpha + beta, 0.0, 1.0)


@reads("Gelu")
def _(x, approximate="none"):
    return gated.gelu(x, approximate)


@reads("Swish")
def _(x, alpha=1.0):
    return gated.silu(x) if alpha == 1 else x * squashing.sigmoid(x * alpha)


@reads("Shrink")
def _(x, lambd=0.5, bias=0.0):
    if not is_floating(x.dtype):
        value = x.data.astype(np.float64)
        xp = array_module(value)
        return xp.where(value < -lambd, value + bias, xp.where(value > lambd, value - bias, 0)).astype(x.dtype)
    return shrink.hardshrink(x, lambd) - selection.where(abs(x).data > lambd, rounding.sign(x) * bias, x * 0.0)
