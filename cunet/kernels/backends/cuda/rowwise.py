"""Rowwise kernels as RawKernels: the threads of a row hold it in registers between its folds.

Text and launch serve elementwise kernels that go row by row too, see `broadcast`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ....device import is_array
from ...grammar import Param, calls
from ...spec import Definition
from . import tuning as settings
from .lanes import header, lanes_of, vector_of
from .programs import program
from .recipes import Launch, Recipe, known
from .types import c_type, on_device, placeholders


def run(kernel: Definition, xp: Any, args: tuple[Any, ...], axes: int = 1, cells: tuple[int, int] = (1, 1)) -> Any:
    """Return the outputs; see `cunet.kernels.kinds.rowwise`."""
    return known(kernel, xp, args, (axes, cells), lambda: _recipe(kernel, xp, args, axes, cells))(xp, args)


def _recipe(
    kernel: Definition, xp: Any, args: tuple[Any, ...], axes: int, cells: tuple[int, int]
) -> Callable[[Any, Sequence[Any]], Any]:
    """Return what runs arguments like these."""
    spec = kernel.spec
    dtype, full = spec.dtype(args), args[kernel.lead].shape
    kept, length = full[: len(full) - axes] + (1,) * axes, math.prod(full[len(full) - axes :])
    types = placeholders(dtype)
    outs = [(kept if p.place == "row" else full, np.dtype(types.get(p.type, p.type))) for p in spec.outs]
    rows, limits = math.prod(kept), settings.tuning
    if rows < limits.many_rows and length > limits.long_row:
        # few long rows are better folded in parts: by the kernels that the body calls
        return lambda xp, args: NotImplemented
    takes = [taking(xp, p, a, types, kept) for p, a in zip(spec.ins, args, strict=True)]
    if not rows or not length:
        return Recipe(takes, outs, [])
    text = Text(spec.name, spec.ins, spec.outs, spec.texts()[0], spec.preamble)
    given = [a if take is None else take(a) for take, a in zip(takes, args, strict=True)]
    return Recipe(takes, outs, [launch(kernel, xp, dtype, text, given, Shape(rows, length, rows * length, cells))])


class Text(NamedTuple):
    """What a kernel's text is made of."""

    name: str
    ins: tuple[Param, ...]
    outs: tuple[Param, ...]
    operation: str
    preamble: str


class Shape(NamedTuple):
    """Rows, elements in each, and the groups and inner of `cunet.kernels.kinds.rowwise`.

    `total` is how many elements there are; the last row may have fewer than the others.
    """

    rows: int
    length: int
    total: int
    cells: tuple[int, int] = (1, 1)


def launch(kernel: Definition, xp: Any, dtype: np.dtype, text: Text, given: list[Any], shape: Shape) -> Launch:
    """Return the launch of a kernel over rows; `given`: inputs, as `taking` makes them."""
    limits = settings.tuning
    # Rows of more than one load begin where a load may begin only if all do; outputs, which are new, begin there.
    loaded = [a for p, a in zip(text.ins, given, strict=True) if not p.place and is_array(a)]
    vector = vector_of(dtype, math.gcd(shape.length, shape.total), loaded)
    loads = -(-shape.length // vector)
    lanes = lanes_of(loads, limits.row_lanes)
    held = limits.held if loads <= limits.held * lanes else 0
    kinds = tuple([_kind(p, a, shape.rows) for p, a in zip(text.ins, given, strict=True)])
    variant = (text, dtype, kinds, vector, held, shape.cells != (1, 1))
    made = program(kernel, xp, lambda: xp.RawKernel(device_text(*variant), text.name), *variant)
    block = max(lanes, limits.block) if lanes <= 32 else lanes
    sizes: list[Any] = [np.int64(shape.rows), np.int64(shape.length), np.int64(shape.total)]
    sizes += [np.int32(lanes), *map(np.int32, shape.cells)]
    sizes += [np.int64(a.size) for kind, a in zip(kinds, given, strict=True) if kind == "cycle"]
    grid, picks = (-(-shape.rows // (block // lanes)),), range(len(text.ins) + len(text.outs))
    return Launch(made, grid, (block,), tuple(picks), tuple(sizes))


def taking(xp: Any, p: Param, a: Any, types: dict[str, np.dtype], kept: tuple[int, ...]) -> Callable[[Any], Any] | None:
    """Return what makes of an argument a contiguous array, or a number of the right size; None if it is one.

    Args:
        xp: the array module.
        p: its parameter.
        a: the argument, or one like it.
        types: what ``T`` and ``A`` stand for.
        kept: the shape of one value a row.
    """
    dtype = np.dtype(types.get(p.type, p.type))
    if not on_device(a):
        return dtype.type
    if p.place == "row" and a.size != math.prod(kept) and not _cycles(a.shape, kept):
        return lambda a: xp.ascontiguousarray(xp.broadcast_to(a.astype(dtype, copy=False), kept))
    if a.dtype == dtype and a.flags.c_contiguous:
        return None
    return lambda a: xp.ascontiguousarray(a.astype(dtype, copy=False))


def _cycles(shape: tuple[int, ...], kept: tuple[int, ...]) -> bool:
    """Tell whether an array for rows of the shape `kept` repeats: only its first axes are missing or of length 1."""
    full = (1,) * (len(kept) - len(shape)) + shape
    first = next((k for k, n in enumerate(full) if n > 1), len(full))
    return full[first:] == kept[first:]


def _kind(p: Param, a: Any, rows: int) -> str:
    """Return where the values of an argument lie, which `taking` has made.

    "number"; "one": an array with one value for all; "cycle": one that rows take in turn; "factor": one for each place,
    which does not begin where a load may begin, as a parameter in a flat buffer may not; else "many".
    """
    if not is_array(a):
        return "number"
    if p.place and a.size == 1:
        return "one"
    if p.place == "col" and a.data.ptr % 16:
        return "factor"
    return "cycle" if p.place == "row" and a.size != rows else "many"


def device_text(text: Text, dtype: np.dtype, kinds: tuple[str, ...], vector: int, held: int, cells: bool) -> str:
    """Return the CUDA text for a dtype.

    Args:
        text: what it is made of.
        dtype: of the data.
        kinds: of each input, see `_kind`.
        vector: elements of one load.
        held: loads kept in registers by each thread; 0: rows are longer, and read again in each fold.
        cells: arrays for the places of a row are read through groups and inner.
    """
    loop, operation = _Loop(text, kinds, held, cells), text.operation
    body, at = "", 0
    for start, end, name, arguments in calls(operation, ("fold", "each")):
        body += operation[at:start] + "\n"  # a pragma begins a line
        body += loop.fold(*arguments) if name == "fold" else loop.each(", ".join(arguments))
        at = end
    body += operation[at:].rstrip().rstrip(";") + ";"
    constants = f"#define at(name, k) ((A)name##_[_start + (k)])\nstatic const int _vector = {vector};\n"
    return "\n".join([
        header(dtype, vector, text.preamble), constants,
        f'extern "C" __global__ __launch_bounds__({settings.tuning.row_lanes}) void {text.name}({loop.signature()}) {{',
        loop.opening(), body, loop.closing(), "}",
    ])  # fmt: skip


class _Loop:
    """The pieces of a kernel's text: parameters, what stands at its two ends, and loops over a row."""

    def __init__(self, text: Text, kinds: tuple[str, ...], held: int, cells: bool) -> None:
        self.ins, self.outs, self.held, self.cells = text.ins, text.outs, held, cells
        self.kinds = dict(zip((p.name for p in text.ins), kinds, strict=True))
        self.data = [p for p in text.ins if not p.place and self.kinds[p.name] == "many"]
        self.factors = [p for p in text.ins if p.place == "col" and self.kinds[p.name] in ("many", "factor")]

    def signature(self) -> str:
        parts = []
        for p in (*self.ins, *self.outs):
            number, const = self.kinds.get(p.name) == "number", "const " * (p in self.ins)
            parts.append(f"{c_type(p.type)} {p.name}" if number else f"{const}{c_type(p.type)}* {p.name}_")
        parts += ["long long _rows, long long count, long long _total, int _lanes, int _groups, int _inner"]
        parts += [f"long long {p.name}_period_" for p in self.ins if self.kinds[p.name] == "cycle"]
        return ", ".join(parts)

    def opening(self) -> str:
        lines = [
            "__shared__ double _held[128];",
            "const int _lane = threadIdx.x & (_lanes - 1);",
            "const long long _row = (long long)blockIdx.x * (blockDim.x / _lanes) + threadIdx.x / _lanes;",
            # Threads without a row go through all barriers too: they read the last row's numbers, and no element.
            "const long long _own = _row < _rows ? _row : _rows - 1, _start = _own * count;",
            "const long long _length = _row >= _rows ? 0 : _start + count <= _total ? count : _total - _start;",
        ]
        if self.cells:
            lines += ["const long long _cell = _own % _groups * (count / _inner);"]
        for p in self.ins:
            kind = self.kinds[p.name]
            if p.place and kind != "number" and p not in self.factors:
                index = {"many": "_own", "one": "0", "cycle": f"_own % {p.name}_period_"}[kind]
                lines.append(f"const {c_type(p.type)} {p.name} = {p.name}_[{index}];")
        lines += [f"{c_type(p.type)} {p.name};" for p in self.outs if p.place == "row"]
        if self.held:
            lines += [f"{_some(p)} {p.name}_of_[{self.held}];" for p in self.data]
            load = "".join(f"{p.name}_of_[_k] = *(const {_some(p)}*)({p.name}_ + _start + _at); " for p in self.data)
            lines += [f"#pragma unroll\n{self._head()} {{ {self._place()} if (_at < _length) {{ {load}}} }}"]
        return "\n".join(lines)

    def closing(self) -> str:
        stores = "".join(f"{p.name}_[_row] = {p.name}; " for p in self.outs if p.place == "row")
        return f"if (_lane == 0 && _row < _rows) {{ {stores}}}" if stores else ""

    def _head(self) -> str:
        return f"for (int _k = 0; _k < {self.held}; ++_k)"

    def _place(self) -> str:
        return "const long long _at = (long long)(_k * _lanes + _lane) * _vector;"

    def _over(self, inside: str, before: str = "", after: str = "") -> str:
        """Return a loop over the elements of a thread; `before` and `after` stand around those of one load."""
        loads, values = "", ""
        for p in self.data:
            if not self.held:
                loads += f"const {_some(p)} {p.name}_now_ = *(const {_some(p)}*)({p.name}_ + _start + _at);\n"
            source = f"{p.name}_of_[_k]" if self.held else f"{p.name}_now_"
            values += f"const A {p.name} = (A){source}.v[_v];\n"
        for p in self.factors:
            if self.cells:
                values += f"const A {p.name} = {p.name}_[_cell + (unsigned)j / (unsigned)_inner];\n"
            elif self.kinds[p.name] == "factor":
                values += f"const A {p.name} = {p.name}_[j];\n"
            else:
                loads += f"const some_factors {p.name}_now_ = *(const some_factors*)({p.name}_ + _at);\n"
                values += f"const A {p.name} = {p.name}_now_.v[_v];\n"
        body = f"const long long j = _at + _v;\n{values}{inside}\n"
        body = f"{loads}{before}#pragma unroll\nfor (int _v = 0; _v < _vector; ++_v) {{\n{body}}}\n{after}"
        if self.held:
            return f"#pragma unroll\n{self._head()} {{\n{self._place()}\nif (_at < _length) {{\n{body}}}\n}}"
        return f"for (long long _at = _lane * _vector; _at < _length; _at += _lanes * _vector) {{\n{body}}}"

    def fold(self, declared: str, identity: str, value: str, joined: str) -> str:
        kind, name = declared.rsplit(" ", 1)
        join = f"[](const {kind}& p, const {kind}& q) -> {kind} {{ return {joined}; }}"
        return (
            f"{kind} {name} = {identity};\n{{\nauto _join = {join};\n"
            f"{self._over(f'{name} = _join({name}, {kind}({value}));')}\n"
            f"{name} = join_lanes({name}, _join, _lanes, (char*)_held);\n}}"
        )

    def each(self, statements: str) -> str:
        outs = [p for p in self.outs if p.place != "row"]
        declared = "".join(f"A {p.name};\n" for p in outs)
        kept = "".join(f"{p.name}_now_.v[_v] = ({p.type}){p.name};\n" for p in outs)
        before = "".join(f"{_some(p)} {p.name}_now_;\n" for p in outs)
        after = "".join(f"*({_some(p)}*)({p.name}_ + _start + _at) = {p.name}_now_;\n" for p in outs)
        return self._over(f"{declared}{statements};\n{kept}", before, after)


def _some(p: Param) -> str:
    """Return the type of what one load brings of a parameter."""
    return "some_data" if p.type == "T" else "some_factors"
