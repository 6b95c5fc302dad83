"""Nodes for what a kernel's text says: so ops that have no node of their own in ONNX, users' too, are exported."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..kernels.calculus.kernels import Formulas
from ..kernels.calculus.reading import Unreadable
from ..kernels.calculus.terms import Term, in_order
from ..kernels.spec import Definition, ElementwiseSpec
from .graph import Given, Graph, NotExportable, Value

Maker = Callable[..., str]
_SIGNS = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "neg": "Neg", "?": "Where", "&&": "And", "||": "Or",
          "!": "Not", "<": "Less", ">": "Greater", "<=": "LessOrEqual", ">=": "GreaterOrEqual",
          "==": "Equal"}  # fmt: skip
#: Functions of a text that are a node.
_NODES = {"exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sin": "Sin", "cos": "Cos", "tan": "Tan", "sinh": "Sinh",
          "cosh": "Cosh", "tanh": "Tanh", "asin": "Asin", "acos": "Acos", "atan": "Atan", "asinh": "Asinh",
          "acosh": "Acosh", "atanh": "Atanh", "erf": "Erf", "softplus": "Softplus", "abs": "Abs", "sign": "Sign",
          "floor": "Floor", "ceil": "Ceil", "rint": "Round", "isnan": "IsNaN", "isinf": "IsInf", "pow": "Pow",
          "min": "Min", "max": "Max"}  # fmt: skip
#: Functions that are several; "atan2" and "copysign" have none.
_SEVERAL: dict[str, Maker] = {
    "exp2": lambda g, x: g("Pow", 2.0, x),
    "expm1": lambda g, x: g("Sub", g("Exp", x), 1.0),
    "log2": lambda g, x: g("Mul", g("Log", x), 1 / math.log(2)),
    "log10": lambda g, x: g("Mul", g("Log", x), 1 / math.log(10)),
    "log1p": lambda g, x: g("Log", g("Add", x, 1.0)),
    "rsqrt": lambda g, x: g("Reciprocal", g("Sqrt", x)),
    "cbrt": lambda g, x: g("Mul", g("Sign", x), g("Pow", g("Abs", x), 1 / 3)),
    "erfc": lambda g, x: g("Sub", 1.0, g("Erf", x)),
    "normcdf": lambda g, x: g("Mul", g("Add", g("Erf", g("Mul", x, math.sqrt(0.5))), 1.0), 0.5),
    "sech2": lambda g, x: g("Sub", 1.0, g("Mul", t := g("Tanh", x), t)),
    "gauss": lambda g, x, k: g("Exp", g("Mul", k, g("Mul", x, x))),
    "damp": lambda g, s, q: g("Where", g("Equal", s, 0.0), 0.0, g("Mul", s, q)),
    "trunc": lambda g, x: g("Mul", g("Sign", x), g("Floor", g("Abs", x))),
    "isfinite": lambda g, x: g("Not", g("Or", g("IsNaN", x), g("IsInf", x))),
    "fma": lambda g, a, b, c: g("Add", g("Mul", a, b), c),
    "hypot": lambda g, x, y: g("Sqrt", g("Add", g("Mul", x, x), g("Mul", y, y))),
    "fmod": lambda g, x, y: g("Mod", x, y, fmod=1),
}


def computed(g: Graph, kernel: Definition, args: Sequence[Given]) -> list[str]:
    """Add what an elementwise kernel computes of its arguments; return the names of its outputs.

    Raises:
        NotExportable: its text is outside of the grammar that is read, or calls what ONNX has not.
    """
    spec = kernel.spec
    if not isinstance(spec, ElementwiseSpec):
        raise NotExportable(f"its {spec.kind} kernel {spec.name} has no form in ONNX")
    try:
        found = Formulas(spec, {})
    except Unreadable as error:
        raise NotExportable(str(error)) from None
    names = {name: _fitting(g, term.kind, x) for (name, term), x in zip(found.inputs.items(), args, strict=False)}
    order, _ = in_order(list(found.outputs.values()))
    made: dict[Term, str] = {}
    for term in order:
        made[term] = _term(g, term, names, made)
    return [made[term] for term in found.outputs.values()]


def _fitting(g: Graph, kind: str, x: Given) -> str:
    """Return the name of an argument, in the dtype of the arithmetic where it takes part in that."""
    if kind == "real":
        return g.cast(x, g.dtype) if isinstance(x, Value) else g.name_of(x)
    return g.name_of(x) if isinstance(x, (Value, str)) else g.constant(np.asarray(x))


def _term(g: Graph, term: Term, names: dict[str, str], made: dict[Term, str]) -> str:
    inputs = [made[t] for t in term.terms]
    if term.op == "var":
        return names[term.args[0]]
    if term.op == "num":
        kinds: dict[str, Any] = {"real": g.dtype, "whole": np.int64, "bool": np.bool_}
        return g.constant(np.asarray(term.args[0], kinds[term.kind]))
    if term.op == "real":
        return g("Cast", *inputs, to=g.type_of(g.dtype))
    if term.op == "whole":
        return g("Cast", *inputs, to=g.type_of(np.int64))
    if term.op == "!=":
        return g("Not", g("Equal", *inputs))
    if term.op == "%":
        return g("Mod", *inputs, fmod=1)
    if term.op != "call":
        return g(_SIGNS[term.op], *inputs)
    name: Any = term.args[0]
    if name in _NODES:
        return g(_NODES[name], *inputs)
    if name in _SEVERAL:
        return _SEVERAL[name](g, *inputs)
    raise NotExportable(f"its text calls {name}, which ONNX has not")
