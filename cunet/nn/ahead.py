"""What a model will run on the CPU is compiled in the background, as soon as the model is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..kernels import needs
from ..kernels.backends.native import native


def compile_ahead(layers: Iterable[Any], parameters: Iterable[Tensor], at_once: bool = False) -> None:
    """Compile in the background what layers will run; nothing where their parameters are on a GPU.

    Args:
        layers: all of a model, or functions.
        parameters: of the model; the first one tells device and dtype.
        at_once: whether they are being called.
    """
    first = next(iter(parameters), None) if native.active else None
    if first is not None and type(first.data) is np.ndarray:
        needs.compile_ahead((root for layer in layers for root in roots(layer)), first.data.dtype.char, at_once)


def roots(layer: Any) -> Iterator[Any]:
    """Yield what tells which kernels a layer or function needs; see `cunet.kernels.needs.needs`.

    A layer whose kernels depend on its settings has a method `runs`, which returns them.
    """
    if not hasattr(layer, "members"):
        yield from _functions(layer)
        return
    if hasattr(layer, "runs"):
        yield from layer.runs()
    yield type(layer)
    if not hasattr(layer, "runs"):
        for _, value in layer.members():
            yield from _functions(value)


def _functions(value: Any) -> Iterator[Any]:
    """Yield the functions in an attribute, entering lists, tuples and dicts."""
    if isinstance(value, needs.LOOKED_INTO):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _functions(item)
