"""From the CUDA text of kernels to C++ for the CPU: one function per kernel that works on a piece of its arrays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import special

HERE = Path(__file__).parent
#: Types that may stand in parameter lists, as NumPy's type characters (longlong and long are one here).
TYPES = {
    "float32": "f", "float": "f", "float64": "d", "double": "d", "int32": "i", "int": "i", "uint32": "I",
    "int64": "l", "uint64": "L", "long long": "l", "bool": "?",
}  # fmt: skip
DTYPES = {"f": np.float32, "d": np.float64, "i": np.int32, "I": np.uint32, "l": np.int64, "L": np.uint64, "?": np.bool_}
_C = {"f": "float", "d": "double", "i": "int", "I": "unsigned", "l": "long long", "L": "unsigned long long",
      "?": "bool"}  # fmt: skip
#: What only a GPU has: such kernels stay with NumPy.
_GPU_ONLY = re.compile(r"__sync|__shfl|__shared__|atomic|threadIdx|blockIdx|blockDim|warpSize|__ldg|_ind\b|\bsize\(\)")


def letter(param: Any, wide: np.dtype) -> str | None:
    """Return the type of a parameter, or None if it has none here."""
    return wide.char if param.type in ("T", "A") else TYPES.get(param.type)


def header() -> str:
    """Return what stands before all kernels: the mathematics."""
    parts = [(HERE / "math.h").read_text().replace("#pragma once\n", "")]
    for char, t in (("f", "float"), ("d", "double")):
        erf: special.Ratio = special.ATANH_ERF32 if char == "f" else special.ATANH_ERF64
        cut = "16.0f" if char == "f" else "36.0"
        parts.append(f"""
CUNET_INLINE {t} erf({t} x) {{
  {t} s = x * x;
  s = s > {cut} ? {cut} : s;
  const double q = {"(double)" if char == "f" else ""}mad(x, {_ratio(erf[0], t)} / {_ratio(erf[1], t)}, x);
  return ({t})tanh_of(q);
}}""")
        for name, tails in (("erfc", special._ERFC), ("normcdf", special._NORMAL)):
            factor, offset, (above, below), end = tails[char]
            total, sign = ("1", ">") if name == "normcdf" else ("2", "<")
            parts.append(f"""
CUNET_INLINE {t} {name}({t} x) {{
  {t} s = fabs(x);
  s = s > {t}({end}) ? {t}({end}) : s;
  const {t} tail = tail_of<{t}>(s, {factor}, {offset}, {_ratio(above, t)}, {_ratio(below, t)});
  return x {sign} 0 ? {total} - tail : tail;
}}""")
    return "\n".join(parts) + "\n}  // namespace cunet\n"


def _ratio(coefficients: Sequence[float], t: str) -> str:
    return f"horner<{t}>(s, {', '.join(f'{t}({c!r})' for c in coefficients)})"


def supported(kernel: Any, wide: np.dtype) -> bool:
    """Tell whether a kernel has a body for the CPU."""
    params = (*kernel.ins, *kernel.outs)
    if any(letter(p, wide) is None for p in params) or len(params) > 30:
        return False
    texts = [kernel.preamble, *(getattr(kernel, name, "") for name in ("cpu", "operation", "map", "reduce", "post"))]
    return not any(_GPU_ONLY.search(text) for text in texts)


def symbol(kernel: Any, wide: np.dtype) -> str:
    """Return the name under which the compiled function is found."""
    return f"cunet_{re.sub(r'[^0-9A-Za-z]', '_', kernel.name)}_{wide.char}"


def elementwise_text(kernel: Any, wide: np.dtype) -> str:
    """Return the C++ of an elementwise kernel.

    ``many`` takes all arrays as pointers to consecutive elements. In ``few``, the ones that are not of the data's
    type are single numbers, which is what factors and the statistics of a row are.
    """
    _, _, operation, preamble = kernel.device_text(wide)
    operation = kernel.cpu or operation
    loose = [p for p in kernel.ins if p.type != "T" and not p.raw]
    parts = [f"namespace cunet {{ namespace {symbol(kernel, wide)}_space {{", f"typedef {_C[wide.char]} T;", preamble]
    functions = [("many", [])] + ([("few", loose)] if loose else [])
    for name, single in functions:
        parts.append(_function(kernel, wide, name, single, operation))
    parts.append("} }")
    for name, _ in functions:
        parts.append(
            f'extern "C" void {symbol(kernel, wide)}_{name}(void* const* p, long n, long at) '
            f"{{ cunet::{symbol(kernel, wide)}_space::{name}(p, n, at); }}"
        )
    return "\n".join(parts) + "\n"


def _function(kernel: Any, wide: np.dtype, name: str, single: Sequence[Any], operation: str) -> str:
    before, load, store = [], [], []
    outs = set(kernel.outs)
    for k, p in enumerate((*kernel.ins, *kernel.outs)):
        t = _C[letter(p, wide) or "f"]
        const = "" if p in outs else "const "
        inner = f"{p.name}_" if p.type == "T" else p.name
        if p.raw:
            before.append(f"{const}{t}* const {p.name} = ({const}{t}*)_p[{k}];")
        elif p in single:
            before.append(f"const {t} {inner} = *(const {t}*)_p[{k}];")
        else:
            before.append(f"{const}{t}* __restrict _p{k} = ({const}{t}*)_p[{k}];")
            if p not in outs:
                load.append(f"const {t} {inner} = _p{k}[_j];")
            else:
                load.append(f"{t} {inner} = _p{k}[_j];" if kernel.in_place else f"{t} {inner};")
                store.append(f"_p{k}[_j] = {inner};")
    return f"""static void {name}(void* const* _p, long _n, long _at) {{
  {" ".join(before)}
  {"" if any(p.raw for p in (*kernel.ins, *kernel.outs)) else "CUNET_INDEPENDENT"}
  for (long _j = 0; _j < _n; ++_j) {{
    const long long i = _at + _j; (void)i;
    {" ".join(load)}
    {{ {operation}; }}
    {" ".join(store)}
  }}
}}"""


_STRUCT = r"struct\s+%s\s*\{\s*((?:A\s+[\w\s,]+;\s*)+)"


def fields(kernel: Any) -> list[str] | None:
    """Return the members of a reduction's running value, [] for a plain ``A``, None if it cannot be taken apart."""
    if kernel.reduce_type == "A":
        return []
    found = re.search(_STRUCT % re.escape(kernel.reduce_type), kernel.preamble)
    return re.findall(r"\w+", re.sub(r"\bA\b", "", found.group(1))) if found else None


def reduction_text(kernel: Any, wide: np.dtype) -> str:
    """Return the C++ of a reduction: it folds columns, each with a running value of its own.

    The members of the running values lie apart, each `pitch` long, so that neighbouring columns are one vector.
    """
    names = fields(kernel)
    a_type = _C[wide.char]
    parts = [f"namespace cunet {{ namespace {symbol(kernel, wide)}_space {{", f"typedef {a_type} T;"]
    parts += [f"typedef {a_type} A;", kernel.preamble, f"typedef {kernel.reduce_type} State;"]

    def get(place: str) -> str:
        if not names:
            return f"_s[{place}]"
        return f"get(_s + {place}, _pitch)"

    def put(place: str, value: str) -> str:
        if not names:
            return f"_s[{place}] = {value};"
        return f"const State _v = {value}; " + " ".join(
            f"_s[{k} * _pitch + {place}] = _v.{name};" for k, name in enumerate(names)
        )

    if names:
        reads = " ".join(f"v.{name} = _s[{k} * _pitch];" for k, name in enumerate(names))
        parts.append(f"CUNET_INLINE State get(const A* _s, long _pitch) {{ State v; {reads} return v; }}")
    ins = [(k, p, _C[letter(p, wide) or "f"]) for k, p in enumerate(kernel.ins)]
    point = " ".join(f"const {t}* __restrict _p{k} = (const {t}*)_p[{k}];" for k, _, t in ins)
    load = " ".join(f"const {t} {p.name} = _p{k}[_j];" for k, p, t in ins)
    step = " ".join(f"_p{k} += _steps[{k}];" for k, _, _ in ins)
    outs = [(len(kernel.ins) + k, p, _C[letter(p, wide) or "f"]) for k, p in enumerate(kernel.outs)]
    used = [(k, p, t) for k, p, t in ins if re.search(rf"\b{p.name}\b", kernel.post)]
    numbers = " ".join(f"const {t} {p.name} = *(const {t}*)_p[{k}];" for k, p, t in used)
    targets = " ".join(f"{t}* __restrict _p{k} = ({t}*)_p[{k}];" for k, p, t in outs)
    declare = " ".join(f"{t} {p.name};" for _, p, t in outs)
    store = " ".join(f"_p{k}[_j] = {p.name};" for k, p, _ in outs)
    name = symbol(kernel, wide)
    parts.append(f"""extern "C" {{
void {name}_start(void* _state, long _pitch, long _n) {{
  A* __restrict _s = (A*)_state;
  for (long _j = 0; _j < _n; ++_j) {{ {put("_j", f"State({kernel.identity})")} }}
}}
void {name}_fold(void* const* _p, const long* _steps, long _count, long _n, void* _state, long _pitch) {{
  A* __restrict _s = (A*)_state;
  {point}
  for (long _t = 0; _t < _count; ++_t) {{
    CUNET_INDEPENDENT
    for (long _j = 0; _j < _n; ++_j) {{
      {load}
      const State a = {get("_j")}, b = State({kernel.map});
      {put("_j", kernel.reduce)}
    }}
    {step}
  }}
}}
void {name}_halve(void* _state, long _pitch, long _n) {{
  A* __restrict _s = (A*)_state;
  CUNET_INDEPENDENT
  for (long _j = 0; _j < _n; ++_j) {{
    const State a = {get("_j")}, b = {get("(_n + _j)")};
    {put("_j", kernel.reduce)}
  }}
}}
void {name}_finish(const void* _state, long _pitch, long _n, void* const* _p) {{
  const A* __restrict _s = (const A*)_state;
  {targets} {numbers}
  for (long _j = 0; _j < _n; ++_j) {{
    const State a = {get("_j")};
    {declare}
    {kernel.post};
    {store}
  }}
}}
}}""")
    return "\n".join(parts) + "\n} }\n"
