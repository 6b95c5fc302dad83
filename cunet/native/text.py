"""From the CUDA text of kernels to C++ for the CPU: one function per kernel that works on a piece of its arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
    names = ("operation", "map", "reduce", "post")
    texts = [kernel.preamble, *(getattr(kernel, name, "") for name in names), *flat(getattr(kernel, "cpu", None) or "")]
    return not any(_GPU_ONLY.search(text) for text in texts)


def flat(texts: Any) -> Iterator[str]:
    """Return all the texts in a text, or in tuples of them."""
    if isinstance(texts, str):
        yield texts
    else:
        for part in texts:
            yield from flat(part)


def symbol(kernel: Any, wide: np.dtype) -> str:
    """Return the name under which the compiled function is found."""
    return f"cunet_{re.sub(r'[^0-9A-Za-z]', '_', kernel.name)}_{wide.char}"


def loose_of(kernel: Any, param: Any) -> int:
    """Return 0 for the data; for factors and statistics 1, or 2 if they may be arrays along a row where others are not.

    The numbers are those of `Loose` in the runtime.
    """
    if param.type == "T" or param.raw or param not in kernel.ins or late(kernel, param):
        return 0
    return 2 if param.name in kernel.along else 1


def late(kernel: Any, param: Any) -> bool:
    """Tell whether a parameter of a reduction is used after the fold only, where it must be a number."""
    return hasattr(kernel, "reduce") and param in kernel.ins and bool(re.search(rf"\b{param.name}\b", kernel.post))


def variants(kernel: Any) -> list[tuple[str, list[Any]]]:
    """Return the forms of a function over rows, and which parameters are one number a row in each."""
    loose = {p: loose_of(kernel, p) for p in kernel.ins}
    single, some = [p for p, k in loose.items() if k], [p for p, k in loose.items() if k == 1]
    forms: list[tuple[str, list[Any]]] = [("many", [])]
    if single:
        forms.append(("few", single))
    if len(some) < len(single):
        forms.append(("mixed", some))
    return forms


def elementwise_text(kernel: Any, wide: np.dtype) -> str:
    """Return the C++ of an elementwise kernel, which works on rows.

    ``many`` takes all arrays as pointers to consecutive elements. In ``few``, the ones that are not of the data's
    type are single numbers, which is what factors and the statistics of a row are. In ``mixed`` some are.
    """
    _, _, operation, preamble = kernel.device_text(wide)
    operation = kernel.cpu or operation
    parts = [f"namespace cunet {{ namespace {symbol(kernel, wide)}_space {{", f"typedef {_C[wide.char]} T;", preamble]
    for name, single in variants(kernel):
        parts.append(_function(kernel, wide, name, single, operation))
    parts.append("} }")
    return "\n".join(parts) + "\n"


def _function(kernel: Any, wide: np.dtype, name: str, single: Sequence[Any], operation: str) -> str:
    before, row, load, store = [], [], [], []
    outs = set(kernel.outs)
    for k, p in enumerate((*kernel.ins, *kernel.outs)):
        t = _C[letter(p, wide) or "f"]
        const = "" if p in outs else "const "
        inner = f"{p.name}_" if p.type == "T" else p.name
        here = f"((char*)_p[{k}] + _r * _steps[{k}])"
        if p.raw:
            before.append(f"{const}{t}* const {p.name} = ({const}{t}*)_p[{k}];")
        elif p in single:
            row.append(f"const {t} {inner} = *(const {t}*){here};")
        else:
            row.append(f"{const}{t}* __restrict _p{k} = ({const}{t}*){here};")
            if p not in outs:
                load.append(f"const {t} {inner} = _p{k}[_j];")
            else:
                load.append(f"{t} {inner} = _p{k}[_j];" if kernel.in_place else f"{t} {inner};")
                store.append(f"_p{k}[_j] = {inner};")
    return f"""extern "C" void {symbol(kernel, wide)}_{name}(void* const* _p, const long* _steps, long _rows, long _n, long _at) {{
  {" ".join(before)}
  for (long _r = 0; _r < _rows; ++_r, _at += _n) {{
    {" ".join(row)}
    {"" if any(p.raw for p in (*kernel.ins, *kernel.outs)) else "CUNET_INDEPENDENT"}
    for (long _j = 0; _j < _n; ++_j) {{
      const long long i = _at + _j; (void)i;
      {" ".join(load)}
      {{ {operation}; }}
      {" ".join(store)}
    }}
  }}
}}"""


_STRUCT = r"struct\s+%s\s*\{\s*((?:A\s+[\w\s,]+;\s*)+)"
_LANES = 64  # running values of a row: as many as stay in registers


def fields(state: str, preamble: str) -> list[str] | None:
    """Return the members of a reduction's running value, [] for a plain ``A``, None if it cannot be taken apart."""
    if state == "A":
        return []
    found = re.search(_STRUCT % re.escape(state), preamble)
    return re.findall(r"\w+", re.sub(r"\bA\b", "", found.group(1))) if found else None


class _Fold:
    """One fold of a reduction in C++: its running value, whose members lie apart, so that neighbours are a vector."""

    def __init__(self, kernel: Any, fold: Any, wide: np.dtype, label: str) -> None:
        self.kernel, self.fold, self.label = kernel, fold, label
        self.names = fields(fold.type, kernel.preamble)
        self.count = max(1, len(self.names or ()))
        self.ins = [(k, p, _C[letter(p, wide) or "f"]) for k, p in enumerate(kernel.ins) if not late(kernel, p)]
        self.found = " const A found = _found[_j];" if kernel.cpu and fold is kernel.cpu.second else ""

    def types(self) -> str:
        """Return the declaration of the running value and of how it is read."""
        state = f"typedef {self.fold.type} {self.label}State;"
        reads = " ".join(f"v.{name} = _s[{k} * _pitch];" for k, name in enumerate(self.names or ()))
        body = f"{self.label}State v; {reads} return v;" if self.names else "return *_s;"
        return f"{state}\nCUNET_INLINE {self.label}State {self.label}get(const A* _s, long _pitch) {{ {body} }}"

    def put(self, place: str, pitch: str, value: str, array: str = "_s") -> str:
        """Return what stores a running value."""
        if not self.names:
            return f"{array}[{place}] = {value};"
        return f"const {self.label}State _v = {value}; " + " ".join(
            f"{array}[{k} * {pitch} + {place}] = _v.{name};" for k, name in enumerate(self.names)
        )

    def join(self, place: str, pitch: str, other: str, array: str = "_s") -> str:
        """Return what folds `other` into a running value."""
        state = f"{self.label}State"
        value = f"const {state} a = {self.label}get({array} + {place}, {pitch}), b = {other};"
        return "{ " + value + " " + self.put(place, pitch, self.fold.reduce, array) + " }"

    def columns(self, name: str) -> list[str]:
        """Return the functions that start and fold columns, each with a running value of its own."""
        start = f"""void {name}_{self.label}start(void* _state, long _pitch, long _n) {{
  A* __restrict _s = (A*)_state;
  for (long _j = 0; _j < _n; ++_j) {{ {self.put("_j", "_pitch", f"{self.label}State({self.fold.identity})")} }}
}}"""
        forms = variants(self.kernel)[:2]
        return [start, *(self._columns(name, form, single) for form, single in forms)]

    def _columns(self, name: str, form: str, single: Sequence[Any]) -> str:
        arrays = [entry for entry in self.ins if entry[1] not in single]
        point = " ".join(f"const {t}* __restrict _p{k} = (const {t}*)_p[{k}];" for k, _, t in self.ins)
        step = " ".join(f"_p{k} += _steps[{k}];" for k, _, _ in self.ins)
        held = " ".join(f"const {t} {p.name} = *_p{k};" for k, p, t in self.ins if p in single)
        load = " ".join(f"const {t} {p.name} = _p{k}[_j];" for k, p, t in arrays)
        other = f"{self.label}State({self.fold.map})"
        return f"""void {name}_{self.label}fold_{form}(void* const* _p, const long* _steps, long _count, long _n,
    void* _state, long _pitch, const void* _before) {{
  A* __restrict _s = (A*)_state; const A* __restrict _found = (const A*)_before;
  {point}
  for (long _t = 0; _t < _count; ++_t) {{
    {held}
    CUNET_INDEPENDENT
    for (long _j = 0; _j < _n; ++_j) {{ {load}{self.found} {self.join("_j", "_pitch", other)} }}
    {step}
  }}
}}"""

    def row(self, arrays: Sequence[tuple[int, Any, str]]) -> str:
        """Return the lines that fold a row in lanes, into ``_s[0]``: the order depends on its length only."""
        load = " ".join(f"const {t} {p.name} = _p{k}[_at + _j];" for k, p, t in arrays)
        other = f"{self.label}State({self.fold.map})"
        halve = self.join(
            "_j", str(_LANES), f"{self.label}get({self.label}acc + _w + _j, {_LANES})", f"{self.label}acc"
        )
        fold = f"{load} {self.join('_j', str(_LANES), other, f'{self.label}acc')}"
        fresh = self.put("_j", str(_LANES), f"{self.label}State({self.fold.identity})", f"{self.label}acc")
        return f"""A {self.label}acc[{self.count * _LANES}];
    for (int _j = 0; _j < {_LANES}; ++_j) {{ {fresh} }}
    {{
      long _at = 0;
      for (; _at + {_LANES} <= n; _at += {_LANES}) {{
        CUNET_INDEPENDENT
        for (int _j = 0; _j < {_LANES}; ++_j) {{ {fold} }}
      }}
      CUNET_INDEPENDENT
      for (int _j = 0; _j < n - _at; ++_j) {{ {fold} }}
    }}
    for (int _w = {_LANES // 2}; _w >= 1; _w /= 2) {{
      CUNET_INDEPENDENT
      for (int _j = 0; _j < _w; ++_j) {halve}
    }}"""


def reduction_text(kernel: Any, wide: np.dtype) -> str:
    """Return the C++ of a reduction: functions that fold columns, and some that fold rows."""
    name, t = symbol(kernel, wide), _C[wide.char]
    folds = [_Fold(kernel, kernel.cpu.first, wide, "first_")] if kernel.cpu else []
    folds.append(_Fold(kernel, kernel.cpu.second if kernel.cpu else kernel.fold, wide, ""))
    parts = [f"namespace cunet {{ namespace {name}_space {{", f"typedef {t} T;", f"typedef {t} A;", kernel.preamble]
    parts += [f.types() for f in folds]
    parts.append('extern "C" {')
    for f in folds:
        parts += f.columns(name)
    if kernel.cpu:
        parts.append(f"""void {name}_found(const void* _state, long _pitch, long _n, long n, void* _found) {{
  const A* __restrict _s = (const A*)_state;
  for (long _j = 0; _j < _n; ++_j) {{ const first_State a = first_get(_s + _j, _pitch); ((A*)_found)[_j] = {kernel.cpu.found}; }}
}}""")
    numbers = " ".join(
        f"const {_C[letter(p, wide) or 'f']} {p.name} = *(const {_C[letter(p, wide) or 'f']}*)_p[{k}];"
        for k, p in enumerate(kernel.ins) if late(kernel, p)
    )  # fmt: skip
    outs = [(len(kernel.ins) + k, p, _C[letter(p, wide) or "f"]) for k, p in enumerate(kernel.outs)]
    targets = " ".join(f"{t}* __restrict _p{k} = ({t}*)_p[{k}];" for k, _, t in outs)
    post = " ".join(f"{t} {p.name};" for _, p, t in outs) + f" {kernel.cpu.post if kernel.cpu else kernel.post}; "
    found = " const A found = ((const A*)_found)[_j];" if kernel.cpu else ""
    parts.append(f"""void {name}_finish(const void* _state, long _pitch, long _n, long n, const void* _found, void* const* _p) {{
  const A* __restrict _s = (const A*)_state;
  {targets} {numbers}
  for (long _j = 0; _j < _n; ++_j) {{
    const State a = get(_s + _j, _pitch);{found}
    {post}{" ".join(f"_p{k}[_j] = {p.name};" for k, p, _ in outs)}
  }}
}}""")
    for form, single in variants(kernel):
        arrays = [entry for entry in folds[-1].ins if entry[1] not in single]
        row = [f"const {t}* __restrict _p{k} = (const {t}*)((char*)_p[{k}] + _r * _steps[{k}]);" for k, _, t in arrays]
        row += [f"const {t} {p.name} = *(const {t}*)((char*)_p[{k}] + _r * _steps[{k}]);"
                for k, p, t in folds[-1].ins if p in single]  # fmt: skip
        find = ["A found; {", folds[0].row(arrays), f"const first_State a = first_get(first_acc, {_LANES});",
                f"found = {kernel.cpu.found}; }}"] if kernel.cpu else []  # fmt: skip
        parts.append(f"""void {name}_rows_{form}(void* const* _p, const long* _steps, long _rows, long n) {{
  {targets} {numbers}
  for (long _r = 0; _r < _rows; ++_r) {{
    {" ".join(row)}
    {" ".join(find)}
    {folds[-1].row(arrays)}
    const State a = get(acc, {_LANES});
    {post}{" ".join(f"_p{k}[_r] = {p.name};" for k, p, _ in outs)}
  }}
}}""")
    return "\n".join(parts) + "\n}\n} }\n"
