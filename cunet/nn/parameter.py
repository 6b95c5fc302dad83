"""Parameter, and what layers need to make theirs: first values, at once or at their first call, and checks of sizes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import init as initialisers
from ..autograd.tensor import Tensor
from ..device import like
from ..random import Generator


class Parameter(Tensor):
    """A tensor that training changes: ``requires_grad`` is True unless it is frozen.

    Args:
        data: array, or numbers, of floating dtype.
        requires_grad: False makes it a frozen parameter: saved and moved, not trained.

    Example:
        >>> layer = nn.Linear(4, 2)
        >>> layer.scale = nn.Parameter(np.ones(2, np.float32))
        >>> [name for name, _ in layer.named_parameters()]
        ['weight', 'bias', 'scale']
        >>> layer.scale
        Parameter([1., 1.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data.data if isinstance(data, Tensor) else data, requires_grad)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle values without gradients, as PyTorch does."""
        return type(self), (self.data, self.requires_grad)


class UninitializedParameter(Parameter):
    """A parameter whose shape the first call of its layer tells, or a state that is loaded before it.

    Its length is 0 along the axis that is not known yet.
    """

    __slots__ = ()


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


class FirstValues:
    """What a layer draws its weight and bias by, at once or at its first call; see `Linear` for the arguments."""

    def __init__(self, init: Any, bias_init: Any, generator: Generator | None, bias: bool) -> None:
        self.init, self.bias_init, self.generator, self.bias = init, bias_init, generator, bias

    def drawn(
        self, shape: tuple[int, ...], out: int, default: Any, dtype: Any, fans: tuple[int, int] | None = None
    ) -> tuple[Parameter, Parameter | None]:
        """Return a weight of `shape` and a bias of length `out`, or None."""
        weight = make_parameter(shape, self.init, default, self.generator, dtype, fans)
        return weight, make_parameter((out,), self.bias_init, default, self.generator, dtype) if self.bias else None

    def to_come(self, shape: tuple[int, ...], out: int, dtype: Any) -> tuple[Parameter, Parameter | None]:
        """Return parameters that wait for their values; `shape` has length 0 along the axis that is not known."""
        bias = UninitializedParameter(np.zeros(out, dtype)) if self.bias else None
        return UninitializedParameter(np.zeros(shape, dtype)), bias


def fill(own: tuple[Parameter | None, ...], drawn: tuple[Parameter | None, ...]) -> None:
    """Give parameters that waited their values, on the device that they are on by now."""
    for parameter, values in zip(own, drawn, strict=True):
        if parameter is not None and values is not None:
            parameter.data = like(values.data, parameter.data)


def check_sizes(who: str, **sizes: int) -> None:
    """Raise ValueError for a size that is no integer of at least 1; `who` complains."""
    for name, size in sizes.items():
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{who}: {name} must be an int of at least 1, got {size!r}")
