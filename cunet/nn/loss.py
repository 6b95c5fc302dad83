"""Loss classes for those who like objects: each holds the options of the loss function it calls."""

from __future__ import annotations

from typing import Any

from ..autograd.tensor import Tensor, as_array
from ..ops.loss import bernoulli, divergence, likelihood, nll, regression
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
    """Loss that calls `cunet.functional.binary_cross_entropy`; same options, same order.

    Example:
        >>> nn.BCELoss()([0.75, 0.25], [1.0, 0.0]).round(4)  # of probabilities; of logits: BCEWithLogitsLoss
        Tensor(0.2877)
    """

    function = staticmethod(bernoulli.binary_cross_entropy)
    weight: Any = None
    reduction: str = "mean"


class BCEWithLogitsLoss(Loss):
    """Loss that calls `cunet.functional.binary_cross_entropy_with_logits`; same options, same order.

    Example:
        >>> nn.BCEWithLogitsLoss()([0.0, -1000.0], [1.0, 0.0]).round(4)
        Tensor(0.3466)
        >>> nn.BCEWithLogitsLoss(pos_weight=3.0)([0.0, -1000.0], [1.0, 0.0]).round(4)
        Tensor(1.0397)
    """

    function = staticmethod(divergence.binary_cross_entropy_with_logits)
    weight: Any = None
    reduction: str = "mean"
    pos_weight: Any = None


class CrossEntropyLoss(Loss):
    """Loss that calls `cunet.functional.cross_entropy`; same options, same order.

    Example:
        >>> logits = [[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]  # no softmax before
        >>> nn.CrossEntropyLoss()(logits, [0, 2]).round(4)
        Tensor(0.6691)
        >>> nn.CrossEntropyLoss(reduction="none")(logits, [0, -100]).round(4)  # -100 is ignored
        Tensor([0.2395, 0.    ])
    """

    function = staticmethod(cross_entropy_ops.cross_entropy)
    weight: Any = None
    ignore_index: int = -100
    reduction: str = "mean"
    label_smoothing: float = 0.0
    axis: int = 1


class GaussianNLLLoss(FunctionLayer):
    """Loss that calls `cunet.functional.gaussian_nll_loss`; same options, same order.

    Example:
        >>> mean, target, var = [0.0], [2.0], [4.0]
        >>> nn.GaussianNLLLoss()(mean, target, var).round(4)  # (log(4) + 2**2 / 4) / 2
        Tensor(1.1931)
    """

    function = staticmethod(likelihood.gaussian_nll_loss)
    full: bool = False
    eps: float = 1e-6
    reduction: str = "mean"

    def forward(self, input: Any, target: Any, var: Any) -> Tensor:
        """Return the loss of predicted means and variances against `target`."""
        return type(self).function(*agreeing(input, target, var), **self.options)


class HuberLoss(Loss):
    """Loss that calls `cunet.functional.huber_loss`; same options, same order.

    Example:
        >>> nn.HuberLoss(reduction="none")([0.5, 3.0], [0.0, 0.0])  # 0.5**2 / 2, and 3 - 1 / 2
        Tensor([0.125, 2.5  ])
    """

    function = staticmethod(regression.huber_loss)
    reduction: str = "mean"
    delta: float = 1.0


class KLDivLoss(Loss):
    """Loss that calls `cunet.functional.kl_div`; same options, same order.

    Example:
        >>> log_q, p = np.log([[0.5, 0.5]]), [[0.75, 0.25]]
        >>> nn.KLDivLoss(reduction="batchmean")(log_q, p).round(4)  # logarithms first, "mean" is over all elements
        Tensor(0.1308, dtype=float64)
    """

    function = staticmethod(divergence.kl_div)
    reduction: str = "mean"
    log_target: bool = False


class L1Loss(Loss):
    """Loss that calls `cunet.functional.l1_loss`; same options, same order.

    Example:
        >>> nn.L1Loss()([1.0, -2.0], [0.0, 0.0])
        Tensor(1.5)
    """

    function = staticmethod(regression.l1_loss)
    reduction: str = "mean"


class MSELoss(Loss):
    """Loss that calls `cunet.functional.mse_loss`; same options, same order.

    Example:
        >>> nn.MSELoss()([1.0, 2.0], [0.0, 0.0])
        Tensor(2.5)
        >>> nn.MSELoss(reduction="sum")([1.0, 2.0], [0.0, 0.0])
        Tensor(5.)
    """

    function = staticmethod(regression.mse_loss)
    reduction: str = "mean"


class NLLLoss(Loss):
    """Loss that calls `cunet.functional.nll_loss`; same options, same order.

    Example:
        >>> log_p = F.log_softmax(np.zeros((2, 4), np.float32), 1)  # four classes, each with probability 1/4
        >>> nn.NLLLoss()(log_p, [0, 3]).round(4)
        Tensor(1.3863)
    """

    function = staticmethod(nll.nll_loss)
    weight: Any = None
    ignore_index: int = -100
    reduction: str = "mean"
    axis: int = 1


class PoissonNLLLoss(Loss):
    """Loss that calls `cunet.functional.poisson_nll_loss`; same options, same order.

    Example:
        >>> nn.PoissonNLLLoss()([0.0], [2.0])  # exp(0) - 2 * 0: the input is the log of the rate
        Tensor(1.)
        >>> nn.PoissonNLLLoss(log_input=False)([1.0], [2.0])
        Tensor(1.)
    """

    function = staticmethod(likelihood.poisson_nll_loss)
    log_input: bool = True
    full: bool = False
    eps: float = 1e-8
    reduction: str = "mean"


class SmoothL1Loss(Loss):
    """Loss that calls `cunet.functional.smooth_l1_loss`; same options, same order.

    Example:
        >>> nn.SmoothL1Loss(reduction="none", beta=2.0)([1.0, 3.0], [0.0, 0.0])  # 1**2 / 2 / beta, and 3 - beta / 2
        Tensor([0.25, 2.  ])
    """

    function = staticmethod(regression.smooth_l1_loss)
    reduction: str = "mean"
    beta: float = 1.0
