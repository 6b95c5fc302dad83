"""Write `docs/numpy-functions.md`: which functions of NumPy have derivatives, from the tables that run them.

    python tools/write_numpy_table.py

A test holds the page against the tables (`tests/docs/test_numpy_functions.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cunet.ops import complex, numpy_functions, numpy_signatures  # noqa: E402

PAGE = ROOT / "docs" / "numpy-functions.md"
HEAD = """# NumPy's functions on Tensors

Written by `tools/write_numpy_table.py` from the tables that run them. What is an op, or is made of ops, has derivatives
of every order, forward and reverse, on the CPU and on a GPU: `tests/ops/rules` and `tests/autograd/test_forward.py`
compare those of each op with differences and with each other. While a gradient is recorded all others raise `TypeError`
with their name, and with what to write instead; on Tensors without a gradient they give arrays.

"""
TAIL = """
## HIPS autograd's tests of its functions

Those of version 1.9.1, run through `numpy` on Tensors (November 2026, NumPy 2.4): each compares first and second
derivatives, forward and backward, with differences. Of 424 tests of real numbers 389 pass as they stand (92 %), and 407
(96 %) with `like=x` where they make an array of numbers that they compute. Not counted are tests of complex arguments,
of SciPy's functions, of containers and other names of that library's own, and those that need xarray. What is left
are 35. Of these 25, 6 % of all, cannot pass as they stand while NumPy's own functions stay in their place, so that 94 %
is the most there is: no method of a Tensor is asked before it would have to be an array of numbers, which has no
gradient. An array of objects, Tensors one by one, would pass through `np.array`; but what then wants numbers
(`np.interp`, `.astype(float)`) asks each object for its own, and the gradient is lost without a word. So all of these
raise `TypeError`, which says what to write:

| tests | why | where NumPy decides | write |
| --- | --- | --- | --- |
| 18 of lists: `np.array([x, y])`, `np.mean([x, y])`, `std`, `var`, `norm` | of the arguments only the list itself \
is asked, which knows nothing; it is read element by element, unless `like=` is given | `array_array` in \
multiarraymodule.c, `PyArray_DiscoverDTypeAndShape` in array_coercion.c; `_mean_dispatcher` in fromnumeric.py, \
`_mean` in _methods.py | `np.array([x, y], like=x)`, `np.mean(np.stack([x, y]))` |
| 7 of `np.r_` and `np.c_` | they are no functions that ask, and make arrays of what they are given before they join \
them | `AxisConcatenator` in _index_tricks_impl.py | `np.concatenate`, `np.column_stack` |
| 1 of `np.int64(x)` | a type makes numbers, not Tensors | scalartypes.c.src, which calls `__array__` | \
`x.astype(np.int64)` |
| 4 of `np.linalg.eigh` | they move one triangle alone; the gradient is that of a symmetric matrix, as in PyTorch | \
| the same, of `(a + a.T) / 2` |
| 1 of `np.linalg.eig` | its eigenvalues are complex | | `np.linalg.eigh` |
| 1 of `x + 1j`, 1 of `z[0, 1]` | of real Tensors; of `cunet.Complex`, which is a pair | | `cunet.Complex(x, 1 + 0 * \
x)`; `z.real[0, 1]` |
| 2 of Gauss-Newton products | what `cunet.vjp` returned is differentiated from outside | | `cunet.linearize` |
"""
#: Functions whose second derivative has a limit, in words.
LIMITS = {
    "np.linalg.det": "of a singular matrix the first only",
    **dict.fromkeys(("np.array", "np.asanyarray", "np.asarray"), "every order, with `like=x`"),
}
STEPS = {"angle", "ceil", "fix", "floor", "floor_divide", "imag", "rint", "round", "around", "sign", "trunc"}


def name_of(function: Callable[..., Any]) -> str:
    """Return how a function of NumPy is called."""
    for module, prefix in ((np, "np."), (np.linalg, "np.linalg."), (np.fft, "np.fft.")):
        name = getattr(function, "__name__", "")
        if getattr(module, name, None) is function:
            return prefix + name
    raise ValueError(f"name_of: must be a function of NumPy, got {function!r}")


def differentiable() -> dict[str, str]:
    """Return the functions that have derivatives, by name, and what is to be said of each."""
    functions = {*numpy_functions.UFUNCS, *numpy_signatures.WRITTEN, *numpy_signatures.TRANSLATED, *complex.FUNCTIONS}
    functions |= set(complex.UFUNCS)
    names = {name_of(function) for function in functions}
    names |= {f"np.{ufunc.__name__}.{method}" for ufunc, method in numpy_functions.METHODS}
    numbers = {name_of(f) for f in (*complex.FUNCTIONS, *complex.UFUNCS)}
    real = {name_of(f) for f in (*numpy_functions.UFUNCS, *numpy_signatures.WRITTEN, *numpy_signatures.TRANSLATED)}
    return {name: _said(name, name in numbers, name in real) for name in sorted(names)}


def _said(name: str, of_complex: bool, of_real: bool) -> str:
    kinds = "real and complex" if of_complex and of_real else "complex" if of_complex else "real"
    orders = "all are 0" if name.rpartition(".")[2] in STEPS else LIMITS.get(name, "every order")
    return f"| `{name}` | {kinds} | {orders} |"


def constant() -> list[str]:
    """Return the functions whose results have no derivative by their nature."""
    return sorted(name_of(function) for function in numpy_functions.CONSTANT)


def without() -> Iterator[str]:
    """Yield the functions of numbers that NumPy dispatches on Tensors, and that have no op."""
    known = {*differentiable(), *constant()}
    for module, prefix in ((np, "np."), (np.linalg, "np.linalg."), (np.fft, "np.fft.")):
        for name in sorted(dir(module)):
            function = getattr(module, name)
            own = prefix + name
            if _is_dispatched(function) and name[0] != "_" and own not in known and name_of(function) == own:
                yield own


def _is_dispatched(function: Any) -> bool:
    if isinstance(function, np.ufunc):
        return any(kind.replace("dd->", "d->").startswith("d->d") for kind in function.types)
    return hasattr(function, "_implementation")


def text() -> str:
    """Return the page."""
    lines = ["| function | numbers | derivatives |", "| --- | --- | --- |", *differentiable().values()]
    page = HEAD + "\n".join(lines)
    page += "\n\nWhat they give is no function of real numbers, and always an array:\n\n" + _listed(constant())
    page += "\n\nWithout an op:\n\n" + _listed(without())
    return page + "\n" + TAIL


def _listed(names: Any) -> str:
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > 110:
            lines.append("")
        lines[-1] += f"`{name}` "
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
