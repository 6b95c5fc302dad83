"""From the CUDA text of kernels to C++ for the CPU: one function per kernel that works on a piece of its arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..numpy import special
from . import ROWS

HERE = Path(__file__).parent / "src"
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


def letter(param: Any, wide: np.dtype) -> str | None:
    """Return the type of a parameter, or None if it has none here."""
    return wide.char if param.type in ("T", "A") else TYPES.get(param.type)


def runtime() -> str:
    """Return the text of the library that runs compiled kernels."""
    from . import functions  # it imports this package, which is being imported when this file is

    return functions.read(functions.RUNTIME)


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
    if param.type == "T" or param.raw or param.name == "row_width" or param not in kernel.ins or late(kernel, param):
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
    parts = [f"namespace cunet {{ namespace {symbol(kernel, wide)}_space {{", f"typedef {C[wide.char]} T;", preamble]
    for name, single in variants(kernel):
        parts.append(_function(kernel, wide, name, single, operation))
    parts.append("} }")
    return "\n".join(parts) + "\n"


def _function(kernel: Any, wide: np.dtype, name: str, single: Sequence[Any], operation: str) -> str:
    before, row, load, store = [], [], [], []
    outs = set(kernel.outs)
    for k, p in enumerate((*kernel.ins, *kernel.outs)):
        t = C[letter(p, wide) or "f"]
        const = "" if p in outs else "const "
        inner = f"{p.name}_" if p.type == "T" else p.name
        here = f"((char*)_p[{k}] + _r * _steps[{k}])"
        if p.raw:
            before.append(f"{const}{t}* const {p.name} = ({const}{t}*)_p[{k}];")
        elif p in single or p.name == "row_width":
            row.append(f"const {t} {inner} = *(const {t}*){here};")
        else:
            row.append(f"{const}{t}* __restrict _p{k} = ({const}{t}*){here};")
            if p not in outs:
                load.append(f"const {t} {inner} = _p{k}[_j];")
            else:
                load.append(f"{t} {inner} = _p{k}[_j];" if kernel.in_place else f"{t} {inner};")
                store.append(f"_p{k}[_j] = {inner};")
    free = not any(p.raw for p in (*kernel.ins, *kernel.outs))
    if ROWS in operation:  # who calls it stays within a row
        row.append("const long long row = _at / row_width, _first = _at - row * row_width;")
        load.append("const long long column = _first + _j;")
        operation, free = operation.replace(ROWS, ""), True
    parameters = "void* const* _p, const long* _steps, long _rows, long _n, long _at"
    return f"""extern "C" void {symbol(kernel, wide)}_{name}({parameters}) {{
  {" ".join(before)}
  for (long _r = 0; _r < _rows; ++_r, _at += _n) {{
    {" ".join(row)}
    {"CUNET_INDEPENDENT" if free else ""}
    for (long _j = 0; _j < _n; ++_j) {{
      const long long i = _at + _j; (void)i;
      {" ".join(load)}
      {{ {operation}; }}
      {" ".join(store)}
    }}
  }}
}}"""
