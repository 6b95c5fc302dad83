"""Weight norm and spectral norm: layers whose weight is computed of what is trained."""

from __future__ import annotations

import math

import numpy as np

from .. import init
from ..autograd.custom import recomputing
from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, like
from ..ops.distance import normalize
from ..ops.linalg import matmul
from .channel_norm import kept, put
from .conv import ConvBase
from .module import Module
from .parameter import check_sizes
from .parametrize import Parametrization, register


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Split a weight into its length and its direction, which are trained in its place; return the module.

    ``weight = g * v / norm(v)``, with a norm of its own for each index of the axis `dim`. The state has
    ``parametrizations.weight.original0``, which is g, and ``original1``, which is v, as PyTorch's has. At first the
    weight is what it was; no gradient by v changes its length.

    Args:
        module: a layer.
        name: of its weight.
        dim: axis of the outputs: 0 of `Linear` and convolutions, 1 of transposed ones; None: one norm for all.

    Raises:
        ValueError: there is no such parameter or axis.

    Source: Salimans and Kingma 2016, arXiv:1602.07868, equation 2.

    Example:
        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 1, bias=False, init=3.0))
        >>> layer.parametrizations["weight"].original0.data, layer.weight.data
        (array([[4.2426405]], dtype=float32), array([[3., 3.]], dtype=float32))
    """
    weight = getattr(module, name, None)
    axes = weight.ndim if isinstance(weight, Tensor) else 0
    if dim is not None and dim != -1 and isinstance(weight, Tensor) and not 0 <= dim < axes:
        raise ValueError(f"weight_norm: dim must be None or an axis of {name}, 0 to {axes - 1}, got {dim}")
    register("weight_norm", module, name, WeightNorm(None if dim == -1 else dim))
    return module


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value, so that the layer is no longer than its input; return the module.

    ``weight = w / (u @ W @ v)``, where W is w as a matrix whose rows are the axis `dim`, and u and v come nearer to its
    first singular vectors with each call in training: ``u = W @ v`` and ``v = W.T @ u``, each divided by its norm. No
    gradient goes through them. The state has ``parametrizations.weight.original``, which is w, and
    ``parametrizations.weight.0._u`` and ``_v``, as PyTorch's has.

    Args:
        module: a layer.
        name: of its weight.
        n_power_iterations: steps towards u and v in each call in training.
        eps: the least norm that u and v are divided by.
        dim: axis of the outputs; None: 1 of transposed convolutions, else 0.

    Raises:
        ValueError: there is no such parameter or axis, or a number is out of its range.

    Source: Miyato, Kataoka, Koyama and Yoshida 2018, arXiv:1802.05957, equation 8 and algorithm 1.

    Example:
        >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2, bias=False, init=init.eye(4.0)))
        >>> layer([[1.0, 2.0]]).data.round(4)
        array([[1., 2.]], dtype=float32)
        >>> list(layer.state_dict())
        ['parametrizations.weight.original', 'parametrizations.weight.0._u', 'parametrizations.weight.0._v']
    """
    check_sizes("spectral_norm", n_power_iterations=n_power_iterations)
    weight = getattr(module, name, None)
    if dim is None:
        dim = int(isinstance(module, ConvBase) and getattr(module, "transposed", False))
    if isinstance(weight, Tensor) and not 0 <= dim < max(1, weight.ndim):
        raise ValueError(f"spectral_norm: dim must be an axis of {name}, 0 to {weight.ndim - 1}, got {dim}")
    how = SpectralNorm(weight.data if isinstance(weight, Tensor) else np.zeros(0), n_power_iterations, dim, eps)
    register("spectral_norm", module, name, how)
    return module


class WeightNorm(Parametrization):
    """Length times direction; see `weight_norm`."""

    def __init__(self, dim: int | None) -> None:
        self.dim = dim

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        """Return ``g * v / norm(v)``."""
        return g * normalize(v, dim=self._axes(v.ndim))

    def inverse(self, weight: Array) -> tuple[Array, Array]:
        """Return the norms of a weight, and itself."""
        xp = array_module(weight)
        wide = weight.astype(np.float64)
        length = xp.sqrt((wide * wide).sum(axis=self._axes(weight.ndim), keepdims=self.dim is not None))
        return xp.asarray(length, dtype=weight.dtype), weight.copy()

    def _axes(self, ndim: int) -> tuple[int, ...]:
        return tuple(axis for axis in range(ndim) if axis != self.dim)


class SpectralNorm(Parametrization):
    """A weight divided by its largest singular value; see `spectral_norm`."""

    _u: Tensor
    _v: Tensor
    _first = 15  # steps before the first call, as PyTorch makes them
    _wide = frozenset({"_u", "_v"})

    def __init__(self, weight: Array, n_power_iterations: int, dim: int, eps: float) -> None:
        self.n_power_iterations, self.dim, self.eps = n_power_iterations, dim, eps
        if weight.ndim < 2 or not weight.size:
            return
        wide = accumulator(weight.dtype)
        rows = weight.shape[dim]
        for name, size in (("_u", rows), ("_v", math.prod(weight.shape) // rows)):
            self.register_buffer(name, like(init.normal()((size,), None, wide), weight))
        with no_grad():
            u, v = self._steps(self._matrix(Tensor(weight.astype(wide))), self._first)
            put(self._u, u)
            put(self._v, v)

    def forward(self, w: Tensor) -> Tensor:
        """Return the weight; in training come nearer to its singular vectors first."""
        if w.ndim < 2:
            return normalize(w, dim=0, eps=self.eps)
        matrix = self._matrix(w)
        if self.training and not recomputing.get():
            with no_grad():
                u, v = self._steps(self._matrix(w.detach()), self.n_power_iterations)
            put(self._u, u)
            put(self._v, v)
        else:
            u, v = kept(self._u), kept(self._v)
        sigma = matmul(matmul(u.astype(w.dtype), matrix), v.astype(w.dtype))
        return w / sigma

    def inverse(self, weight: Array) -> tuple[Array, ...]:
        """Return a weight itself: what is computed of it is divided by its singular value."""
        return (weight.copy(),)

    def _matrix(self, w: Tensor) -> Tensor:
        if self.dim:  # the other axes in their order, as PyTorch's _v has them
            w = w.transpose(self.dim, *(axis for axis in range(w.ndim) if axis != self.dim))
        return w.reshape(w.shape[0], math.prod(w.shape[1:]))

    def _steps(self, matrix: Tensor, count: int) -> tuple[Tensor, Tensor]:
        wide = matrix.astype(self._u.dtype)
        u, v = self._u, self._v
        for _ in range(count):
            u = normalize(matmul(wide, v), dim=0, eps=self.eps)
            v = normalize(matmul(u, wide), dim=0, eps=self.eps)
        return u, v
