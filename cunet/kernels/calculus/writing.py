"""Writes formulas as text for a kernel, and computes them with NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...device import Array, is_array
from .functions import FUNCTIONS
from .terms import Term, in_order

#: The module of bodies that are made here: of no family that is compiled together.
DERIVED = "cunet.kernels.calculus.derived"
_C_TYPES = {"real": "A", "whole": "long long", "bool": "bool"}


def text_of(outputs: Mapping[str, Term], preamble: str = "") -> tuple[str, str]:
    """Return the operation that assigns formulas to outputs, and what it needs beyond a preamble that is there.

    What is used twice becomes a local name.
    """
    order, uses = in_order(list(outputs.values()))
    written: dict[Term, str] = {}
    lines: list[str] = []
    for term in order:
        text = _written(term, written)
        if uses[term] > 1 and term.op not in ("num", "var"):
            name = f"v{len(lines)}_"
            lines.append(f"const {_C_TYPES[term.kind]} {name} = {text};")
            text = name
        written[term] = text
    lines += [f"{name} = {written[formula]};" for name, formula in outputs.items()]
    called = {term.args[0] for term in order if term.op == "call"}
    helpers = [FUNCTIONS[name].helper for name in sorted(called)]
    return "\n".join(lines), "".join(text for text in helpers if text not in preamble)


def _written(term: Term, written: Mapping[Term, str]) -> str:
    op, args = term.op, term.args
    if op == "num":
        return _number(args[0], term.kind)
    if op == "var":
        return args[0]
    parts = [written[a] for a in term.terms]
    if op == "call":
        function = FUNCTIONS[args[0]]
        name = function.written or ("cunet_" * bool(function.helper)) + args[0]
        return f"{name}({', '.join(parts)})"
    if op in ("real", "whole"):
        return f"({_C_TYPES[op]})({parts[0]})"
    if op == "?":
        return f"({parts[0]} ? {parts[1]} : {parts[2]})"
    if op in ("neg", "!"):
        return f"({'-' if op == 'neg' else op}{parts[0]})"
    return f"({parts[0]} {op} {parts[1]})"


def _number(value: float, kind: str) -> str:
    if kind == "bool":
        return "true" if value else "false"
    if kind == "whole":
        return str(value)
    return f"A({int(value)})" if value == int(value) and abs(value) < 1e6 else f"A({value!r})"


_BODIES: dict[str, Callable[..., Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "neg": np.negative, "?": np.where,
    "<": np.less, ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
    "&&": np.logical_and, "||": np.logical_or, "!": np.logical_not, "%": np.fmod,
}  # fmt: skip


def body_of(name: str, parameters: Sequence[str], outputs: Sequence[Term]) -> Callable[..., Any]:
    """Return the NumPy function of formulas, with this name; it works element by element."""
    order, _ = in_order(list(outputs))

    def body(*args: Any) -> Any:
        given = dict(zip(parameters, args, strict=True))
        arrays = [a for a in args if is_array(a)]
        dtype = next((a.dtype for a in arrays if a.dtype.kind == "f"), np.dtype(np.float32))
        values: dict[Term, Any] = {}
        for term in order:
            values[term] = _value(term, values, given, dtype)
        shape = np.broadcast_shapes(*[a.shape for a in arrays])
        results = tuple(_full(values[formula], shape, dtype) for formula in outputs)
        return results[0] if len(results) == 1 else results

    body.__name__ = body.__qualname__ = name
    body.__module__ = DERIVED
    return body


def _value(term: Term, values: Mapping[Term, Any], given: Mapping[str, Any], dtype: np.dtype) -> Any:
    """Return the value of a term, in `dtype` where it is real."""
    op = term.op
    if op == "num":
        return term.args[0]
    if op == "var":
        return given[term.args[0]]
    parts = [values[a] for a in term.terms]
    if op == "real":
        return np.asarray(parts[0]).astype(dtype)
    if op == "whole":
        return np.trunc(parts[0]).astype(np.int64)
    if op == "call":
        return FUNCTIONS[term.args[0]].body(*_typed(parts, dtype))
    if op == "/" and term.kind == "whole":
        return np.trunc(np.divide(*parts)).astype(np.int64)
    return _BODIES[op](*(_typed(parts, dtype) if op == "?" and term.kind == "real" else parts))


def _typed(parts: list[Any], dtype: np.dtype) -> list[Any]:
    """Return plain numbers as arrays of `dtype`: a function or a choice of numbers alone would give float64."""
    return [np.asarray(p, dtype) if type(p) in (float, int) else p for p in parts]


def _full(value: Any, shape: tuple[int, ...], dtype: np.dtype) -> Array:
    value = np.asarray(value, dtype)
    return value if value.shape == shape else np.array(np.broadcast_to(value, shape))
