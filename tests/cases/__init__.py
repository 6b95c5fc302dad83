"""The table of cases: one row per op and setting, from which the generic tests in test_ops.py are made.

Each module of this package holds the rows of one family in a list `CASES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """What the generic tests need to know of one op in one setting.

    The oracle never repeats the implementation's formula.
    """

    op: Callable[..., Any]
    kwargs: dict[str, Any] = field(default_factory=dict)
    #: scalar oracle built from `math` or `mpmath`: ``f(x, **kwargs) -> float``; for ops of one elementwise input
    scalar: Callable[..., float] | None = None
    #: array oracle in float64 (loops, or another formula): ``f(*arrays, **kwargs) -> array``; for all other ops
    reference: Callable[..., Any] | None = None
    #: makes the float64 inputs of a general case from a generator: ``f(rng) -> tuple of arrays``
    inputs: Callable[[np.random.Generator], tuple[Any, ...]] | None = None
    #: which inputs are differentiable (the others are labels, masks, indices); None: all floating ones
    differentiable: tuple[int, ...] | None = None
    #: interval from which an elementwise case draws its inputs
    domain: tuple[float, float] = (-6.0, 6.0)
    #: points where the gradient jumps: gradient checks stay away from them
    kinks: tuple[float, ...] = ()
    #: (x, value, derivative) to be met at special points; None: not checked
    edges: tuple[tuple[float, float | None, float | None], ...] = ()
    #: error allowed, in units in the last place of the dtype; more than 4 needs a reason in a comment
    ulp: float = 4
    #: the same for the gradient
    grad_ulp: float = 8
    #: whether `ulp` counts element by element for a `reference` too; else in ulp of the largest element, because
    #: where terms cancel a small element cannot have all its places right
    elementwise: bool = False
    #: whether float16 and bfloat16 are run too
    half: bool = True
    #: whether bfloat16 is run; not where it meets a Python float, which NumPy then takes for float32
    bfloat16: bool = True
    #: what distinguishes this row from others of the op, for the test's id
    label: str = ""

    @property
    def id(self) -> str:
        """Name the row."""
        parts = [getattr(self.op, "__name__", str(self.op)), self.label, *(f"{k}={v}" for k, v in self.kwargs.items())]
        return "-".join(p for p in parts if p)
