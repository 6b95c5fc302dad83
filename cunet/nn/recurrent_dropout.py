"""VariationalDropout drops units of sequences, DropConnect drops the weights of a linear layer."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..autograd.tensor import Tensor
from ..ops.dropout_mask import threshold_of
from ..ops.linalg import linear
from ..ops.recurrent.dropout import drop_connect, variational_dropout
from ..random import Generator
from .inputs import as_input
from .linear import Linear
from .module import Module


class VariationalDropout(Module):
    """Drop units of a sequence with one mask for all of its steps; in evaluation return the input.

    Args:
        p: probability to drop, 0 to 1.
        batch_first: whether inputs are (N, T, C), not (T, N, C).
        generator: where masks are drawn from; by default the stream "dropout" of `cunet.manual_seed`.

    Source: Gal and Ghahramani 2016, arXiv:1512.05287, section 4.

    Example:
        >>> nn.VariationalDropout(0.5)(np.ones((3, 1, 8)))[:, 0]  # three steps of one sequence
        Tensor([[0., 0., 2., 0., 2., 2., 0., 0.],
                [0., 0., 2., 0., 2., 2., 0., 0.],
                [0., 0., 2., 0., 2., 2., 0., 0.]], dtype=float64)
    """

    def __init__(self, p: float = 0.5, batch_first: bool = False, *, generator: Generator | None = None) -> None:
        threshold_of("VariationalDropout", p)
        self.p, self.batch_first, self.generator = p, batch_first, generator

    def forward(self, x: Any) -> Tensor:
        """Return `x` with a fresh mask per sequence in training."""
        return variational_dropout(
            as_input(self, x, None), self.p, self.training, self.generator, batch_first=self.batch_first
        )

    def extra_repr(self) -> str:
        """Show the probability to drop."""
        return f"p={self.p}" + (", batch_first=True" if self.batch_first else "")


class DropConnect(Linear):
    """Linear layer that drops single weights in training, one mask for the whole batch.

    ``y = x @ (mask * weight).T / (1 - p) + bias``; the bias is never dropped. In evaluation it is a `Linear`, whose
    state it has. The paper draws a mask per sample, which needs a weight per sample.

    Args:
        in_features, out_features, bias: see `Linear`.
        p: probability to drop a weight, 0 to 1.
        mask_generator: where masks are drawn from; by default the stream "dropout" of `cunet.manual_seed`.
        **options: init, bias_init, generator, dtype of `Linear`.

    Source: Wan et al. 2013, "Regularization of neural networks using DropConnect", section 3.

    Example:
        >>> layer = nn.DropConnect(8, 1, bias=False, p=0.5, init=1.0)
        >>> layer(np.ones((2, 8))), layer.eval()(np.ones((2, 8)))
        (Tensor([[6.],
                [6.]], requires_grad=True), Tensor([[8.],
                [8.]], requires_grad=True))
    """

    def __init__(
        self,
        in_features: int | None,
        out_features: int,
        bias: bool = True,
        p: float = 0.5,
        *,
        mask_generator: Generator | None = None,
        **options: Any,
    ) -> None:
        threshold_of("DropConnect", p)
        super().__init__(in_features, out_features, bias, **options)
        self.p, self.mask_generator = p, mask_generator

    def forward(self, x: Any) -> Tensor:
        """Return the map of `x` (..., in_features)."""
        x = as_input(self, x, self.weight)
        if self.in_features is None:
            self.settle(x)
        return linear(x, drop_connect(self.weight, self.p, self.training, self.mask_generator), self.bias)

    def extra_repr(self) -> str:
        """Show the sizes and the probability to drop."""
        return f"{super().extra_repr()}, p={self.p}"


class VariationalRates(NamedTuple):
    """Probabilities to drop units of the input of each layer, of its recurrent state, and of the last output."""

    input: float = 0.0
    recurrent: float = 0.0
    output: float = 0.0


def rates_of(who: str, rates: float | tuple[float, float, float]) -> VariationalRates:
    """Return three rates given as one number or three, checked."""
    three = VariationalRates(*rates) if isinstance(rates, tuple) else VariationalRates(rates, rates, rates)
    for p in three:
        threshold_of(who, p, "variational_dropout")
    return three
