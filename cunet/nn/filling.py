"""The functions of `cunet.nn.init`: each draws new values for a weight that is there, and writes them into it.

The distributions are those of `cunet.init`, whose initialisers make new
arrays and are given to layers as ``init=``. The fans are counted from the shape alone, as PyTorch does.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from .. import init as initialisers
from ..autograd.tensor import Tensor
from ..device import Array, is_array, like
from ..init import Initializer
from ..random import Generator

Weight = TypeVar("Weight", bound=Tensor | np.ndarray)


def _fill(tensor: Weight, initializer: Initializer, generator: Generator | None = None) -> Weight:
    who = f"{initializer.name}_"
    data: Array = tensor.data if isinstance(tensor, Tensor) else tensor
    if not is_array(data):
        raise TypeError(f"{who}: tensor must be a Tensor or an array, got {type(tensor).__name__}")
    if isinstance(tensor, Tensor) and not tensor.is_leaf:
        raise ValueError(f"{who}: tensor must be a leaf, such as a Parameter, got the result of an op")
    data[...] = like(initializer(data.shape, generator, data.dtype), data)
    if isinstance(tensor, Tensor):
        tensor.mark_modified()
    return tensor


def uniform_(tensor: Weight, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Weight:
    """Fill with values from U(a, b); return `tensor`.

    Args:
        tensor: Tensor without history (such as a Parameter), or array; floating.
        a, b: the two ends.
        generator: taken one draw from; by default the stream "init" of `cunet.manual_seed`.

    Raises:
        TypeError: `tensor` is not floating.
        ValueError: its shape does not fit, or it is the result of an op.
    """
    return _fill(tensor, initialisers.uniform(a, b), generator)


def normal_(tensor: Weight, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Weight:
    """Fill with values from N(mean, std**2); return `tensor`. See `uniform_`."""
    return _fill(tensor, initialisers.normal(mean, std), generator)


def trunc_normal_(
    tensor: Weight,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Weight:
    """Fill with values from N(mean, std**2) between a and b; return `tensor`. See `uniform_`.

    Args:
        tensor, generator: see `uniform_`.
        mean, std: of the normal before truncation.
        a, b: bounds of the values themselves, where `cunet.init.truncated_normal` counts in units of `std`.
    """
    if not std > 0:
        raise ValueError(f"trunc_normal_: std must be > 0, got {std}")
    return _fill(tensor, initialisers.truncated_normal(mean, std, (a - mean) / std, (b - mean) / std), generator)


def constant_(tensor: Weight, val: float) -> Weight:
    """Fill with `val`; return `tensor`. See `uniform_`."""
    return _fill(tensor, initialisers.constant(val))


def ones_(tensor: Weight) -> Weight:
    """Fill with 1; return `tensor`. See `uniform_`."""
    return _fill(tensor, initialisers.ones())


def zeros_(tensor: Weight) -> Weight:
    """Fill with 0; return `tensor`. See `uniform_`."""
    return _fill(tensor, initialisers.zeros())


def eye_(tensor: Weight) -> Weight:
    """Fill a matrix with 1 on its diagonal and 0 elsewhere; return `tensor`. See `uniform_`."""
    return _fill(tensor, initialisers.eye())


def delta_orthogonal_(tensor: Weight, gain: float = 1.0, generator: Generator | None = None) -> Weight:
    """Fill a convolution's weight so that it keeps norms; return `tensor`. See `cunet.init.delta_orthogonal`."""
    return _fill(tensor, initialisers.delta_orthogonal(gain), generator)


def dirac_(tensor: Weight, groups: int = 1) -> Weight:
    """Fill a convolution's weight so that channels pass unchanged; return `tensor`. See `cunet.init.dirac`."""
    return _fill(tensor, initialisers.dirac(groups))


def xavier_uniform_(tensor: Weight, gain: float = 1.0, generator: Generator | None = None) -> Weight:
    """Fill with Glorot's uniform values; return `tensor`. See `uniform_` and `cunet.init.xavier_uniform`."""
    return _fill(tensor, initialisers.xavier_uniform(gain), generator)


def xavier_normal_(tensor: Weight, gain: float = 1.0, generator: Generator | None = None) -> Weight:
    """Fill with Glorot's normal values; return `tensor`. See `uniform_` and `cunet.init.xavier_normal`."""
    return _fill(tensor, initialisers.xavier_normal(gain), generator)


def kaiming_uniform_(
    tensor: Weight,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Weight:
    """Fill with He's uniform values; return `tensor`. See `uniform_` and `cunet.init.kaiming_uniform`."""
    return _fill(tensor, initialisers.kaiming_uniform(a, mode, nonlinearity), generator)


def kaiming_normal_(
    tensor: Weight,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Weight:
    """Fill with He's normal values; return `tensor`. See `uniform_` and `cunet.init.kaiming_normal`."""
    return _fill(tensor, initialisers.kaiming_normal(a, mode, nonlinearity), generator)


def orthogonal_(tensor: Weight, gain: float = 1.0, generator: Generator | None = None) -> Weight:
    """Fill with an orthogonal matrix; return `tensor`. See `uniform_` and `cunet.init.orthogonal`."""
    return _fill(tensor, initialisers.orthogonal(gain), generator)


def sparse_(tensor: Weight, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Weight:
    """Fill a matrix with N(0, std**2), but a part of each column with 0; return `tensor`. See `cunet.init.sparse`."""
    return _fill(tensor, initialisers.sparse(sparsity, std), generator)
