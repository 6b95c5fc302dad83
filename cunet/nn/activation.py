"""Layer classes of the activations: PReLU, and rectifiers and gates, which only hold the options of their function.

Those that squash or shrink are in `cunet.nn.squashing`. ``tools/write_activations.py`` writes the class of an
activation that has none yet, here; a test holds each against its op.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops.activation import gated, rectifier
from ..ops.activation.registry import find
from ..random import Generator
from .function_layer import Unary
from .inputs import as_input
from .module import Module
from .parameter import check_sizes, make_parameter


def as_activation(who: str, given: Any) -> Callable[..., Any] | None:
    """Return what a norm may be given as its activation as a function, with options in a `functools.partial`, or None.

    Raises:
        ValueError, TypeError: see `find`.
    """
    entry, options = find(who, given)
    if entry is None:
        return None
    return functools.partial(entry.function, **options) if options else entry.function


class CELU(Unary):
    """Layer that applies `cunet.functional.celu`; same options.

    Example:
        >>> nn.CELU(alpha=2.0)([-2.0, 0.0, 2.0]).round(4)
        Tensor([-1.2642,  0.    ,  2.    ])
    """

    function = staticmethod(rectifier.celu)
    alpha: float = 1.0
    inplace: bool = False


class ELU(Unary):
    """Layer that applies `cunet.functional.elu`; same options.

    Example:
        >>> nn.ELU()([-2.0, 0.0, 2.0]).round(4)
        Tensor([-0.8647,  0.    ,  2.    ])
    """

    function = staticmethod(rectifier.elu)
    alpha: float = 1.0
    inplace: bool = False


class GELU(Unary):
    """Layer that applies `cunet.functional.gelu`; same options.

    Example:
        >>> nn.GELU()([-1.0, 0.0, 1.0]).round(4)
        Tensor([-0.1587,  0.    ,  0.8413])
        >>> nn.GELU("tanh")([-1.0, 0.0, 1.0]).round(4)
        Tensor([-0.1588,  0.    ,  0.8412])
    """

    function = staticmethod(gated.gelu)
    approximate: str = "none"


class GLU(Unary):
    """Layer that applies `cunet.functional.glu`; same options.

    Example:
        >>> nn.GLU()([[1.0, 2.0, 0.0, 0.0]])  # values, then gates
        Tensor([[0.5, 1. ]])
    """

    function = staticmethod(gated.glu)
    dim: int = -1
    axis: int | None = None


class Hardswish(Unary):
    """Layer that applies `cunet.functional.hardswish`; same options.

    Example:
        >>> nn.Hardswish()([-1.5, 0.0, 1.5, 3.0])
        Tensor([-0.375,  0.   ,  1.125,  3.   ])
    """

    function = staticmethod(gated.hardswish)
    inplace: bool = False


class LeakyReLU(Unary):
    """Layer that applies `cunet.functional.leaky_relu`; same options.

    Example:
        >>> nn.LeakyReLU()([-2.0, 0.0, 2.0])
        Tensor([-0.02,  0.  ,  2.  ])
        >>> nn.LeakyReLU(0.5)([-2.0, 0.0, 2.0])
        Tensor([-1.,  0.,  2.])
    """

    function = staticmethod(rectifier.leaky_relu)
    negative_slope: float = 0.01
    inplace: bool = False


class Mish(Unary):
    """Layer that applies `cunet.functional.mish`; same options.

    Example:
        >>> nn.Mish()([-1.0, 0.0, 1.0]).round(4)
        Tensor([-0.3034,  0.    ,  0.8651])
    """

    function = staticmethod(gated.mish)
    inplace: bool = False


class ReLU(Unary):
    """Layer that applies `cunet.functional.relu`; same options.

    Example:
        >>> nn.ReLU()([-2.0, 0.0, 2.0])
        Tensor([0., 0., 2.])
    """

    function = staticmethod(rectifier.relu)
    inplace: bool = False


class SELU(Unary):
    """Layer that applies `cunet.functional.selu`; same options.

    Example:
        >>> nn.SELU()([-1.0, 0.0, 1.0]).round(4)
        Tensor([-1.1113,  0.    ,  1.0507])
    """

    function = staticmethod(rectifier.selu)
    inplace: bool = False


class SiLU(Unary):
    """Layer that applies `cunet.functional.silu`; same options.

    Example:
        >>> nn.SiLU()([-1.0, 0.0, 1.0]).round(4)
        Tensor([-0.2689,  0.    ,  0.7311])
    """

    function = staticmethod(gated.silu)
    inplace: bool = False


class Threshold(Unary):
    """Layer that applies `cunet.functional.threshold`; same options.

    Example:
        >>> nn.Threshold(0.5, -1.0)([0.25, 0.5, 0.75])  # 0.5 itself is not above
        Tensor([-1.  , -1.  ,  0.75])
    """

    function = staticmethod(rectifier.threshold)
    threshold: float = 1.0
    value: float = 0.0
    inplace: bool = False


class PReLU(Module):
    """Leaky ReLU with a learned slope: ``max(0, x) + weight * min(0, x)``.

    Exclude its weight from weight decay (section 3.1 of the paper): see `cunet.optim.no_decay_groups`.

    Args:
        num_parameters: 1 for one slope shared by all, or the number of channels (axis `axis`).
        init: first value of the slope, or an initialiser.
        axis: channel axis, for one slope per channel.
        generator, dtype: see `Linear`.

    Attributes:
        weight: shape (num_parameters,).

    Source: He et al. 2015, arXiv:1502.01852, equation 1.

    Example:
        >>> layer = nn.PReLU(2)
        >>> layer.weight
        Parameter([0.25, 0.25], requires_grad=True)
        >>> layer([[-4.0, 4.0]])
        Tensor([[-1.,  4.]], requires_grad=True)
    """

    def __init__(
        self,
        num_parameters: int = 1,
        init: Any = 0.25,
        *,
        axis: int = 1,
        generator: Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        check_sizes("PReLU", num_parameters=num_parameters)
        self.axis = axis
        self.weight = make_parameter((num_parameters,), init, 0.25, generator, dtype)

    def forward(self, x: Any) -> Any:
        """Return the activation of `x`."""
        return rectifier.prelu(as_input(self, x, self.weight), self.weight, axis=self.axis)

    def extra_repr(self) -> str:
        """Show the number of slopes."""
        return f"num_parameters={self.weight.size}"
