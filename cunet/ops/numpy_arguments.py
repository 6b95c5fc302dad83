"""Arguments of NumPy's functions: nested lists with Tensors in them, and what ops do not take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..autograd.mapped import Mapped
from ..autograd.tensor import Tensor
from ..kernels.axes import one_axis
from . import array
from .operands import lifted


class Unsupported(Exception):
    """An argument that the op does not take."""


def unsupported(**given: Any) -> None:
    """Refuse arguments that have a value.

    Raises:
        Unsupported: one is neither None nor False.
    """
    for key, value in given.items():
        if value is not None and value is not False:
            raise Unsupported(f"{key}=")


def arrays_of(tree: Any, name: str) -> Any:
    """Put the arrays of Tensors into nested lists, tuples and dicts; `name` is that of who gets them.

    Raises:
        TypeError: there is a sample of `vmap`, of which there is no array.
    """
    if isinstance(tree, Tensor):
        return tree.data
    if isinstance(tree, Mapped):
        raise TypeError(f"vmap: {name} has no rule for a mapped axis; call it outside of vmap, or on the whole batch")
    if isinstance(tree, dict):
        return {key: arrays_of(value, name) for key, value in tree.items()}
    return type(tree)([arrays_of(part, name) for part in tree]) if type(tree) in (list, tuple) else tree


def assembled(tree: Any, *others: Any) -> Tensor:
    """Return a Tensor of what may be nested lists of Tensors and numbers, that can meet `others`."""
    if isinstance(tree, Tensor) or not holds_tensors(tree):
        return lifted(tree, *others)
    within = list(_tensors(tree))
    return array.stack([assembled(part, *within, *others) for part in tree])


def holds_tensors(tree: Any) -> bool:
    """Tell whether there are Tensors in nested lists."""
    return any(True for _ in _tensors(tree))


def _tensors(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for part in tree:
            yield from _tensors(part)


def places_of(indices: Any) -> Any:
    """Return indices as integers, which bools are to `numpy.take` too."""
    places = arrays_of(indices, "np.take")
    places = places if hasattr(places, "dtype") else np.asarray(places)
    return places.astype(np.int64) if places.dtype == bool or not places.size else places


def in_line(a: Any, axis: int | None) -> tuple[Tensor, int]:
    """Return a Tensor and the axis to work along: with None all its elements in line."""
    x = lifted(a) if axis is not None else array.reshape(lifted(a), (-1,))
    return x, one_axis(x.ndim, axis or 0)
