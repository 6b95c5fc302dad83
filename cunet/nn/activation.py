"""Layer classes of the activations: PReLU, and the stateless ones, all from one table."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.op import static_parameters
from ..ops import softmax
from ..ops.activation import gated, rectifier, squashing
from ..ops.math import tanh
from ..ops.norm.epilogue import as_function
from ..random import Generator
from .linear import _check_sizes, make_parameter
from .module import Module


def bind_options(who: str, function: Callable[..., Any], args: Any, kwargs: Any) -> dict[str, Any]:
    """Return by name the options of an op (its static parameters) that were given, also by position."""
    options = [p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in static_parameters(function)]
    try:
        return inspect.Signature([p.replace(default=None) for p in options]).bind(*args, **kwargs).arguments
    except TypeError as error:
        raise TypeError(f"{who}: {error}; its options are ({', '.join(p.name for p in options)})") from None


class Activation(Module):
    """Base of the stateless activation layers: holds the static arguments of a function."""

    function: Callable[..., Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.options = bind_options(type(self).__name__, self.function, args, kwargs)

    def forward(self, x: Any) -> Any:
        """Return the function of `x`."""
        return type(self).function(x, **self.options)

    def extra_repr(self) -> str:
        """Show the options that were given."""
        return ", ".join(f"{k}={v!r}" for k, v in self.options.items())


def _layer(name: str, function: Callable[..., Any]) -> type[Activation]:
    """Make the layer class of an activation function; its options are the function's static arguments."""
    doc = f"Layer that applies `cunet.functional.{function.__name__}`; same options."
    return type(name, (Activation,), {"function": staticmethod(function), "__doc__": doc, "__module__": __name__})


CELU = _layer("CELU", rectifier.celu)
ELU = _layer("ELU", rectifier.elu)
GELU = _layer("GELU", gated.gelu)
GLU = _layer("GLU", gated.glu)
Hardsigmoid = _layer("Hardsigmoid", squashing.hard_sigmoid)
Hardswish = _layer("Hardswish", gated.hard_swish)
Hardtanh = _layer("Hardtanh", squashing.hard_tanh)
LeakyReLU = _layer("LeakyReLU", rectifier.leaky_relu)
LogSigmoid = _layer("LogSigmoid", squashing.logsigmoid)
LogSoftmax = _layer("LogSoftmax", softmax.log_softmax)
Mish = _layer("Mish", gated.mish)
ReLU = _layer("ReLU", rectifier.relu)
ReLU6 = _layer("ReLU6", squashing.relu6)
SELU = _layer("SELU", rectifier.selu)
SiLU = _layer("SiLU", gated.silu)
Sigmoid = _layer("Sigmoid", squashing.sigmoid)
Softmax = _layer("Softmax", softmax.softmax)
Softplus = _layer("Softplus", squashing.softplus)
Softsign = _layer("Softsign", squashing.softsign)
Tanh = _layer("Tanh", tanh)
ThresholdedReLU = _layer("ThresholdedReLU", rectifier.threshold_relu)


def as_activation(who: str, given: Any) -> Callable[..., Any] | None:
    """Return the activation behind a norm as a function, as `epilogue.as_function` does, or its error.

    A layer without parameters stands for its function and options.
    """
    if isinstance(given, Activation):
        function = type(given).function
        given = functools.partial(function, **given.options) if given.options else function
    return as_function(who, given)


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
        _check_sizes("PReLU", num_parameters=num_parameters)
        self.axis = axis
        self.weight = make_parameter((num_parameters,), init, 0.25, generator, dtype)

    def forward(self, x: Any) -> Any:
        """Return the activation of `x`."""
        return rectifier.prelu(x, self.weight, axis=self.axis)

    def extra_repr(self) -> str:
        """Show the number of slopes."""
        return f"num_parameters={self.weight.size}"
