"""Loss classes for those who like objects: each holds the options of the loss function it calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd.tensor import Tensor, as_array
from ..ops.loss import bernoulli, divergence, embedding, likelihood, margin, nll, regression
from ..ops.loss import cross_entropy as cross_entropy_ops
from .function_layer import FunctionLayer
from .inputs import agreeing


class Loss(FunctionLayer):
    """Base of the loss classes.

    An option called ``weight`` or ``pos_weight`` becomes a buffer, so that it moves with the module.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; make a buffer of weights."""
        if name in ("weight", "pos_weight") and value is not None and not isinstance(value, Tensor):
            value = Tensor(as_array(value))
        super().__setattr__(name, value)

    def forward(self, x: Any, target: Any) -> Tensor:
        """Return the loss of `x`, logits or predictions, against `target`; a plain array of floats takes x's dtype."""
        return type(self).function(*agreeing(x, target), **self.options)


class BCELoss(Loss):
    """Loss that calls `cunet.functional.binary_cross_entropy`; same options, same order."""

    function = staticmethod(bernoulli.binary_cross_entropy)
    weight: Any = None
    reduction: str = "mean"


class BCEWithLogitsLoss(Loss):
    """Loss that calls `cunet.functional.binary_cross_entropy_with_logits`; same options, same order."""

    function = staticmethod(divergence.binary_cross_entropy_with_logits)
    weight: Any = None
    reduction: str = "mean"
    pos_weight: Any = None


class CrossEntropyLoss(Loss):
    """Loss that calls `cunet.functional.cross_entropy`; same options, same order."""

    function = staticmethod(cross_entropy_ops.cross_entropy)
    weight: Any = None
    ignore_index: int = -100
    reduction: str = "mean"
    label_smoothing: float = 0.0
    axis: int = 1


class CosineEmbeddingLoss(FunctionLayer):
    """Loss that calls `cunet.functional.cosine_embedding_loss`; same options, same order."""

    function = staticmethod(embedding.cosine_embedding_loss)
    margin: float = 0.0
    reduction: str = "mean"

    def forward(self, input1: Any, input2: Any, target: Any) -> Tensor:
        """Return the loss of two batches of vectors and a target of 1 or -1 for each pair."""
        return type(self).function(*agreeing(input1, input2, target), **self.options)


class GaussianNLLLoss(FunctionLayer):
    """Loss that calls `cunet.functional.gaussian_nll_loss`; same options, same order."""

    function = staticmethod(likelihood.gaussian_nll_loss)
    full: bool = False
    eps: float = 1e-6
    reduction: str = "mean"

    def forward(self, input: Any, target: Any, var: Any) -> Tensor:
        """Return the loss of predicted means and variances against `target`."""
        return type(self).function(*agreeing(input, target, var), **self.options)


class HingeEmbeddingLoss(Loss):
    """Loss that calls `cunet.functional.hinge_embedding_loss`; same options, same order."""

    function = staticmethod(margin.hinge_embedding_loss)
    margin: float = 1.0
    reduction: str = "mean"


class HuberLoss(Loss):
    """Loss that calls `cunet.functional.huber_loss`; same options, same order."""

    function = staticmethod(regression.huber_loss)
    reduction: str = "mean"
    delta: float = 1.0


class KLDivLoss(Loss):
    """Loss that calls `cunet.functional.kl_div`; same options, same order."""

    function = staticmethod(divergence.kl_div)
    reduction: str = "mean"
    log_target: bool = False


class L1Loss(Loss):
    """Loss that calls `cunet.functional.l1_loss`; same options, same order."""

    function = staticmethod(regression.l1_loss)
    reduction: str = "mean"


class MSELoss(Loss):
    """Loss that calls `cunet.functional.mse_loss`; same options, same order."""

    function = staticmethod(regression.mse_loss)
    reduction: str = "mean"


class MarginRankingLoss(FunctionLayer):
    """Loss that calls `cunet.functional.margin_ranking_loss`; same options, same order."""

    function = staticmethod(margin.margin_ranking_loss)
    margin: float = 0.0
    reduction: str = "mean"

    def forward(self, input1: Any, input2: Any, target: Any) -> Tensor:
        """Return the loss of two batches of scores and a target of 1 or -1 for each pair."""
        return type(self).function(*agreeing(input1, input2, target), **self.options)


class MultiMarginLoss(Loss):
    """Loss that calls `cunet.functional.multi_margin_loss`; same options, same order."""

    function = staticmethod(margin.multi_margin_loss)
    p: int = 1
    margin: float = 1.0
    weight: Any = None
    reduction: str = "mean"


class NLLLoss(Loss):
    """Loss that calls `cunet.functional.nll_loss`; same options, same order."""

    function = staticmethod(nll.nll_loss)
    weight: Any = None
    ignore_index: int = -100
    reduction: str = "mean"
    axis: int = 1


class PoissonNLLLoss(Loss):
    """Loss that calls `cunet.functional.poisson_nll_loss`; same options, same order."""

    function = staticmethod(likelihood.poisson_nll_loss)
    log_input: bool = True
    full: bool = False
    eps: float = 1e-8
    reduction: str = "mean"


class SmoothL1Loss(Loss):
    """Loss that calls `cunet.functional.smooth_l1_loss`; same options, same order."""

    function = staticmethod(regression.smooth_l1_loss)
    reduction: str = "mean"
    beta: float = 1.0


class SoftMarginLoss(Loss):
    """Loss that calls `cunet.functional.soft_margin_loss`; same options, same order."""

    function = staticmethod(margin.soft_margin_loss)
    reduction: str = "mean"


class _TripletLoss(FunctionLayer):
    def forward(self, anchor: Any, positive: Any, negative: Any) -> Tensor:
        """Return the loss of three batches: things, what belongs to each, and what does not."""
        return type(self).function(*agreeing(anchor, positive, negative), **self.options)


class TripletMarginLoss(_TripletLoss):
    """Loss that calls `cunet.functional.triplet_margin_loss`; same options, same order."""

    function = staticmethod(embedding.triplet_margin_loss)
    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    reduction: str = "mean"


class TripletMarginWithDistanceLoss(_TripletLoss):
    """Loss that calls `cunet.functional.triplet_margin_with_distance_loss`; same options, same order."""

    function = staticmethod(embedding.triplet_margin_with_distance_loss)
    distance_function: Callable[[Any, Any], Tensor] | None = None
    margin: float = 1.0
    swap: bool = False
    reduction: str = "mean"
