"""Loss classes for those who like objects: each holds the options of the loss function it calls."""

from __future__ import annotations

from typing import Any

from ..autograd.tensor import Tensor, as_array
from ..device import is_array, is_floating
from ..ops.loss import bernoulli, divergence, nll, regression
from ..ops.loss import cross_entropy as cross_entropy_ops
from .function_layer import FunctionLayer


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
        if isinstance(x, Tensor) and is_array(target) and is_floating(target.dtype):
            target = target.astype(x.dtype, copy=False)
        return type(self).function(x, target, **self.options)


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


class NLLLoss(Loss):
    """Loss that calls `cunet.functional.nll_loss`; same options, same order."""

    function = staticmethod(nll.nll_loss)
    weight: Any = None
    ignore_index: int = -100
    reduction: str = "mean"
    axis: int = 1


class SmoothL1Loss(Loss):
    """Loss that calls `cunet.functional.smooth_l1_loss`; same options, same order."""

    function = staticmethod(regression.smooth_l1_loss)
    reduction: str = "mean"
    beta: float = 1.0
