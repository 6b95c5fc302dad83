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
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..device import array_module
from .backends.cuda.rowwise import Shape, Spec, Text, launch, prepared
from .kernel import Kernel


class Rowwise(Kernel):
    """A kernel that works row by row; see the module's docstring."""

    native = in_place = False

    def __init__(self, body: Callable[..., Any], ins: str, outs: str, operation: str, preamble: str) -> None:
        super().__init__(body, _bare(ins), _bare(outs), preamble)
        self.operation = operation
        self.text = tuple(
            tuple([Spec(p.name, p.type, place) for p, place in zip(params, _places(words), strict=True)])
            for params, words in ((self.ins, ins), (self.outs, outs))
        )

    def __call__(self, *args: Any, axes: int = 1, cells: tuple[int, int] = (1, 1)) -> Any:
        """Return the outputs; those with one value a row have the folded axes with length 1, unset for rows of nothing.

        Args:
            args: the inputs.
            axes: how many axes at the end make a row.
            cells: (groups, inner) where arrays for the places of a row serve several rows and elements: row r and
                place j take entry ``r % groups * (count / inner) + j / inner`` of them.
        """
        xp = array_module(*args)
        if xp is np:
            return self.body(*args) if axes == 1 else self.body(*args, axes=axes)
        dtype, (ins, outs) = self._dtype(args), self.text
        full = args[self._lead].shape
        kept, length = full[: len(full) - axes] + (1,) * axes, math.prod(full[len(full) - axes :])
        types = {"T": dtype, "A": np.dtype(np.float64 if dtype == np.float64 else np.float32)}
        given = [prepared(xp, p, a, types, kept) for p, a in zip(ins, args, strict=True)]
        made = [xp.empty(kept if p.place == "row" else full, types.get(p.type, p.type)) for p in outs]
        if math.prod(kept) and length:
            text = Text(self.name, ins, outs, self.operation, self.preamble)
            rows = math.prod(kept)
            launch(self, xp, dtype, text, given, made, Shape(rows, length, rows * length, cells))
        return made[0] if len(made) == 1 else tuple(made)


def _places(text: str) -> list[str]:
    """Return where the values of each parameter lie: "row", "col", or ""."""
    words = [part.split()[0] for part in text.split(",")]
    return [word if word in ("row", "col") else "" for word in words]


def _bare(text: str) -> str:
    return ", ".join(re.sub(r"^\s*(row|col)\s", "", part) for part in text.split(","))


def rowwise(ins: str, outs: str, operation: str, *, preamble: str = "") -> Callable[[Callable[..., Any]], Rowwise]:
    """Make a kernel of a NumPy function that folds rows and uses the results in them; see the module's docstring.

    Args:
        ins, outs: parameter lists, such as ``"T x, col A weight, A eps"`` and ``"T y, row A mean"``.
        operation: the CUDA text of a row; assigns every output.
        preamble: CUDA text placed before the kernel; knows the types ``T`` and ``A``.
    """
    return lambda body: Rowwise(body, ins, outs, operation, preamble)
