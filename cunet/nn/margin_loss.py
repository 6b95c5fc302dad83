"""Loss classes with a margin: of classes' scores, of pairs, and of triplets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd.tensor import Tensor
from ..ops.loss import embedding, margin
from .function_layer import FunctionLayer
from .inputs import agreeing
from .loss import Loss


class CosineEmbeddingLoss(FunctionLayer):
    """Loss that calls `cunet.functional.cosine_embedding_loss`; same options, same order.

    Example:
        >>> x1, x2 = [[1.0, 0.0], [1.0, 0.0]], [[2.0, 0.0], [2.0, 0.0]]
        >>> nn.CosineEmbeddingLoss(reduction="none")(x1, x2, [1, -1]).round(4)  # alike: right for 1, wrong for -1
        Tensor([0., 1.])
    """

    function = staticmethod(embedding.cosine_embedding_loss)
    margin: float = 0.0
    reduction: str = "mean"

    def forward(self, input1: Any, input2: Any, target: Any) -> Tensor:
        """Return the loss of two batches of vectors and a target of 1 or -1 for each pair."""
        return type(self).function(*agreeing(input1, input2, target), **self.options)


class HingeEmbeddingLoss(Loss):
    """Loss that calls `cunet.functional.hinge_embedding_loss`; same options, same order.

    Example:
        >>> distances = [0.25, 0.25, 2.0]
        >>> nn.HingeEmbeddingLoss(reduction="none")(distances, [1, -1, -1])
        Tensor([0.25, 0.75, 0.  ])
    """

    function = staticmethod(margin.hinge_embedding_loss)
    margin: float = 1.0
    reduction: str = "mean"


class MarginRankingLoss(FunctionLayer):
    """Loss that calls `cunet.functional.margin_ranking_loss`; same options, same order.

    Example:
        >>> x1, x2 = [1.0, 2.0], [2.0, 1.0]
        >>> nn.MarginRankingLoss(margin=0.5, reduction="none")(x1, x2, [1, 1])  # 1: x1 should be above x2
        Tensor([1.5, 0. ])
    """

    function = staticmethod(margin.margin_ranking_loss)
    margin: float = 0.0
    reduction: str = "mean"

    def forward(self, input1: Any, input2: Any, target: Any) -> Tensor:
        """Return the loss of two batches of scores and a target of 1 or -1 for each pair."""
        return type(self).function(*agreeing(input1, input2, target), **self.options)


class MultiMarginLoss(Loss):
    """Loss that calls `cunet.functional.multi_margin_loss`; same options, same order.

    Example:
        >>> scores = [[0.0, 0.5, 2.0]]
        >>> nn.MultiMarginLoss()(scores, [1])  # ((1 - 0.5 + 0) + (1 - 0.5 + 2)) / 3
        Tensor(1.)
    """

    function = staticmethod(margin.multi_margin_loss)
    p: int = 1
    margin: float = 1.0
    weight: Any = None
    reduction: str = "mean"


class SoftMarginLoss(Loss):
    """Loss that calls `cunet.functional.soft_margin_loss`; same options, same order.

    Example:
        >>> nn.SoftMarginLoss(reduction="none")([2.0, 2.0], [1, -1]).round(4)  # log(1 + exp(-target * x))
        Tensor([0.1269, 2.1269])
    """

    function = staticmethod(margin.soft_margin_loss)
    reduction: str = "mean"


class _TripletLoss(FunctionLayer):
    def forward(self, anchor: Any, positive: Any, negative: Any) -> Tensor:
        """Return the loss of three batches: things, what belongs to each, and what does not."""
        return type(self).function(*agreeing(anchor, positive, negative), **self.options)


class TripletMarginLoss(_TripletLoss):
    """Loss that calls `cunet.functional.triplet_margin_loss`; same options, same order.

    Example:
        >>> anchor, positive, negative = [[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 1.0]]
        >>> nn.TripletMarginLoss()(anchor, positive, negative).round(4)  # 5 - 1 + margin
        Tensor(5.)
    """

    function = staticmethod(embedding.triplet_margin_loss)
    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    reduction: str = "mean"


class TripletMarginWithDistanceLoss(_TripletLoss):
    """Loss that calls `cunet.functional.triplet_margin_with_distance_loss`; same options, same order.

    Example:
        >>> loss = nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: 1 - F.cosine_similarity(a, b))
        >>> loss([[1.0, 0.0]], [[0.0, 1.0]], [[2.0, 0.0]]).round(4)  # 1 - 0 + margin
        Tensor(2.)
    """

    function = staticmethod(embedding.triplet_margin_with_distance_loss)
    distance_function: Callable[[Any, Any], Tensor] | None = None
    margin: float = 1.0
    swap: bool = False
    reduction: str = "mean"
