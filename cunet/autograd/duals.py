"""Values and tangents in one pass: what forward mode does at first order, where tangents are arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ..kernels.calculus.duals import joined, pushed
from ..kernels.calculus.kernels import from_text
from ..kernels.dispatch import Kernel
from ..kernels.grammar import parse
from ..kernels.spec import Definition

#: The kernel forward, the kernel backward, and the numbers that both take after the array.
Pair = tuple[Kernel, Kernel, Sequence[float]]
_LIMIT = 64  # options that are remembered of a function


class DualRule(Protocol):
    """What makes the result of an op and its tangent."""

    def __call__(
        self, function: Callable[..., Any], inputs: list[Any], tangents: list[Any], options: dict[str, Any], /
    ) -> tuple[Any, Sequence[Any]] | None:
        """Return results, an array or a tuple, and tangents of their shapes and dtypes; None where this cannot.

        Args:
            function: the op's own.
            inputs: its arguments.
            tangents: arrays, None for arguments that do not move; one moves.
            options: its static arguments.
        """


def of_pair(numbers: Callable[..., Pair]) -> DualRule:
    """Return what joins the texts of two kernels of an array and of numbers: of a function and of its gradient.

    Args:
        numbers: ``numbers(**options)`` returns the kernels and the numbers.
    """
    known: dict[Any, tuple[Kernel, Kernel, Sequence[float]]] = {}

    def dual(function: Any, inputs: list[Any], tangents: list[Any], options: dict[str, Any]) -> Any:
        key = tuple(options.items())
        found = known.get(key)
        if found is None:
            function(np.zeros(0, np.float32), **options)  # which complains of its options
            if len(known) >= _LIMIT:
                known.clear()
            found = known[key] = numbers(**options)
        forward, backward, values = found
        kernel = forward.prepared.get(backward) or joined(forward, backward)
        if kernel is None:
            return None
        y, t = kernel(*inputs, *values, *tangents)
        return y, (t,)

    return dual


def of_text(kernel: Definition) -> DualRule:
    """Return what makes outputs and tangents by the text of an elementwise kernel and its derivative."""

    def dual(function: Any, inputs: list[Any], tangents: list[Any], options: dict[str, Any]) -> Any:
        moving = tuple([k for k, t in enumerate(tangents) if t is not None])
        made = pushed(kernel, moving)
        if made is None:
            return None
        found, count = made(*inputs, *[tangents[k] for k in moving]), len(kernel.spec.outs)
        return (found[0] if count == 1 else found[:count]), found[count:]

    return dual


def of_value(text: str) -> DualRule:
    """Return what makes ``y`` and its tangent by a text of ``x``: one that has NumPy's bits, rounded once."""

    @functools.cache
    def made() -> DualRule:  # when it is needed: a text takes longer to read than a module
        kernel = from_text("value", parse("T x"), parse("T y"), text)
        kernel.ours = True
        return of_text(kernel)

    return lambda *call: made()(*call)
