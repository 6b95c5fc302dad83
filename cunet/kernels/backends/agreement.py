"""The two sides of a user's kernel, compared at its first call: the NumPy body, and the text as a backend runs it.

Where there is a text it runs, and what the body says otherwise would go unheard. cunet's own kernels have tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any, NamedTuple

import numpy as np

from ...device import asnumpy, is_array, is_floating, like
from ...system.messages import warn
from ..grammar import Param
from ..spec import Definition, arithmetic
from .numpy import backend as numpy

#: Elements of a drawn array; those of kernels that fold have so many rows and columns.
SIZE, ROWS, COLUMNS = 512, 16, 32
#: Values at which formulas part: signs, kinks, and where exp leaves the range of every dtype.
EDGES = (0.0, 1.0, -1.0, 1000.0, -1000.0)
#: Calls with more elements are not made again.
MOST = 1 << 16
#: How far results may be apart, relative to their size: of the arithmetic, as functions differ by some places and
#: formulas lose more where they cancel; and of results that are rounded to a half type.
ARITHMETIC = {"float32": 2.0**-12, "float64": 2.0**-40}
ROUNDED = {"float16": 2.0**-9, "bfloat16": 2.0**-6}


class _Call(NamedTuple):
    """A call on the CPU; `drawn`: not that of the user."""

    args: list[Any]
    options: dict[str, Any]
    drawn: bool


def compare(
    kernel: Definition, args: Sequence[Any], options: dict[str, Any], run: Callable[..., Any], what: str
) -> None:
    """Warn if the text of a user's kernel does not give what its body gives.

    Floating arrays are drawn, the same ones each time; numbers, indices and options are those of a call. Kernels with
    raw arrays, in which anything may depend on anything, are given that call's own arrays, if these are short. Nothing
    is said where body or text refuse what they are given.

    Args:
        kernel: what to compare.
        args, options: of a call.
        run: runs the text.
        what: in words, for whom the text is compiled.
    """
    text = Context().run(_compared, kernel, args, options, run, what)  # in which nobody listens or records
    if text:
        warn(text)


def _compared(
    kernel: Definition, args: Sequence[Any], options: dict[str, Any], run: Callable[..., Any], what: str
) -> str:
    """Return in what the text differs from the body, or ""."""
    lead = args[kernel.lead]
    lead = lead[0] if isinstance(lead, list) else lead  # gradients that an in-place kernel reads where they lie
    try:
        call = _same(args, options) if _raw(kernel) else _drawn(kernel, args, options)
        if call is None:
            return ""
        body = _results(kernel, call, lambda *a, **o: numpy.run(Definition(kernel.spec), a, o), np.empty(0))
        there = _results(kernel, call, run, lead)
    except Exception:  # whatever a body says of values that it was not written for
        return ""
    for p, a, b in zip(kernel.spec.outs, body, there, strict=False):
        if a.shape != b.shape:
            found = f"the body returns {p.name} of shape {a.shape}, the text {b.shape}"
        elif (apart := _apart(a, b, lead.dtype)).any():
            index = tuple(int(k) for k in np.argwhere(apart)[0])
            found = f"{apart.sum()} of {apart.size} results are apart: for {_shown(kernel, call, index, a.shape)} "
            found += f"the body gives {p.name} = {_number(a[index])}, the text {p.name} = {_number(b[index])}"
        else:
            continue
        name = f"kernel {kernel.name!r} ({kernel.spec.module})"
        return f"{name}: its NumPy body and its text, {what}, differ in {lead.dtype.name}; the text runs.\n{found}"
    return ""


def _raw(kernel: Definition) -> bool:
    return kernel.spec.kind == "grid" or any(p.raw for p in kernel.spec.params)


def _same(args: Sequence[Any], options: dict[str, Any]) -> _Call | None:
    if sum(a.size for a in args if is_array(a)) > MOST:
        return None
    return _Call([asnumpy(a) if is_array(a) else a for a in args], options, False)


def _drawn(kernel: Definition, args: Sequence[Any], options: dict[str, Any]) -> _Call:
    rng, folds = np.random.default_rng(0), kernel.spec.kind in ("reduction", "rowwise")
    lead, drawn = args[kernel.lead], []
    for k, (p, a) in enumerate(zip(kernel.spec.params, args, strict=False)):
        a = a[0] if isinstance(a, list) else a
        if not is_array(a) or (not a.ndim and k != kernel.lead):
            drawn.append(asnumpy(a) if is_array(a) else a)
        else:
            drawn.append(_values(rng, a, _place(p, a, lead) if folds else (SIZE,)))
    if kernel.spec.kind == "reduction":
        return _Call(drawn, {"axis": 1, "keepdims": options.get("keepdims", False)}, True)
    return _Call(drawn, {}, True)


def _place(p: Param, a: Any, lead: Any) -> tuple[int, ...]:
    """Return the shape of what is drawn for an argument of a kernel that folds rows."""
    if p.place == "row" or (a.shape != lead.shape and a.shape[-1] == 1):
        return (ROWS, 1)
    return (COLUMNS,) if p.place == "col" or a.shape != lead.shape else (ROWS, COLUMNS)


def _values(rng: np.random.Generator, a: Any, shape: tuple[int, ...]) -> np.ndarray:
    dtype = a.dtype.newbyteorder("=")
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if not is_floating(dtype):
        return np.resize(asnumpy(a), shape).astype(dtype)  # labels and indices that there are
    values = 2 * rng.standard_normal(shape)
    return np.where(rng.random(shape) < 0.25, rng.choice(EDGES, shape), values).astype(dtype)


def _results(kernel: Definition, call: _Call, run: Callable[..., Any], place: Any) -> list[np.ndarray]:
    """Run a call on the device of `place`; return what it gives, or changes, on the CPU."""
    args = [like(np.array(a), place) if isinstance(a, np.ndarray) else a for a in call.args]
    with np.errstate(all="ignore"):
        result = run(*args, **call.options)
    if result is NotImplemented:
        raise NotImplementedError
    outs = args[len(kernel.spec.ins) :] or result  # arrays that are given to be written, or new ones
    return [asnumpy(y) for y in (outs if isinstance(outs, (tuple, list)) else [outs])]


def _apart(a: np.ndarray, b: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Tell where results are apart: by their size, or that of most others if they are smaller."""
    if not is_floating(b.dtype):
        return a != b
    bound = ARITHMETIC[arithmetic(dtype).name] + ROUNDED.get(b.dtype.name, 0)
    x, y = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        sizes, distance = np.maximum(abs(x), abs(y)), abs(x - y)
        common = np.median(abs(x[np.isfinite(x)])) if np.isfinite(x).any() else 0.0
        near = np.isfinite(distance) & (distance <= bound * np.maximum(sizes, common))
    return ~(near | (x == y) | (np.isnan(x) & np.isnan(y)))


def _shown(kernel: Definition, call: _Call, index: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """Return the arguments that belong to one result."""
    parts = []
    for p, a in zip(kernel.spec.params, call.args, strict=False):
        if not isinstance(a, np.ndarray):
            value = f"{p.name} = {_number(a)}"
        elif not call.drawn:
            value = f"{p.name} of shape {a.shape}"
        elif a.shape == shape:
            value = f"{p.name} = {_number(a[index])}"
        else:
            row = a[index[0] if index else 0] if a.ndim == 2 else a
            value = f"{p.name} = {np.array2string(row, threshold=6, edgeitems=2, precision=6)}"
        parts.append(value)
    where = f" (at {index})" if not call.drawn else ""
    return ", ".join(parts) + where


def _number(value: Any) -> str:
    whole = value is None or isinstance(value, (int, np.integer, np.bool_))
    return str(value) if whole else f"{float(value):.9g}"
