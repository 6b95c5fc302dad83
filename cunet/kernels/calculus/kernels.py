"""Kernels that are derived from the texts of others: the gradient of an elementwise kernel, of any order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...system.messages import warn
from ..dispatch import Kernel
from ..grammar import Param, parse
from ..spec import Definition, ElementwiseSpec, ReductionSpec
from .functions import CORNERS
from .helpers import Helper
from .reading import Unreadable, read
from .rules import gradient
from .terms import COMPARISONS, Term, in_order, var
from .writing import body_of, text_of

_FLOATING = ("T", "A")


class Formulas:
    """What an elementwise kernel computes.

    Attributes:
        inputs: variables by name.
        outputs: formulas by name.
    """

    def __init__(self, spec: ElementwiseSpec, constants: Mapping[str, str]) -> None:
        name = spec.name
        raw = [p.name for p in spec.params if p.raw]
        if raw:
            raise Unreadable(f"{name}: a raw array has no derivative by its text, got raw {raw[0]}")
        types = {p.name: _read_as(name, p) for p in spec.ins}
        text = spec.smooth or spec.operation
        try:
            found = read(text, types, tuple(p.name for p in spec.outs), constants, spec.helpers)
        except Unreadable as error:
            raise Unreadable(f"{name}: its text cannot be differentiated: {error}") from None
        kinds = {"bool": "bool", "A": "real"}
        self.inputs: dict[str, Term] = {n: var(n, kinds.get(t, "whole")) for n, t in types.items()}
        self.outputs = dict(zip([p.name for p in spec.outs], found, strict=True))

    def corners(self) -> list[str]:
        """Return the functions and comparisons that may hide how smooth these formulas are."""
        order, _ = in_order(list(self.outputs.values()))
        names = [t.args[0] if t.op == "call" else t.op for t in order]
        return sorted({n for n in names if n in CORNERS or n in COMPARISONS})


def _read_as(name: str, param: Param) -> str:
    if param.type in _FLOATING:
        return "A"
    if param.type.islower() or " " in param.type:
        return param.type
    raise Unreadable(f"{name}: a parameter that is differentiated has type T or A, got {param.type} {param.name}")


def formulas(kernel: Definition) -> Formulas:
    """Return what an elementwise kernel computes, read once.

    Raises:
        Unreadable: its text is outside of the grammar; the message names the token and its line.
    """
    found = kernel.prepared.get("formulas")
    if found is None:
        if not isinstance(kernel.spec, ElementwiseSpec):
            raise Unreadable(f"{kernel.name}: the text of a {kernel.spec.kind} kernel is not differentiated")
        found = kernel.prepared["formulas"] = Formulas(kernel.spec, {})
        corners = found.corners()
        if corners and not kernel.ours and not kernel.spec.smooth:
            warn(
                f"kernel {kernel.name!r} is differentiated as it is written, branch by branch: at the points where "
                f"{', '.join(corners)} switch it has the slope of the branch that is taken there, and abs the slope 0. "
                "If what it computes is smooth there, say how it is written without these: smooth=..."
            )
    return found


def differentiable_inputs(kernel: Definition) -> list[int]:
    """Return the places of the inputs that have a gradient."""
    return [k for k, p in enumerate(kernel.spec.ins) if p.type in _FLOATING and not p.raw]


def gradient_kernel(kernel: Definition, place: int) -> Kernel | None:
    """Return the kernel that makes the gradient of an input of all inputs and of what arrives for each output.

    None: that gradient is 0 everywhere. It is an elementwise kernel too, whose own gradient is found in the same way.

    Raises:
        Unreadable: see `formulas`.
    """
    key = f"gradient {place}"
    if key not in kernel.prepared:
        kernel.prepared[key] = _gradient_kernel(kernel, place)
    return kernel.prepared[key]


def _gradient_kernel(kernel: Definition, place: int) -> Kernel | None:
    made, spec = formulas(kernel), kernel.spec
    fresh = fresh_prefix({p.name for p in spec.params})
    arriving = {name: var(fresh + name) for name in made.outputs}
    wrt = spec.ins[place]
    formula = gradient(made.inputs, made.outputs, arriving, wrt.name)
    if formula.number == 0:
        return None
    operation, preamble = text_of({fresh + wrt.name: formula})
    ins = (*spec.ins, *(Param("", p.type, fresh + p.name) for p in spec.outs))
    names = [p.name for p in ins]
    body = body_of(f"{spec.name}_by_{wrt.name}", names, [formula])
    outs = (Param("", wrt.type, fresh + wrt.name),)
    derived: dict[str, Any] = {"operation": operation, "preamble": preamble, "helpers": getattr(spec, "helpers", {})}
    return Kernel(ElementwiseSpec(body, ins, outs, **derived))


def fresh_prefix(names: set[str]) -> str:
    """Return a prefix that makes new names of all these."""
    prefix = "g_"
    while any(prefix + name in names for name in names):
        prefix = "g" + prefix
    return prefix


def from_text(
    name: str,
    ins: tuple[Param, ...],
    outs: tuple[Param, ...],
    operation: str,
    smooth: str = "",
    constants: Mapping[str, str] | None = None,
    helpers: Sequence[Helper] = (),
) -> Kernel:
    """Return a kernel of a text alone: its NumPy body is made of the text's formulas.

    Args:
        name: of the kernel.
        ins, outs: parameters.
        operation: the text.
        smooth: the one that is differentiated.
        constants: names of types in it that stand for others.
        helpers: functions that it calls.

    Raises:
        Unreadable: see `formulas`.
    """
    places = {helper.name: helper.place for helper in helpers}
    draft = ElementwiseSpec(body_of(name, [], []), ins, outs, "", operation, "", places)
    written = Formulas(draft, constants or {})
    body = body_of(name, [p.name for p in ins], list(written.outputs.values()))
    text, preamble = text_of(written.outputs)
    kernel = Kernel(ElementwiseSpec(body, ins, outs, preamble, text, smooth, places))
    kernel.ours = False
    return kernel


class Summed(NamedTuple):
    """A reduction that sums, in two steps.

    Attributes:
        map: the kernel of what is summed.
        post: the kernel that makes the outputs of the sum, its first argument.
        after: places of the inputs that only `post` reads.
        plain: whether the sum itself is the only output.
    """

    map: Kernel
    post: Kernel
    after: tuple[int, ...]
    plain: bool


def summed(kernel: Definition) -> Summed:
    """Return the steps of a reduction.

    Raises:
        Unreadable: it does something else than sum numbers, or its texts are outside of the grammar.
    """
    spec = kernel.spec
    assert isinstance(spec, ReductionSpec)
    if spec.state != "A" or re.sub(r"\s", "", spec.reduce) not in ("a+b", "b+a"):
        raise Unreadable(f"{spec.name}: only a reduction that sums numbers is differentiated, reduce='a + b'")
    after = tuple(k for k, p in enumerate(spec.ins) if re.search(rf"\b{p.name}\b", spec.post))
    ins = tuple(p for k, p in enumerate(spec.ins) if k not in after)
    mapped = from_text(f"{spec.name}_map", ins, parse("A value_"), f"value_ = {spec.map}")
    # A sum has the type of the arithmetic; to a kernel it is the data.
    whole = tuple(p._replace(type="T") for p in spec.outs)
    post = ";".join(_separated(spec.post))
    given = (*parse("T a"), *(spec.ins[k] for k in after))
    finished = from_text(f"{spec.name}_post", given, whole, post)
    plain = list(formulas(finished).outputs.values()) == [var("a")]
    return Summed(mapped, finished, after, plain)


def _separated(text: str) -> list[str]:
    """Return expressions that are joined by commas."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")") and "=" in text:
        text = text[1:-1]
    parts, depth = [""], 0
    for c in text:
        depth += (c in "([") - (c in ")]")
        if c == "," and not depth:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def from_typed_text(name: str, ins: Sequence[Any], outs: Sequence[Any], operation: str, preamble: str = "") -> Kernel:
    """Return a kernel of a text and of parameters as CuPy describes them: `name`, `ctype`, `dtype` and `raw`.

    Data of one floating type, or of one letter, become ``T``: the kernel then is for each of them.

    Raises:
        Unreadable: there are data of several types, or see `formulas`.
    """
    kinds = {p.ctype if p.dtype is None else p.dtype for p in (*ins, *outs) if p.dtype is None or _is_real(p.dtype)}
    if len(kinds) != 1:
        got = ", ".join(sorted(str(np.dtype(k)) if isinstance(k, type) else str(k) for k in kinds))
        raise Unreadable(f"{name}: data of one floating type are differentiated, got {got or 'none'}")
    (data,) = kinds
    params = [[Param("raw" * bool(p.raw), _type_for(p, data), p.name) for p in group] for group in (ins, outs)]
    letters = {data: "T"} if isinstance(data, str) else {}
    try:
        return from_text(name, tuple(params[0]), tuple(params[1]), operation, constants=letters)
    except Unreadable as error:
        hint = "; functions of a preamble are not known" if preamble else ""
        raise Unreadable(f"{error}{hint}") from None


def _is_real(dtype: Any) -> bool:
    return np.dtype(dtype).kind == "f"


def _type_for(p: Any, data: Any) -> str:
    return "T" if p.dtype is None or _is_real(p.dtype) else np.dtype(p.dtype).name
