"""The third kind of kernel: it folds each row to a few numbers and uses them in every element of that row.

Softmax and layer norm are of this kind. As a reduction followed by an elementwise kernel they read the row twice from
memory, and CuPy has no kernel that does both; so this one is a RawKernel: the threads of a row (a part of a warp, a
warp or a block) hold it in registers between its folds::

    @rowwise("T x", "T y", '''
        fold(A top, log(A(0)), x, p > q ? p : q);
        fold(A sum, 0, exp(x - top), p + q);
        each(y = exp(x - top) / sum);
    ''')
    def plain_softmax(x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

The text is that of a row:

- ``fold(type name, identity, value, joined)`` makes `value`, taken in every element, into one number or struct (at
  most 32 bytes); `joined` puts ``p`` and ``q`` together, which may come in any order;
- ``each(statements)`` assigns the outputs of every element;
- there ``j`` counts the elements of the row; `count` is how many there are, ``at(x, k)`` reads element k of it.

Parameters: ``T x`` has one value an element, ``col A weight`` one for each place in a row, ``row A mean`` one a row,
``A eps`` is a number; a number may also be given for ``row`` and ``col``. Types, literals and names are those of
`cunet.kernels`. On the CPU the decorated function runs as it is: it calls other kernels where they are faster.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import backend, rowtext
from .kernels import Kernel, Param

HELD = 4  # loads of each input that a thread keeps in registers
MOST_LANES = 512  # threads that share a row
BLOCK = 128  # threads of a block whose rows are shorter than that


class Placed(Param):
    """A parameter and where its values lie: "row", "col", or "" for one value an element or a number."""

    __slots__ = ("place",)

    def __init__(self, text: str) -> None:
        first, _, rest = text.strip().partition(" ")
        self.place = first if first in ("row", "col") else ""
        super().__init__(rest if self.place else text)


def _placed(text: str) -> tuple[Placed, ...]:
    return tuple(Placed(part) for part in text.split(",") if part.strip())


class Rowwise(Kernel):
    """A kernel that works row by row; see the module's docstring."""

    native = in_place = False
    ins: tuple[Placed, ...]
    outs: tuple[Placed, ...]

    def __init__(self, body: Callable[..., Any], ins: str, outs: str, operation: str, preamble: str) -> None:
        super().__init__(body, "", "", preamble)
        self.ins, self.outs = _placed(ins), _placed(outs)
        self.operation = operation

    def __call__(self, *args: Any, axes: int = 1, cells: tuple[int, int] = (1, 1)) -> Any:
        """Return the outputs; those with one value a row have the folded axes with length 1, unset for rows of nothing.

        Args:
            args: the inputs.
            axes: how many axes at the end make a row.
            cells: (groups, inner) where arrays for the places of a row serve several rows and elements: row r and
                place j take entry ``r % groups * (count / inner) + j / inner`` of them.
        """
        xp = backend.array_module(*args)
        if xp is np:
            return self.body(*args) if axes == 1 else self.body(*args, axes=axes)
        dtype = self._dtype(args)
        shape = next(a.shape for p, a in zip(self.ins, args, strict=True) if p.type == "T")
        kept, length = shape[: len(shape) - axes] + (1,) * axes, math.prod(shape[len(shape) - axes :])
        rows = math.prod(kept)
        types = {"T": dtype, "A": np.dtype(np.float64 if dtype == np.float64 else np.float32)}
        given = [_prepared(xp, p, a, types, kept) for p, a in zip(self.ins, args, strict=True)]
        outs = [xp.empty(kept if p.place == "row" else shape, types.get(p.type, p.type)) for p in self.outs]
        if rows and length:
            self._launch(xp, dtype, given, outs, rows, length, cells)
        return outs[0] if len(outs) == 1 else tuple(outs)

    def _launch(
        self,
        xp: Any,
        dtype: np.dtype,
        given: list[Any],
        outs: list[Any],
        rows: int,
        length: int,
        cells: tuple[int, int],
    ) -> None:
        # Rows of more than one load begin where a load may begin only if all do.
        loaded = [a for p, a in zip((*self.ins, *self.outs), (*given, *outs), strict=True) if p.place != "row"]
        loaded = [a for a in loaded if backend.is_array(a)]
        vector = rowtext.vector_of(dtype, length, loaded)
        loads = -(-length // vector)
        lanes = rowtext.lanes_of(loads, MOST_LANES)
        held = HELD if loads <= HELD * lanes else 0
        variant = (dtype, tuple(map(_kind, self.ins, given)), vector, held, cells != (1, 1))
        kernel, _ = self._device(xp, dtype, lambda xp, _: xp.RawKernel(self.device_text(*variant), self.name), *variant)
        block = max(lanes, BLOCK) if lanes <= 32 else lanes
        sizes = [np.int64(rows), np.int64(length), np.int32(lanes), np.int32(cells[0]), np.int32(cells[1])]
        kernel((-(-rows // (block // lanes)),), (block,), (*given, *outs, *sizes))

    def device_text(self, dtype: np.dtype, kinds: tuple[str, ...], vector: int, held: int, cells: bool) -> str:
        """Return the CUDA text for a dtype.

        Args:
            dtype: of the data.
            kinds: of each input, see `_kind`.
            vector: elements of one load.
            held: loads kept in registers by each thread; 0: rows are longer, and read again in each fold.
            cells: arrays for the places of a row are read through groups and inner, see `__call__`.
        """
        loop = _Loop(self, kinds, held, cells)
        body, at = "", 0
        for start, end, name, arguments in rowtext.calls(self.operation, ("fold", "each")):
            body += self.operation[at:start] + "\n"  # a pragma begins a line
            body += loop.fold(*arguments) if name == "fold" else loop.each(", ".join(arguments))
            at = end
        body += self.operation[at:].rstrip().rstrip(";") + ";"
        constants = f"#define at(name, k) ((A)name##_[start_ + (k)])\nstatic const int vector_ = {vector};\n"
        text = [rowtext.header(dtype, vector, self.preamble), constants]
        text += [f'extern "C" __global__ __launch_bounds__({MOST_LANES}) void {self.name}({loop.signature()}) {{']
        text += [loop.opening(), body, loop.closing(), "}"]
        return "\n".join(text)


def _prepared(xp: Any, p: Placed, a: Any, types: dict[str, np.dtype], kept: tuple[int, ...]) -> Any:
    """Return an argument as the kernel takes it: a contiguous array, or a number of the right size."""
    dtype = np.dtype(types.get(p.type, p.type))
    if not backend.is_array(a):
        return dtype.type(a)
    if p.place == "row" and a.size != 1 and a.size != math.prod(kept):
        a = xp.broadcast_to(a, kept)
    return xp.ascontiguousarray(a.astype(dtype, copy=False))


def _kind(p: Placed, a: Any) -> str:
    """Return "number" for a number, "one" for an array with one value for all, else "many"."""
    return "number" if not backend.is_array(a) else "one" if p.place and a.size == 1 else "many"


class _Loop:
    """The pieces of a kernel's text: parameters, what stands at its two ends, and loops over a row."""

    def __init__(self, kernel: Rowwise, kinds: tuple[str, ...], held: int, cells: bool) -> None:
        self.ins, self.outs, self.held, self.cells = kernel.ins, kernel.outs, held, cells
        self.kinds = dict(zip((p.name for p in kernel.ins), kinds, strict=True))
        self.data = [p for p in kernel.ins if p.type == "T" and not p.place]
        self.factors = [p for p in kernel.ins if p.place == "col" and self.kinds[p.name] == "many"]

    def signature(self) -> str:
        parts = []
        for p in (*self.ins, *self.outs):
            number, const = self.kinds.get(p.name) == "number", "const " * (p in self.ins)
            parts.append(
                f"{rowtext.c_type(p.type)} {p.name}" if number else f"{const}{rowtext.c_type(p.type)}* {p.name}_"
            )
        return ", ".join([*parts, "long long rows_, long long count, int lanes_, int groups_, int inner_"])

    def opening(self) -> str:
        lines = [
            "__shared__ double held_[128];",
            "const int lane_ = threadIdx.x & (lanes_ - 1);",
            "const long long row_ = (long long)blockIdx.x * (blockDim.x / lanes_) + threadIdx.x / lanes_;",
            # Threads without a row go through all barriers too: they read the last row's numbers, and no element.
            "const long long own_ = row_ < rows_ ? row_ : rows_ - 1, start_ = own_ * count;",
            "const long long length_ = row_ < rows_ ? count : 0;",
        ]
        if self.cells:
            lines += ["const long long cell_ = own_ % groups_ * (count / inner_);"]
        for p in self.ins:
            kind = self.kinds[p.name]
            if p.place and kind != "number" and p not in self.factors:
                lines.append(f"const {rowtext.c_type(p.type)} {p.name} = {p.name}_[{'own_' if kind == 'many' else 0}];")
        lines += [f"{rowtext.c_type(p.type)} {p.name};" for p in self.outs if p.place == "row"]
        if self.held:
            lines += [f"some_data {p.name}_of_[{self.held}];" for p in self.data]
            load = "".join(f"{p.name}_of_[k_] = *(const some_data*)({p.name}_ + start_ + at_); " for p in self.data)
            lines += [f"#pragma unroll\n{self._head()} {{ {self._place()} if (at_ < length_) {{ {load}}} }}"]
        return "\n".join(lines)

    def closing(self) -> str:
        stores = "".join(f"{p.name}_[row_] = {p.name}; " for p in self.outs if p.place == "row")
        return f"if (lane_ == 0 && row_ < rows_) {{ {stores}}}" if stores else ""

    def _head(self) -> str:
        return f"for (int k_ = 0; k_ < {self.held}; ++k_)"

    def _place(self) -> str:
        return "const long long at_ = (long long)(k_ * lanes_ + lane_) * vector_;"

    def _over(self, inside: str, before: str = "", after: str = "") -> str:
        """Return a loop over the elements of a thread; `before` and `after` stand around those of one load."""
        loads, values = "", ""
        for p in self.data:
            if not self.held:
                loads += f"const some_data {p.name}_now_ = *(const some_data*)({p.name}_ + start_ + at_);\n"
            source = f"{p.name}_of_[k_]" if self.held else f"{p.name}_now_"
            values += f"const A {p.name} = (A){source}.v[v_];\n"
        for p in self.factors:
            if self.cells:
                values += f"const A {p.name} = {p.name}_[cell_ + (unsigned)j / (unsigned)inner_];\n"
            else:
                loads += f"const some_factors {p.name}_now_ = *(const some_factors*)({p.name}_ + at_);\n"
                values += f"const A {p.name} = {p.name}_now_.v[v_];\n"
        body = f"const long long j = at_ + v_;\n{values}{inside}\n"
        body = f"{loads}{before}#pragma unroll\nfor (int v_ = 0; v_ < vector_; ++v_) {{\n{body}}}\n{after}"
        if self.held:
            return f"#pragma unroll\n{self._head()} {{\n{self._place()}\nif (at_ < length_) {{\n{body}}}\n}}"
        return f"for (long long at_ = lane_ * vector_; at_ < length_; at_ += lanes_ * vector_) {{\n{body}}}"

    def fold(self, declared: str, identity: str, value: str, joined: str) -> str:
        kind, name = declared.rsplit(" ", 1)
        join = f"[](const {kind}& p, const {kind}& q) -> {kind} {{ return {joined}; }}"
        return (
            f"{kind} {name} = {identity};\n{{\nauto join_ = {join};\n"
            f"{self._over(f'{name} = join_({name}, {kind}({value}));')}\n"
            f"{name} = join_lanes({name}, join_, lanes_, (char*)held_);\n}}"
        )

    def each(self, statements: str) -> str:
        outs = [p for p in self.outs if p.place != "row"]
        declared = "".join(f"A {p.name};\n" for p in outs)
        kept = "".join(f"{p.name}_now_.v[v_] = (T){p.name};\n" for p in outs)
        before = "".join(f"some_data {p.name}_now_;\n" for p in outs)
        after = "".join(f"*(some_data*)({p.name}_ + start_ + at_) = {p.name}_now_;\n" for p in outs)
        return self._over(f"{declared}{statements};\n{kept}", before, after)


def rowwise(ins: str, outs: str, operation: str, *, preamble: str = "") -> Callable[[Callable[..., Any]], Rowwise]:
    """Make a kernel of a NumPy function that folds rows and uses the results in them; see the module's docstring.

    Args:
        ins, outs: parameter lists, such as ``"T x, col A weight, A eps"`` and ``"T y, row A mean"``.
        operation: the CUDA text of a row; assigns every output.
        preamble: CUDA text placed before the kernel; knows the types ``T`` and ``A``.
    """
    return lambda body: Rowwise(body, ins, outs, operation, preamble)
