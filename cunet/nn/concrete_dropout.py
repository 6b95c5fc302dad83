"""Concrete dropout: a probability to drop that is learnt."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor
from ..device import accumulator, array_module
from ..kernels.capture import done
from ..ops.activation.squashing import sigmoid, softplus
from ..ops.math import exp, expm1, log
from ..ops.operands import lifted
from ..ops.sampling import with_gumbel_noise
from ..ops.softmax import check_floating
from ..random import Generator, default_generator
from ..system.checks import check_numbers
from .inputs import as_input
from .module import Module
from .parameter import Parameter


class ConcreteDropout(Module):
    """Drop softly, with a probability that is trained by its gradient; in evaluation return the input.

    ``y = x * (1 - z) / (1 - p)`` with ``z = sigmoid((log(p / (1 - p)) + log(u / (1 - u))) / temperature)`` and u
    uniform in (0, 1) for each element. The smaller the temperature, the nearer z is to 0 or 1. Alone the loss would
    make p as small as it can: add `regularizer` of the layer behind to it.

    Args:
        p: the first probability to drop, in (0, 1).
        temperature: how soft, > 0.
        generator: where u is drawn from; by default the stream "dropout" of `cunet.manual_seed`.

    Attributes:
        p_logit: ``log(p / (1 - p))``, trained, shape ().

    Source: Gal, Hron and Kendall 2017, arXiv:1705.07832, equation 5; the regulariser: equations 3 and 4.

    Example:
        >>> drop, layer = nn.ConcreteDropout(0.2), nn.Linear(3, 1)
        >>> loss = (layer(drop(np.ones((4, 3), np.float32))) ** 2).mean() + drop.regularizer(layer.weight, samples=4)
        >>> loss.backward()
        >>> drop.p_logit.grad.shape, round(drop.p, 4)
        ((), 0.2)
    """

    def __init__(
        self,
        p: float = 0.1,
        temperature: float = 0.1,
        *,
        generator: Generator | None = None,
        dtype: Any = np.float32,
    ) -> None:
        check_numbers("ConcreteDropout", p=p, temperature=temperature)
        if not 0 < p < 1:
            raise ValueError(f"ConcreteDropout: p must be in (0, 1), got {p}")
        if not temperature > 0:
            raise ValueError(f"ConcreteDropout: temperature must be more than 0, got {temperature}")
        self.temperature, self.generator = temperature, generator
        self.p_logit = Parameter(np.asarray(math.log(p / (1 - p)), dtype))

    @property
    def p(self) -> float:
        """The probability to drop; on a GPU this waits for it."""
        return 1 / (1 + math.exp(-self.p_logit.item()))

    def forward(self, x: Any) -> Any:
        """Return `x` with a fresh soft mask in training, `x` itself in evaluation."""
        x = lifted(as_input(self, x, None))
        check_floating("ConcreteDropout", x, "x")
        if not self.training:
            return x
        wide = accumulator(x.dtype)
        logit = self.p_logit.astype(wide)
        keep = sigmoid(-(logit + self._logistic(x, wide)) / self.temperature)
        return x * (keep * (1 + exp(logit))).astype(x.dtype)

    def _logistic(self, x: Tensor, dtype: np.dtype) -> Tensor:
        """Return ``log(u / (1 - u))`` for each element, of Gumbel's noise ``-log(-log(u))``."""
        draw = (self.generator or default_generator("dropout")).next()
        zeros = done(array_module(x.data).zeros, x.shape, dtype)
        with no_grad():
            minus_log_u = exp(-with_gumbel_noise(zeros, draw=draw))
            return -minus_log_u - log(-expm1(-minus_log_u))

    def regularizer(self, weight: Any, samples: int, length_scale: float = 1e-2) -> Tensor:
        """Return what to add to the mean loss of a sample, for one layer of weights behind this one.

        ``(length_scale**2 / 2 * sum(weight**2) / (1 - p) - K * H(p)) / samples`` with the entropy ``H(p) = -p log(p) -
        (1 - p) log(1 - p)``, of K numbers that are dropped by themselves. The loss is minus the logarithm of a
        likelihood, such as cross-entropy. The more samples, the smaller p becomes.

        Args:
            weight: of the layer behind, shape (out, K) or (out, K, ...).
            samples: how many there are to train on.
            length_scale: of the prior; the larger, the more large weights cost.

        Raises:
            ValueError: `weight` has fewer than two axes, or `samples` is not positive.
        """
        check_numbers("ConcreteDropout.regularizer", samples=samples, length_scale=length_scale)
        weight = lifted(weight)
        if weight.ndim < 2:
            raise ValueError(f"ConcreteDropout.regularizer: weight must have shape (out, K, ...), got {weight.shape}")
        if not samples > 0:
            raise ValueError(f"ConcreteDropout.regularizer: samples must be more than 0, got {samples}")
        logit = self.p_logit
        entropy = sigmoid(logit) * softplus(-logit) + sigmoid(-logit) * softplus(logit)
        squares = (weight * weight).sum() * (1 + exp(logit))
        return (squares * (length_scale**2 / 2) - entropy * weight.shape[1]) / samples

    def extra_repr(self) -> str:
        """Show probability and temperature."""
        return f"p={self.p:.4g}, temperature={self.temperature}"
