"""Results of ops and their tangents: brought into one form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..device import array_module, is_array, is_floating
from .operators import ops
from .tensor import Tensor
from .tracing import plain


def cotangent_of(y: Any) -> Tensor:
    """Return some cotangent of a result, in which its vjp is linear; not 0, where vjps leave out infinite slopes."""
    some = array_module(y).linspace(1, 2, y.size, dtype=np.float32).reshape(y.shape)
    return Tensor(some.astype(y.dtype), requires_grad=is_floating(y.dtype))


def computed(g: Any) -> Any:
    """Return an entry of what a vjp returned, computed where that is left to a function."""
    return g() if callable(g) and not isinstance(g, Tensor) else g


def several(y: Any) -> Sequence[Any]:
    """Return results as a sequence, one or several."""
    return y if isinstance(y, tuple) else (y,)


def shaped(t: Any, part: Any) -> Any:
    """Return a tangent in the shape and dtype of what it belongs to, as an array where it has no history."""
    if t is None or (type(t) is np.ndarray and t.shape == part.shape and t.dtype == part.dtype):
        return t
    t = t if isinstance(t, Tensor) and t.requires_grad else plain(t)
    if not is_array(t):
        t = array_module(part).asarray(t)
    if t.shape != part.shape:
        t = ops.broadcast_to(t, part.shape) if isinstance(t, Tensor) else array_module(t).broadcast_to(t, part.shape)
    return t if t.dtype == part.dtype else t.astype(part.dtype)
