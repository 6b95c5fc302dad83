"""Layers of dropout; in evaluation mode each returns its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops import dropout as ops
from ..ops.dropout_mask import threshold_of
from ..ops.gaussian_dropout import deviation_of, gaussian_dropout
from ..random import Generator
from .inputs import as_input
from .module import Module


class DropoutBase(Module):
    """Base of the dropout layers: probability, generator, and the function that drops."""

    function: Callable[..., Any]

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None) -> None:
        threshold_of(type(self).__name__, p)
        self.p, self.generator = p, generator

    def forward(self, x: Any) -> Any:
        """Return `x` with a fresh mask in training, `x` itself in evaluation."""
        return type(self).function(as_input(self, x, None), self.p, self.training, generator=self.generator)

    def extra_repr(self) -> str:
        """Show the probability to drop."""
        return f"p={self.p}"


class Dropout(DropoutBase):
    """Drop each element with probability `p`; see `cunet.functional.dropout`.

    It drops units, the outputs of a layer, not its weights.

    Args:
        p: probability to drop, 0 to 1, in steps of 1/65536.
        inplace: see `cunet.functional`.
        generator: where masks are drawn from; by default the stream "dropout" of `cunet.manual_seed`.

    Example:
        >>> layer = nn.Dropout(0.5)
        >>> layer(np.ones(8))  # in training: what is left is doubled
        Tensor([0., 0., 2., 0., 2., 2., 0., 0.], dtype=float64)
        >>> layer.eval()(np.ones(8))
        Tensor([1., 1., 1., 1., 1., 1., 1., 1.], dtype=float64)
    """

    function = staticmethod(ops.dropout)


class Dropout1d(DropoutBase):
    """Drop channels of (N, C, L) or (C, L); see `cunet.functional.dropout1d`; arguments as `Dropout`.

    Example:
        >>> nn.Dropout1d(0.5)(np.ones((1, 4, 3)))[0]
        Tensor([[0., 0., 0.],
                [0., 0., 0.],
                [2., 2., 2.],
                [0., 0., 0.]], dtype=float64)
    """

    function = staticmethod(ops.dropout1d)


class Dropout2d(DropoutBase):
    """Drop channels of (N, C, H, W); see `cunet.functional.dropout2d`; arguments as `Dropout`.

    Example:
        >>> y = nn.Dropout2d(0.5)(np.ones((2, 4, 8, 8)))
        >>> y.mean(axis=(2, 3))  # whole maps
        Tensor([[0., 0., 2., 0.],
                [2., 2., 0., 0.]], dtype=float64)
    """

    function = staticmethod(ops.dropout2d)


class Dropout3d(DropoutBase):
    """Drop channels of (N, C, D, H, W) or (C, D, H, W); see `cunet.functional.dropout3d`; arguments as `Dropout`.

    Example:
        >>> y = nn.Dropout3d(0.25)(np.ones((2, 4, 8, 8, 8)))
        >>> y.mean(axis=(2, 3, 4)).round(4)
        Tensor([[0.    , 0.    , 1.3333, 1.3333],
                [1.3333, 1.3333, 0.    , 1.3333]], dtype=float64)
    """

    function = staticmethod(ops.dropout3d)


class AlphaDropout(DropoutBase):
    """Dropout for networks of SELU, which keeps mean and variance; see `cunet.functional.alpha_dropout`.

    Arguments as `Dropout`.

    Example:
        >>> y = nn.AlphaDropout(0.5)(np.zeros(6))
        >>> y.round(4)  # one of two values, not 0
        Tensor([-0.7792, -0.7792,  0.7792, -0.7792,  0.7792,  0.7792], dtype=float64)
    """

    function = staticmethod(ops.alpha_dropout)


class FeatureAlphaDropout(DropoutBase):
    """Alpha dropout of whole channels of (N, C, ...); see `cunet.functional.feature_alpha_dropout`.

    Arguments as `Dropout`.

    Example:
        >>> nn.FeatureAlphaDropout(0.5)(np.zeros((1, 4, 2)))[0].round(4)
        Tensor([[-0.7792, -0.7792],
                [-0.7792, -0.7792],
                [ 0.7792,  0.7792],
                [-0.7792, -0.7792]], dtype=float64)
    """

    function = staticmethod(ops.feature_alpha_dropout)


class GaussianDropout(DropoutBase):
    """Multiply by Gaussian noise of mean 1 and the variance of dropout; see `cunet.functional.gaussian_dropout`.

    Args:
        p: probability of the dropout that it stands for, in [0, 1); the noise's variance is ``p / (1 - p)``.
        generator: as in `Dropout`.

    Example:
        >>> nn.GaussianDropout(0.2)(np.ones(4)).round(4)  # 1 plus noise of deviation 1/2
        Tensor([0.3449, 1.2839, 1.6132, 1.2326], dtype=float64)
    """

    function = staticmethod(gaussian_dropout)

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        deviation_of("GaussianDropout", p)
        self.p, self.generator = p, generator


class StochasticDepth(Module):
    """Drop what a residual branch adds, of whole samples; see `cunet.functional.stochastic_depth`.

    Args:
        p: probability to drop, 0 to 1, in steps of 1/65536.
        mode: "row" draws for each sample by itself, "batch" once for all.
        generator: as in `Dropout`.

    Example:
        >>> branch, drop = nn.Linear(2, 2, init=1.0, bias=False), nn.StochasticDepth(0.5)
        >>> x = np.ones((4, 2), np.float32)
        >>> x + drop(branch(x))
        Tensor([[1., 1.],
                [1., 1.],
                [5., 5.],
                [1., 1.]], requires_grad=True)
    """

    def __init__(self, p: float = 0.5, mode: str = "row", *, generator: Generator | None = None) -> None:
        threshold_of("StochasticDepth", p)
        if mode not in ("row", "batch"):
            raise ValueError(f'StochasticDepth: mode must be "row" or "batch", got {mode!r}')
        self.p, self.mode, self.generator = p, mode, generator

    def forward(self, x: Any) -> Any:
        """Return `x` with samples dropped in training, `x` itself in evaluation."""
        x = as_input(self, x, None)
        return ops.stochastic_depth(x, self.p, self.mode, self.training, generator=self.generator)

    def extra_repr(self) -> str:
        """Show probability and mode."""
        return f"p={self.p}, mode={self.mode}"
