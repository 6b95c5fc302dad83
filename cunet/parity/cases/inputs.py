"""What rows are made of: inputs of a size at which kernels show their seams, and rows alike in all but a setting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...autograd.tensor import Tensor, as_array
from ..row import Inputs, Row, function_of

PLAIN = (33, 70)  # 2310 elements: four tiles of 512 and a part of one
REDUCTIONS: Sequence[dict[str, Any]] = ({}, {"axis": 0}, {"axis": 1, "keepdims": True})


def between(low: float, high: float, *shapes: tuple[int, ...]) -> Inputs:
    """Draw arrays of `shapes`, uniform in [low, high)."""
    return lambda rng: tuple(rng.uniform(low, high, shape) for shape in shapes)


def beside(first: Inputs, make: Callable[[np.random.Generator], Any]) -> Inputs:
    """Add one argument."""
    return lambda rng: (*first(rng), make(rng))


def labels(classes: int, *shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Draw labels of `classes` classes."""
    return lambda rng: rng.integers(0, classes, shape)


def signs(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Draw numbers that are 1 or -1."""
    return lambda rng: rng.choice([-1.0, 1.0], shape)


def probabilities(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Draw arrays that sum to 1 over axis 1."""

    def make(rng: np.random.Generator) -> np.ndarray:
        q = rng.uniform(0.1, 1, shape)
        return q / q.sum(axis=1, keepdims=True)

    return make


def each(names: str, low: float, high: float, *shapes: tuple[int, ...], kind: str = "each") -> list[Row]:
    """Rows of functions of single elements, all with the same kind of input."""
    return [Row(name, between(low, high, *(shapes or (PLAIN,))), {}, kind) for name in names.split()]


def rows(name: str, inputs: Inputs, *statics: dict[str, Any], **more: Any) -> list[Row]:
    """Rows of an op that sums, one for each setting."""
    return [Row(name, inputs, static, "sum", **more) for static in statics or ({},)]


def moves(name: str, inputs: Inputs, *statics: dict[str, Any], **more: Any) -> list[Row]:
    """Rows of an op that only moves elements."""
    return [Row(name, inputs, static, "move", **more) for static in statics or ({},)]


def joined(name: str) -> Callable[..., Any]:
    """Call an op that takes a sequence of tensors with these one by one."""
    return lambda *tensors, **static: function_of(name)(tensors, **static)


def special(rng: np.random.Generator) -> tuple[Any, ...]:
    """Draw numbers, infinities and NaN."""
    return (rng.choice([1.5, -2.0, 0.0, np.inf, -np.inf, np.nan], PLAIN),)


def told(names: str, inputs: Inputs, *statics: dict[str, Any]) -> list[Row]:
    """Rows of functions that answer with arrays of bools or places, or end with one."""
    return [row for name in names.split() for row in moves(name, inputs, *statics, call=_answers(name))]


def _answers(name: str) -> Callable[..., Any]:
    def call(*tensors: Any, **static: Any) -> Any:
        found = function_of(name)(*tensors, **static)
        parts = found if isinstance(found, tuple) else (found,)
        return tuple(p if isinstance(p, Tensor) else Tensor(as_array(p).astype(np.float32)) for p in parts)

    return call


LONG = between(-3, 3, (9, 700))
