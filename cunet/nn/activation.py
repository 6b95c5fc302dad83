"""Layer classes of the activations: PReLU, and those that only hold the options of their function.

``tools/write_activations.py`` writes the class of an activation that has none yet; a test holds each against its op.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops import softmax
from ..ops.activation import gated, rectifier, shrink, squashing
from ..ops.activation.registry import find
from ..ops.math import tanh
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
    """Layer that applies `cunet.functional.celu`; same options."""

    function = staticmethod(rectifier.celu)
    alpha: float = 1.0
    inplace: bool = False


class ELU(Unary):
    """Layer that applies `cunet.functional.elu`; same options."""

    function = staticmethod(rectifier.elu)
    alpha: float = 1.0
    inplace: bool = False


class GELU(Unary):
    """Layer that applies `cunet.functional.gelu`; same options."""

    function = staticmethod(gated.gelu)
    approximate: str = "none"


class GLU(Unary):
    """Layer that applies `cunet.functional.glu`; same options."""

    function = staticmethod(gated.glu)
    dim: int = -1
    axis: int | None = None


class Hardsigmoid(Unary):
    """Layer that applies `cunet.functional.hardsigmoid`; same options."""

    function = staticmethod(squashing.hardsigmoid)
    inplace: bool = False
    slope: float = 1 / 6


class Hardswish(Unary):
    """Layer that applies `cunet.functional.hardswish`; same options."""

    function = staticmethod(gated.hardswish)
    inplace: bool = False


class Hardtanh(Unary):
    """Layer that applies `cunet.functional.hardtanh`; same options."""

    function = staticmethod(squashing.hardtanh)
    min_val: float = -1.0
    max_val: float = 1.0
    inplace: bool = False


class LeakyReLU(Unary):
    """Layer that applies `cunet.functional.leaky_relu`; same options."""

    function = staticmethod(rectifier.leaky_relu)
    negative_slope: float = 0.01
    inplace: bool = False


class LogSigmoid(Unary):
    """Layer that applies `cunet.functional.logsigmoid`; same options."""

    function = staticmethod(squashing.logsigmoid)


class LogSoftmax(Unary):
    """Layer that applies `cunet.functional.log_softmax`; same options."""

    function = staticmethod(softmax.log_softmax)
    dim: int | None = None
    dtype: Any = None
    axis: int | None = None


class Mish(Unary):
    """Layer that applies `cunet.functional.mish`; same options."""

    function = staticmethod(gated.mish)
    inplace: bool = False


class ReLU(Unary):
    """Layer that applies `cunet.functional.relu`; same options."""

    function = staticmethod(rectifier.relu)
    inplace: bool = False


class ReLU6(Unary):
    """Layer that applies `cunet.functional.relu6`; same options."""

    function = staticmethod(squashing.relu6)
    inplace: bool = False


class SELU(Unary):
    """Layer that applies `cunet.functional.selu`; same options."""

    function = staticmethod(rectifier.selu)
    inplace: bool = False


class Sigmoid(Unary):
    """Layer that applies `cunet.functional.sigmoid`; same options."""

    function = staticmethod(squashing.sigmoid)


class SiLU(Unary):
    """Layer that applies `cunet.functional.silu`; same options."""

    function = staticmethod(gated.silu)
    inplace: bool = False


class Softmax(Unary):
    """Layer that applies `cunet.functional.softmax`; same options."""

    function = staticmethod(softmax.softmax)
    dim: int | None = None
    dtype: Any = None
    axis: int | None = None


class Softplus(Unary):
    """Layer that applies `cunet.functional.softplus`; same options."""

    function = staticmethod(squashing.softplus)
    beta: float = 1.0
    threshold: float = 20.0


class Softsign(Unary):
    """Layer that applies `cunet.functional.softsign`; same options."""

    function = staticmethod(squashing.softsign)


class Tanh(Unary):
    """Layer that applies `cunet.functional.tanh`; same options."""

    function = staticmethod(tanh)


class Threshold(Unary):
    """Layer that applies `cunet.functional.threshold`; same options."""

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


class Softmin(Unary):
    """Layer that applies `cunet.functional.softmin`; same options."""

    function = staticmethod(softmax.softmin)
    dim: int | None = None
    dtype: Any = None


class Softshrink(Unary):
    """Layer that applies `cunet.functional.softshrink`; same options."""

    function = staticmethod(shrink.softshrink)
    lambd: float = 0.5


class Hardshrink(Unary):
    """Layer that applies `cunet.functional.hardshrink`; same options."""

    function = staticmethod(shrink.hardshrink)
    lambd: float = 0.5


class Tanhshrink(Unary):
    """Layer that applies `cunet.functional.tanhshrink`; same options."""

    function = staticmethod(shrink.tanhshrink)
