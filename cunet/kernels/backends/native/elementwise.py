"""From the CUDA text of kernels to C++ for the CPU: one function per kernel that works on a piece of its arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...grammar import Param
from ...spec import Definition, GridSpec, Warps
from .text import C, letter, symbol, variants


def text_of(kernel: Definition, wide: np.dtype) -> str:
    """Return the C++ of a kernel that works on rows.

    ``many`` takes all arrays as pointers to consecutive elements. In ``few``, the ones that are not of the data's
    type are single numbers, which is what factors and the statistics of a row are. In ``mixed`` some are.
    """
    preamble = f"typedef {C[wide.char]} A;\n{kernel.spec.preamble}"
    parts = [f"namespace cunet {{ namespace {symbol(kernel, wide)}_space {{", f"typedef {C[wide.char]} T;", preamble]
    parts += [_function(kernel, wide, name, single) for name, single in variants(kernel)]
    parts.append("} }")
    return "\n".join(parts) + "\n"


def operation_of(kernel: Definition) -> str:
    """Return the body: with each ``T`` parameter ``x``, which is passed as ``x_``, in a variable of type ``A``."""
    spec, attached = kernel.spec, kernel.attached.get("native")
    if isinstance(attached, Warps):
        return attached.operation
    loads = "".join(f"const A {p.name} = (A){p.name}_; " for p in spec.ins if p.type == "T" and not p.raw)
    stores = [p.name for p in spec.outs if p.type == "T" and not p.raw]
    declared = "".join(f"A {name} = (A){name}_; " if spec.kind == "inplace" else f"A {name}; " for name in stores)
    write = "".join(f" {name}_ = (T){name};" for name in stores)
    return f"{loads}{declared}{spec.texts()[0].rstrip().rstrip(';')};{write}"


def _function(kernel: Definition, wide: np.dtype, name: str, single: Sequence[Param]) -> str:
    spec = kernel.spec
    before, row, load, store = [], [], [], []
    for k, p in enumerate(spec.params):
        t, out = C[letter(p, wide)], k >= len(spec.ins)
        const = "" if out else "const "
        inner = f"{p.name}_" if p.type == "T" else p.name
        here = f"((char*)_p[{k}] + _r * _steps[{k}])"
        if p.raw:
            before.append(f"{const}{t}* const {p.name} = ({const}{t}*)_p[{k}];")
        elif p in single:
            row.append(f"const {t} {inner} = *(const {t}*){here};")
        else:
            row.append(f"{const}{t}* __restrict _p{k} = ({const}{t}*){here};")
            if not out:
                load.append(f"const {t} {inner} = _p{k}[_j];")
            else:
                load.append(f"{t} {inner} = _p{k}[_j];" if spec.kind == "inplace" else f"{t} {inner};")
                store.append(f"_p{k}[_j] = {inner};")
    independent = not any(p.raw for p in spec.params)
    if isinstance(spec, GridSpec) and spec.space == ("row", "column"):
        matrix = _matrix(len(spec.params))
        row, load, independent = [*row, matrix[0]], [*load, matrix[1]], True
    parameters = "void* const* _p, const int64_t* _steps, int64_t _rows, int64_t _n, int64_t _at"
    return f"""extern "C" void {symbol(kernel, wide)}_{name}({parameters}) {{
  {" ".join(before)}
  for (int64_t _r = 0; _r < _rows; ++_r, _at += _n) {{
    {" ".join(row)}
    {"CUNET_INDEPENDENT" if independent else ""}
    for (int64_t _j = 0; _j < _n; ++_j) {{
      const long long i = _at + _j; (void)i;
      {" ".join(load)}
      {{ {operation_of(kernel)}; }}
      {" ".join(store)}
    }}
  }}
}}"""


def _matrix(place: int) -> tuple[str, str]:
    """Return what tells row and column: who calls such a kernel stays within a row, and gives `width` as last operand.

    The loop knows without a division what the CUDA text has to find by one.
    """
    width = f"const long long width = *(const long long*)_p[{place}];"
    return f"{width} const long long row = _at / width, _first = _at - row * width;", (
        "const long long column = _first + _j;"
    )
