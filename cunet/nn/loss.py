"""Loss classes for those who like objects: each holds the options of the loss function it calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..autograd.op import static_parameters
from ..autograd.tensor import Tensor, as_array
from ..ops.loss import cross_entropy as cross_entropy_ops
from ..ops.loss import divergence, nll, regression
from .module import Module


class Loss(Module):
    """Base of the loss classes: takes the options of `function`, by position or by name.

    An option called ``weight`` or ``pos_weight`` becomes a buffer, so that it moves with the module.
    """

    function: Callable[..., Tensor]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        options = [p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in static_parameters(self.function)]
        try:
            given = inspect.Signature(options).bind(*args, **kwargs).arguments
        except TypeError as error:
            names = ", ".join(p.name for p in options)
            raise TypeError(f"{type(self).__name__}: {error}; its options are {names}") from None
        self.given = tuple(given)
        for name, value in given.items():
            is_buffer = name in ("weight", "pos_weight") and value is not None and not isinstance(value, Tensor)
            setattr(self, name, Tensor(as_array(value)) if is_buffer else value)

    def forward(self, x: Any, target: Any) -> Tensor:
        """Return the loss of `x`, logits or predictions, against `target`."""
        return type(self).function(x, target, **{name: getattr(self, name) for name in self.given})

    def extra_repr(self) -> str:
        """Show the options that were given."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.given)


def _loss(name: str, function: Callable[..., Tensor]) -> type[Loss]:
    doc = f"Loss that calls `cunet.functional.{function.__name__}`; same options, same order."
    return type(name, (Loss,), {"function": staticmethod(function), "__doc__": doc, "__module__": __name__})


BCEWithLogitsLoss = _loss("BCEWithLogitsLoss", divergence.binary_cross_entropy_with_logits)
CrossEntropyLoss = _loss("CrossEntropyLoss", cross_entropy_ops.cross_entropy)
HuberLoss = _loss("HuberLoss", regression.huber_loss)
KLDivLoss = _loss("KLDivLoss", divergence.kl_div)
L1Loss = _loss("L1Loss", regression.l1_loss)
MSELoss = _loss("MSELoss", regression.mse_loss)
NLLLoss = _loss("NLLLoss", nll.nll_loss)
SmoothL1Loss = _loss("SmoothL1Loss", regression.smooth_l1_loss)
