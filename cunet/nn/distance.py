"""CosineSimilarity and PairwiseDistance of two batches of vectors."""

from __future__ import annotations

from typing import Any

from ..autograd.tensor import Tensor
from ..ops import distance
from .function_layer import FunctionLayer
from .inputs import agreeing


class _Pair(FunctionLayer):
    def forward(self, x1: Any, x2: Any) -> Tensor:
        """Return the function of `x1` and `x2`."""
        return type(self).function(*agreeing(x1, x2), **self.options)


class CosineSimilarity(_Pair):
    """Layer that applies `cunet.functional.cosine_similarity`; same options.

    Example:
        >>> nn.CosineSimilarity()([[3.0, 4.0], [1.0, 0.0]], [[4.0, 3.0], [-2.0, 0.0]]).round(4)
        Tensor([ 0.96, -1.  ])
    """

    function = staticmethod(distance.cosine_similarity)
    dim: int = 1
    eps: float = 1e-8


class PairwiseDistance(_Pair):
    """Layer that applies `cunet.functional.pairwise_distance`; same options.

    Example:
        >>> nn.PairwiseDistance()([[0.0, 0.0]], [[3.0, 4.0]]).round(4)
        Tensor([5.])
        >>> nn.PairwiseDistance(p=1)([[0.0, 0.0]], [[3.0, 4.0]]).round(4)
        Tensor([7.])
    """

    function = staticmethod(distance.pairwise_distance)
    p: float = 2.0
    eps: float = 1e-6
    keepdim: bool = False
