"""Parameter, and what layers need to make theirs: first values, and checks of sizes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import init as initialisers
from ..autograd.tensor import Tensor
from ..random import Generator


class Parameter(Tensor):
    """A tensor that training changes: ``requires_grad`` is True unless it is frozen.

    Args:
        data: array, or numbers, of floating dtype.
        requires_grad: False makes it a frozen parameter: saved and moved, not trained.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data.data if isinstance(data, Tensor) else data, requires_grad)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle values without gradients, as PyTorch does."""
        return type(self), (self.data, self.requires_grad)


def uniform_by_fan_in(fan_in: int) -> initialisers.Initializer:
    """Return PyTorch's default distribution: U(-k, k) with ``k = 1 / sqrt(fan_in)``."""
    bound = 1 / math.sqrt(max(fan_in, 1))
    return initialisers.uniform(-bound, bound)


def make_parameter(
    shape: tuple[int, ...],
    init: Any,
    default: Any,
    generator: Generator | None,
    dtype: Any,
    fans: tuple[int, int] | None = None,
) -> Parameter:
    """Return a Parameter drawn by `init`, or by `default` where that is None; `fans` where the shape does not tell."""
    return Parameter(initialisers.get(default if init is None else init)(shape, generator, dtype, fans=fans))


def check_sizes(who: str, **sizes: int) -> None:
    """Raise ValueError for a size that is no integer of at least 1; `who` complains."""
    for name, size in sizes.items():
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{who}: {name} must be an int of at least 1, got {size!r}")
