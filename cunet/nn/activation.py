"""Layer classes of the activations: PReLU, and the stateless ones, all from one table."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops import activation as ops
from ..ops import softmax as softmax_ops
from ..ops.activation import prelu
from ..random import Generator
from .linear import make_parameter
from .module import Module


class Activation(Module):
    """Base of the stateless activation layers: holds the static arguments of a function."""

    function: Callable[..., Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        static = [p for p in inspect.signature(self.function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        names = [p.name for p in static]
        if len(args) > len(names) or not kwargs.keys() <= set(names):
            given = [*map(repr, args), *(f"{k}={v!r}" for k, v in kwargs.items())]
            raise TypeError(f"{type(self).__name__} takes ({', '.join(names)}), got ({', '.join(given)})")
        positional = dict(zip(names, args, strict=False))
        if positional.keys() & kwargs.keys():
            raise TypeError(f"{type(self).__name__}: {', '.join(positional.keys() & kwargs.keys())} given twice")
        self.options: dict[str, Any] = positional | kwargs

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


CELU = _layer("CELU", ops.celu)
ELU = _layer("ELU", ops.elu)
GELU = _layer("GELU", ops.gelu)
GLU = _layer("GLU", ops.glu)
Hardsigmoid = _layer("Hardsigmoid", ops.hard_sigmoid)
Hardswish = _layer("Hardswish", ops.hard_swish)
Hardtanh = _layer("Hardtanh", ops.hard_tanh)
LeakyReLU = _layer("LeakyReLU", ops.leaky_relu)
LogSigmoid = _layer("LogSigmoid", ops.logsigmoid)
LogSoftmax = _layer("LogSoftmax", softmax_ops.log_softmax)
Mish = _layer("Mish", ops.mish)
ReLU = _layer("ReLU", ops.relu)
ReLU6 = _layer("ReLU6", ops.relu6)
SELU = _layer("SELU", ops.selu)
SiLU = _layer("SiLU", ops.silu)
Sigmoid = _layer("Sigmoid", ops.sigmoid)
Softmax = _layer("Softmax", softmax_ops.softmax)
Softplus = _layer("Softplus", ops.softplus)
Softsign = _layer("Softsign", ops.softsign)
Tanh = _layer("Tanh", ops.tanh)
ThresholdedReLU = _layer("ThresholdedReLU", ops.threshold_relu)


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
        self.axis = axis
        self.weight = make_parameter((num_parameters,), init, 0.25, generator, dtype)

    def forward(self, x: Any) -> Any:
        """Return the activation of `x`."""
        return prelu(x, self.weight, axis=self.axis)

    def extra_repr(self) -> str:
        """Show the number of slopes."""
        return f"num_parameters={self.weight.size}"
