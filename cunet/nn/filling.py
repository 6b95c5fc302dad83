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

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> nn.init.uniform_(layer.weight, -0.1, 0.1).data.round(4)
        array([[-0.0161,  0.0516,  0.0671],
               [-0.0501, -0.0547,  0.0365]], dtype=float32)
    """
    return _fill(tensor, initialisers.uniform(a, b), generator)


def normal_(tensor: Weight, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Weight:
    """Fill with values from N(mean, std**2); return `tensor`. See `uniform_`.

    Example:
        >>> layer = nn.Embedding(1000, 64)
        >>> round(nn.init.normal_(layer.weight, std=0.02).std().item(), 3)
        0.02
    """
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

    Raises:
        TypeError, ValueError: see `uniform_`; or `std` is not above 0, or `a` not below `b`.

    Example:
        >>> layer = nn.Linear(100, 100)
        >>> round(nn.init.trunc_normal_(layer.weight, std=0.02, a=-0.04, b=0.04).abs().max().item(), 3)
        0.04
    """
    if not (std > 0 and a < b):
        raise ValueError(f"trunc_normal_: std must be > 0 and a < b, got std={std}, a={a}, b={b}")
    return _fill(tensor, initialisers.truncated_normal(mean, std, (a - mean) / std, (b - mean) / std), generator)


def constant_(tensor: Weight, val: float) -> Weight:
    """Fill with `val`; return `tensor`. See `uniform_`.

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> nn.init.constant_(layer.bias, 0.5)
        Parameter([0.5, 0.5], requires_grad=True)
    """
    return _fill(tensor, initialisers.constant(val))


def ones_(tensor: Weight) -> Weight:
    """Fill with 1; return `tensor`. See `uniform_`.

    Example:
        >>> layer = nn.LSTM(4, 2)
        >>> nn.init.ones_(layer.bias_ih_l0.data[2:4])  # of the forget gate: the second of four
        array([1., 1.], dtype=float32)
    """
    return _fill(tensor, initialisers.ones())


def zeros_(tensor: Weight) -> Weight:
    """Fill with 0; return `tensor`. See `uniform_`.

    Example:
        >>> norm = nn.BatchNorm2d(3)  # the last one of a residual branch, which then begins as 0
        >>> nn.init.zeros_(norm.weight)
        Parameter([0., 0., 0.], requires_grad=True)
    """
    return _fill(tensor, initialisers.zeros())


def eye_(tensor: Weight) -> Weight:
    """Fill a matrix with 1 on its diagonal and 0 elsewhere; return `tensor`. See `uniform_`.

    Example:
        >>> nn.init.eye_(nn.Linear(3, 2).weight).data
        array([[1., 0., 0.],
               [0., 1., 0.]], dtype=float32)
    """
    return _fill(tensor, initialisers.eye())


def delta_orthogonal_(tensor: Weight, gain: float = 1.0, generator: Generator | None = None) -> Weight:
    """Fill a convolution's weight so that it keeps norms; return `tensor`. See `cunet.init.delta_orthogonal`.

    Example:
        >>> layer = nn.Conv1d(4, 8, kernel_size=3, padding=1)
        >>> (nn.init.delta_orthogonal_(layer.weight).data != 0).any(axis=(0, 1))  # the kernel's centre
        array([False,  True, False])
    """
    return _fill(tensor, initialisers.delta_orthogonal(gain), generator)


def dirac_(tensor: Weight, groups: int = 1) -> Weight:
    """Fill a convolution's weight so that channels pass unchanged; return `tensor`. See `cunet.init.dirac`.

    Example:
        >>> layer = nn.Conv1d(2, 2, kernel_size=3, padding=1, bias=False)
        >>> weight = nn.init.dirac_(layer.weight)
        >>> layer([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]).data
        array([[[1., 2., 3.],
                [4., 5., 6.]]], dtype=float32)
    """
    return _fill(tensor, initialisers.dirac(groups))


def xavier_uniform_(tensor: Weight, gain: float = 1.0, generator: Generator | None = None) -> Weight:
    """Fill with Glorot's uniform values; return `tensor`. See `uniform_` and `cunet.init.xavier_uniform`.

    Example:
        >>> layer = nn.Linear(400, 200)
        >>> round(nn.init.xavier_uniform_(layer.weight).abs().max().item(), 3)  # sqrt(6 / (400 + 200))
        0.1
    """
    return _fill(tensor, initialisers.xavier_uniform(gain), generator)


def xavier_normal_(tensor: Weight, gain: float = 1.0, generator: Generator | None = None) -> Weight:
    """Fill with Glorot's normal values; return `tensor`. See `uniform_` and `cunet.init.xavier_normal`.

    Example:
        >>> layer = nn.Linear(150, 50)
        >>> round(nn.init.xavier_normal_(layer.weight).std().item(), 2)  # sqrt(2 / (150 + 50))
        0.1
    """
    return _fill(tensor, initialisers.xavier_normal(gain), generator)


def kaiming_uniform_(
    tensor: Weight,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Weight:
    """Fill with He's uniform values; return `tensor`. See `uniform_` and `cunet.init.kaiming_uniform`.

    Example:
        >>> layer = nn.Linear(600, 200)
        >>> round(nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu").abs().max().item(), 3)  # sqrt(6 / 600)
        0.1
    """
    return _fill(tensor, initialisers.kaiming_uniform(a, mode, nonlinearity), generator)


def kaiming_normal_(
    tensor: Weight,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Weight:
    """Fill with He's normal values; return `tensor`. See `uniform_` and `cunet.init.kaiming_normal`.

    Example:
        >>> model = nn.Sequential(nn.Linear(200, 300), nn.ReLU(), nn.Linear(300, 10))
        >>> def start(layer):
        ...     if isinstance(layer, nn.Linear):
        ...         nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        >>> round(model.apply(start)[0].weight.std().item(), 2)  # sqrt(2 / 200)
        0.1
    """
    return _fill(tensor, initialisers.kaiming_normal(a, mode, nonlinearity), generator)


def orthogonal_(tensor: Weight, gain: float = 1.0, generator: Generator | None = None) -> Weight:
    """Fill with an orthogonal matrix; return `tensor`. See `uniform_` and `cunet.init.orthogonal`.

    Example:
        >>> layer = nn.Linear(2, 4, bias=False)
        >>> weight = nn.init.orthogonal_(layer.weight)
        >>> round(float(np.linalg.norm(layer([3.0, 4.0]).data)), 4)  # as long as [3, 4]
        5.0
    """
    return _fill(tensor, initialisers.orthogonal(gain), generator)


def sparse_(tensor: Weight, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Weight:
    """Fill a matrix with N(0, std**2), but a part of each column with 0; return `tensor`. See `cunet.init.sparse`.

    Example:
        >>> layer = nn.Linear(3, 10)
        >>> (nn.init.sparse_(layer.weight, sparsity=0.8).data == 0).sum(axis=0)  # of 10 rows
        array([8, 8, 8])
    """
    return _fill(tensor, initialisers.sparse(sparsity, std), generator)
