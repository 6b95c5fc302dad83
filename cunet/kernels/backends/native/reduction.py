"""From the CUDA text of reductions to C++ for the CPU: functions that fold columns, and functions that fold rows."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ...grammar import Param
from ...spec import Definition, Fold, ReductionSpec
from .text import C, letter, post_only, symbol, two_pass, variants

_STRUCT = r"struct\s+%s\s*\{\s*((?:A\s+[\w\s,]+;\s*)+)"
_LANES = 64  # running values of a row: as many as stay in registers
Operand = tuple[int, Param, str]  # where it stands, the parameter, its C type


def fields(state: str, preamble: str) -> list[str] | None:
    """Return the members of a reduction's running value, [] for a plain ``A``, None if it cannot be taken apart."""
    if state == "A":
        return []
    found = re.search(_STRUCT % re.escape(state), preamble)
    return re.findall(r"\w+", re.sub(r"\bA\b", "", found.group(1))) if found else None


def preamble_of(kernel: Definition) -> str:
    """Return what stands before the text of a reduction on a processor."""
    passes = two_pass(kernel)
    return kernel.spec.preamble + (passes.preamble if passes else "")


class _Fold:
    """One fold of a reduction in C++: its running value, whose members lie apart, so that neighbours are a vector."""

    def __init__(self, kernel: Definition, fold: Fold, wide: np.dtype, label: str) -> None:
        self.kernel, self.fold, self.label = kernel, fold, label
        self.names = fields(fold.state, preamble_of(kernel))
        self.count = max(1, len(self.names or ()))
        self.ins = [(k, p, C[letter(p, wide)]) for k, p in enumerate(kernel.spec.ins) if not post_only(kernel, p)]
        passes = two_pass(kernel)
        self.pivot = " const A pivot = _pivot[_j];" if passes and fold is passes.second else ""

    def types(self) -> str:
        """Return the declaration of the running value and of how it is read."""
        state = f"typedef {self.fold.state} {self.label}State;"
        reads = " ".join(f"v.{name} = _s[{k} * _pitch];" for k, name in enumerate(self.names or ()))
        body = f"{self.label}State v; {reads} return v;" if self.names else "return *_s;"
        return f"{state}\nCUNET_INLINE {self.label}State {self.label}get(const A* _s, int64_t _pitch) {{ {body} }}"

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
        start = f"""void {name}_{self.label}start(void* _state, int64_t _pitch, int64_t _n) {{
  A* __restrict _s = (A*)_state;
  for (int64_t _j = 0; _j < _n; ++_j) {{ {self.put("_j", "_pitch", f"{self.label}State({self.fold.identity})")} }}
}}"""
        forms = variants(self.kernel)[:2]
        return [start, *(self._columns(name, form, single) for form, single in forms)]

    def _columns(self, name: str, form: str, single: Sequence[Param]) -> str:
        arrays = [entry for entry in self.ins if entry[1] not in single]
        point = " ".join(f"const {t}* __restrict _p{k} = (const {t}*)_p[{k}];" for k, _, t in self.ins)
        step = " ".join(f"_p{k} += _steps[{k}];" for k, _, _ in self.ins)
        held = " ".join(f"const {t} {p.name} = *_p{k};" for k, p, t in self.ins if p in single)
        load = " ".join(f"const {t} {p.name} = _p{k}[_j];" for k, p, t in arrays)
        other = f"{self.label}State({self.fold.map})"
        return f"""void {name}_{self.label}fold_{form}(void* const* _p, const int64_t* _steps, int64_t _count,
    int64_t _n, void* _state, int64_t _pitch, const void* _before) {{
  A* __restrict _s = (A*)_state; const A* __restrict _pivot = (const A*)_before;
  {point}
  for (int64_t _t = 0; _t < _count; ++_t) {{
    {held}
    CUNET_INDEPENDENT
    for (int64_t _j = 0; _j < _n; ++_j) {{ {load}{self.pivot} {self.join("_j", "_pitch", other)} }}
    {step}
  }}
}}"""

    def row(self, arrays: Sequence[Operand]) -> str:
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
      int64_t _at = 0;
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


def text_of(kernel: Definition, wide: np.dtype) -> str:
    """Return the C++ of a reduction: functions that fold columns, and some that fold rows."""
    name, t, passes, spec = symbol(kernel, wide), C[wide.char], two_pass(kernel), kernel.spec
    assert isinstance(spec, ReductionSpec)
    folds = [_Fold(kernel, passes.first, wide, "first_")] if passes else []
    folds.append(_Fold(kernel, passes.second if passes else spec.fold, wide, ""))
    parts = [f"namespace cunet {{ namespace {name}_space {{", f"typedef {t} T;", f"typedef {t} A;", preamble_of(kernel)]
    parts += [*(f.types() for f in folds), 'extern "C" {']
    for f in folds:
        parts += f.columns(name)
    results = _Results(kernel, wide)
    parts += _finish(name, kernel, results)
    forms = variants(kernel)
    forms = forms[1:] if forms[-1][0] == "mixed" else forms  # they take int64_t to compile
    parts += [_rows(name, kernel, folds, results, form, single) for form, single in forms]
    return "\n".join(parts) + "\n}\n} }\n"


class _Results:
    """The lines that make the outputs of a reduction from its running value ``a``."""

    def __init__(self, kernel: Definition, wide: np.dtype) -> None:
        spec = kernel.spec
        assert isinstance(spec, ReductionSpec)
        outs = [(len(spec.ins) + k, p, C[letter(p, wide)]) for k, p in enumerate(spec.outs)]
        after = [(k, p, C[letter(p, wide)]) for k, p in enumerate(spec.ins) if post_only(kernel, p)]
        self.before = " ".join(
            [f"{t}* __restrict _p{k} = ({t}*)_p[{k}];" for k, _, t in outs]
            + [f"const {t} {p.name} = *(const {t}*)_p[{k}];" for k, p, t in after]
        )
        self.post = " ".join(f"{t} {p.name};" for _, p, t in outs) + f" {(two_pass(kernel) or spec).post}; "
        self.outs = outs

    def store(self, place: str) -> str:
        """Return what computes and stores the outputs at `place`."""
        return self.post + " ".join(f"_p{k}[{place}] = {p.name};" for k, p, _ in self.outs)


def _finish(name: str, kernel: Definition, results: _Results) -> list[str]:
    """Return the functions that are called after a fold of columns."""
    parts, passes = [], two_pass(kernel)
    if passes:
        parts.append(f"""void {name}_between(const void* _state, int64_t _pitch, int64_t _n, int64_t n, void* _pivot) {{
  const A* __restrict _s = (const A*)_state;
  for (int64_t _j = 0; _j < _n; ++_j) {{
    const first_State a = first_get(_s + _j, _pitch);
    ((A*)_pivot)[_j] = {passes.pivot};
  }}
}}""")
    pivot = " const A pivot = ((const A*)_pivot)[_j];" if passes else ""
    parts.append(f"""void {name}_finish(const void* _state, int64_t _pitch, int64_t _n, int64_t n, const void* _pivot,
    void* const* _p) {{
  const A* __restrict _s = (const A*)_state;
  {results.before}
  for (int64_t _j = 0; _j < _n; ++_j) {{
    const State a = get(_s + _j, _pitch);{pivot}
    {results.store("_j")}
  }}
}}""")
    return parts


def _rows(
    name: str, kernel: Definition, folds: Sequence[_Fold], results: _Results, form: str, single: Sequence[Param]
) -> str:
    """Return the function that folds rows; the parameters in `single` are one number a row."""
    ins, passes = folds[-1].ins, two_pass(kernel)
    arrays = [entry for entry in ins if entry[1] not in single]
    here = {k: f"((char*)_p[{k}] + _r * _steps[{k}])" for k, _, _ in ins}
    row = [f"const {t}* __restrict _p{k} = (const {t}*){here[k]};" for k, _, t in arrays]
    row += [f"const {t} {p.name} = *(const {t}*){here[k]};" for k, p, t in ins if p in single]
    if passes:
        first = f"const first_State a = first_get(first_acc, {_LANES}); pivot = {passes.pivot};"
        row.append(f"A pivot; {{ {folds[0].row(arrays)} {first} }}")
    return f"""void {name}_rows_{form}(void* const* _p, const int64_t* _steps, int64_t _rows, int64_t n) {{
  {results.before}
  for (int64_t _r = 0; _r < _rows; ++_r) {{
    {" ".join(row)}
    {folds[-1].row(arrays)}
    const State a = get(acc, {_LANES});
    {results.store("_r")}
  }}
}}"""
