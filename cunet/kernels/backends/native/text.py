"""What C++ texts of kernels share: types, the mathematics before them, and which kernels have a body for the CPU."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...grammar import Param
from ...spec import Definition, KernelSpec, ReductionSpec, TwoPass, Warps
from ..numpy import erf_tables

SOURCES = Path(__file__).parent / "src"
#: Types that may stand in parameter lists, as NumPy's type characters (longlong and long are one here).
TYPES = {
    "float32": "f", "float": "f", "float64": "d", "double": "d", "int32": "i", "int": "i", "uint32": "I",
    "int64": "l", "uint64": "L", "long long": "l", "bool": "?",
}  # fmt: skip
DTYPES = {"f": np.float32, "d": np.float64, "i": np.int32, "I": np.uint32, "l": np.int64, "L": np.uint64, "?": np.bool_}
C = {"f": "float", "d": "double", "i": "int", "I": "unsigned", "l": "long long", "L": "unsigned long long",
      "?": "bool"}  # fmt: skip
#: What only a GPU has: such kernels stay with NumPy.
_GPU_ONLY = re.compile(r"__sync|__shfl|__shared__|atomic|threadIdx|blockIdx|blockDim|warpSize|__ldg|_ind\b|\bsize\(\)")


class Part(NamedTuple):
    """A text that knows of no other one, and its name in the log."""

    name: str
    text: str


class Unit(NamedTuple):
    """What becomes one library, which is found by each of its parts.

    Attributes:
        head: text before all of them.
        parts: what it is made of.
    """

    head: str
    parts: tuple[Part, ...]

    def text(self) -> str:
        """Return all of it."""
        return self.head + "".join(part.text for part in self.parts)


def single(name: str, text: str) -> Unit:
    """Return the unit of one text."""
    return Unit("", (Part(name, text),))


def letter(param: Param, wide: np.dtype) -> str:
    """Return the type of a parameter, "" if it has none here."""
    return wide.char if param.type in ("T", "A") else TYPES.get(param.type, "")


def source(*names: str) -> str:
    """Return the text of files of hand-written C++, one after the other."""
    return "".join((SOURCES / name).read_text(encoding="utf-8") for name in names)


@functools.cache
def header() -> str:
    """Return what stands before all kernels: the mathematics."""
    parts = [source("math.h").replace("#pragma once\n", "")]
    for char, t in (("f", "float"), ("d", "double")):
        erf: erf_tables.Ratio = erf_tables.ATANH_ERF32 if char == "f" else erf_tables.ATANH_ERF64
        cut = "16.0f" if char == "f" else "36.0"
        parts.append(f"""
CUNET_INLINE {t} erf({t} x) {{
  {t} s = x * x;
  s = s > {cut} ? {cut} : s;
  const double q = {"(double)" if char == "f" else ""}mad(x, {_ratio(erf[0], t)} / {_ratio(erf[1], t)}, x);
  return ({t})tanh_of(q);
}}""")
        for name, tails in (("erfc", erf_tables.ERFC), ("normcdf", erf_tables.NORMAL)):
            factor, offset, (above, below), end = tails[char]
            total, sign = ("1", ">") if name == "normcdf" else ("2", "<")
            parts.append(f"""
CUNET_INLINE {t} {name}({t} x, {t}* gauss) {{
  {t} s = fabs(x);
  s = s > {t}({end}) ? {t}({end}) : s;
  *gauss = gauss_of<{t}>(s, {factor});
  const {t} tail = tail_of<{t}>(s, *gauss, {offset}, {_ratio(above, t)}, {_ratio(below, t)});
  return x {sign} 0 ? {total} - tail : tail;
}}
CUNET_INLINE {t} {name}({t} x) {{ {t} gauss; return {name}(x, &gauss); }}""")
    return "\n".join(parts) + "\n}  // namespace cunet\n"


def _ratio(coefficients: Sequence[float], t: str) -> str:
    return f"horner<{t}>(s, {', '.join(f'{t}({c!r})' for c in coefficients)})"


def supported(kernel: Definition, wide: np.dtype) -> bool:
    """Tell whether the text of a kernel can be compiled for the CPU."""
    spec, attached = kernel.spec, kernel.attached.get("native")
    if any(not letter(p, wide) for p in spec.params) or len(spec.params) > 30:
        return False
    if not isinstance(attached, Warps) and not _has_rows(kernel):
        return False
    texts = [spec.preamble, *spec.texts(), *_flat(attached or ())]
    return not any(_GPU_ONLY.search(text) for text in texts)


def _has_rows(kernel: Definition) -> bool:
    """Tell whether there is an array that says over which rows to go, and no output is written anywhere else."""
    spec = kernel.spec
    if spec.kind == "reduction":
        return True
    if spec.kind == "grid":
        return getattr(spec, "space", ()) == ("row", "column")
    given = [p for p in spec.params if not p.raw and p.type not in ("A", "int32")]
    return bool(given) and given[0] in spec.ins and not any(p.raw for p in spec.outs)


def _flat(texts: Any) -> Iterator[str]:
    """Return all the texts in a text, or in tuples of them."""
    if isinstance(texts, str):
        yield texts
    else:
        for part in texts:
            yield from _flat(part)


def symbol(kernel: Definition, wide: np.dtype) -> str:
    """Return the name under which the compiled function is found."""
    return f"cunet_{re.sub(r'[^0-9A-Za-z]', '_', kernel.name)}_{wide.char}"


_MATHS = re.compile(r"\b(exp|expm1|log|log1p|tanh|erf|erfc|normcdf|pow|sin|cos|softmax_join|moments_join|philox4x64)\b")


def cost(spec: KernelSpec, *texts: str) -> int:
    """Return the rough cost of an element by these texts, in tenths of nanoseconds."""
    calls = len(_MATHS.findall(" ".join(texts)))
    return len(spec.params) // 2 + 5 * calls + "".join(texts).count("/")


DATA, FACTOR, COLUMN_FACTOR = range(3)  # the numbers of `Loose` in the runtime


def role(kernel: Definition, param: Param) -> int:
    """Return what a parameter is to the loops.

    DATA: an array that walks along; FACTOR: data, or one number a row, as factors and statistics are; COLUMN_FACTOR: it
    may be an array along a row where others are one number.
    """
    if param.type == "T" or param.raw or param not in kernel.spec.ins or post_only(kernel, param):
        return DATA
    return COLUMN_FACTOR if param.place == "col" else FACTOR


def post_only(kernel: Definition, param: Param) -> bool:
    """Tell whether a parameter of a reduction is used after the fold only, where it must be a number."""
    spec = kernel.spec
    return isinstance(spec, ReductionSpec) and param in spec.ins and bool(re.search(rf"\b{param.name}\b", spec.post))


def variants(kernel: Definition) -> list[tuple[str, list[Param]]]:
    """Return the variants of a function over rows, and which parameters are one number a row in each."""
    roles = {p: role(kernel, p) for p in kernel.spec.ins}
    single, some = [p for p, k in roles.items() if k], [p for p, k in roles.items() if k == FACTOR]
    forms: list[tuple[str, list[Param]]] = [("many", [])]
    if single:
        forms.append(("few", single))
    if len(some) < len(single):
        forms.append(("mixed", some))
    return forms


def two_pass(kernel: Definition) -> TwoPass | None:
    """Return the two passes that are attached to a reduction."""
    attached = kernel.attached.get("native")
    return attached if isinstance(attached, TwoPass) else None
