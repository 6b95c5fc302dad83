"""Updates by the gradients of several batches, clipped ones, and what is done where one is not finite."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, Protocol, get_args

from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, is_array, like
from ..nn.module import Module
from ..optim.clip import clip_grad_norm_, clip_grad_value_, gradient_norm
from ..system.checks import check_counts
from .arguments import check_choice, check_positive
from .losses import total_of
from .metrics.scores import as_plain
from .scale import LossScale
from .weighting import Weighting
from .weights import weight_of

Policy = Literal["raise", "stop", "skip", "restore"]
POLICIES = (None, *get_args(Policy))


class NotFinite(ArithmeticError):
    """A loss or a gradient is NaN or infinite; nothing was updated by it."""


class Steps(Protocol):
    """What is asked of a Trainer."""

    model: Module
    loss: Any
    optimizer: Any

    def compute(self, *batch: Any) -> tuple[Any, Any]:
        """Return the loss of a batch and the prediction."""


class Updates:
    """The steps of a Trainer that accumulates gradients, clips them, or looks whether they are finite.

    Gradients of `every` batches are averaged by what the batches weigh in the loss: they become those of one batch of
    all the samples.

    Args:
        every: batches per update.
        clip_norm, clip_value: largest norm of all gradients together, and largest absolute value of one; or None.
        policy: what is done about values that are not finite: one of `POLICIES`.
        loss_scale: see `LossScale`; None: the loss is taken as it is.

    Attributes:
        scale: how the loss is scaled, or None.
        overflowed: set to True where an update was left out, as the scaled gradients were not finite; see `Loop`.
        pending: batches whose gradients wait for an update.
        used: set to True by a step; see `Loop`.
    """

    def __init__(
        self, every: int, clip_norm: float | None, clip_value: float | None, policy: str | None, loss_scale: Any = None
    ) -> None:
        check_counts("Trainer", accumulate=every)
        check_positive("clip_norm", clip_norm)
        check_positive("clip_value", clip_value)
        check_choice("on_nan", policy, POLICIES)
        self.every, self.clip_norm, self.clip_value, self.policy = every, clip_norm, clip_value, policy
        self.scale = None if loss_scale is None else LossScale(loss_scale)
        self.pending, self.used, self.overflowed = 0, False, False
        self._unit, self._weight = 1, 0.0  # samples of the first batch, which count 1; what all count so far

    @property
    def changes_gradients(self) -> bool:
        """Whether the optimiser sees other gradients than those of a batch."""
        return self.every > 1 or self.clips or self.scale is not None

    @property
    def clips(self) -> bool:
        """Whether gradients are clipped."""
        return self.clip_norm is not None or self.clip_value is not None

    @property
    def wanted(self) -> bool:
        """Whether plain steps will not do."""
        return self.changes_gradients or self.policy is not None

    @property
    def recordable(self) -> bool:
        """Whether a step may be recorded: it counts no batches, and looks at no value."""
        return self.every == 1 and self.policy is None and self.scale is None

    def step(self, steps: Steps, *batch: Any) -> tuple[Any, Any]:
        """Make a step, whose gradients may have to wait for others; return the loss and the prediction.

        Raises:
            NotFinite: see there; buffers are as they were before the batch.
        """
        self.used = True
        if not self.pending:
            steps.optimizer.zero_grad()
        before = [(b, b.data.copy()) for _, b in steps.model.named_buffers()] if self.policy else []
        try:
            losses, prediction = steps.compute(*batch)
            loss = total_of(losses)
            self.check("the loss", loss, steps.loss, batch[-1])
            if self.every > 1:
                self._add(loss, weight_in(steps.loss, batch[-1]), len(batch[-1]))
            elif self.scale is not None:
                self.scale.back(loss)
            else:
                loss.backward()
            self.pending += 1
            if self.pending == self.every:
                self.flush(steps)
        except NotFinite:
            for buffer, data in before:
                buffer.data = data
            raise
        return losses, prediction

    def _add(self, loss: Tensor, weight: Any, samples: int) -> None:
        """Add the gradients of a batch to those that are there."""
        if not self.pending:
            self._unit, self._weight = samples, 0.0
        share = weight / self._unit
        self._weight = self._weight + share
        if self.scale is not None:
            self.scale.back(loss, share)
            return
        (loss * (share.astype(loss.dtype) if is_array(share) else share)).backward()

    def flush(self, steps: Steps) -> bool:
        """Update by the gradients that wait; tell whether there were any, and none overflowed by the loss's scale.

        Raises:
            NotFinite: they are not finite, and forgotten.
        """
        if not self.pending:
            return False
        self.pending = 0
        parameters = list(steps.model.parameters())
        if self.scale is not None:
            self.scale.undo(parameters)
        if self.every > 1:
            weight = self._weight
            weight = array_module(weight).where(weight == 0, 1, weight)  # 0 where all labels were ignored
            for p in parameters:
                if p.grad is not None:
                    p.grad = _divided(p.grad, weight)
        if self.scale is not None and not self._fits(self.scale, parameters):
            return False
        if self.policy is not None:
            self.check("the norm of the gradients", gradient_norm(parameters))
        if self.clip_value is not None:
            clip_grad_value_(parameters, self.clip_value)
        if self.clip_norm is not None:
            clip_grad_norm_(parameters, self.clip_norm)
        steps.optimizer.step()
        return True

    def _fits(self, scale: LossScale, parameters: Iterable[Tensor]) -> bool:
        """Tell whether gradients did not overflow by the scale, and let the scale know; waits for the device."""
        finite = math.isfinite(float(gradient_norm(parameters)))
        if not finite and scale.value <= 1 and self.policy is not None:
            return True  # that is none of the scale's doing: what `policy` says is done
        scale.take(finite)
        self.overflowed = not finite
        return finite

    def check(self, what: str, value: Any, loss: Any = None, target: Any = None) -> None:
        """Raise NotFinite if a policy asks for that, unless none of the target counts; waits for the device."""
        if self.policy is not None and not math.isfinite(number := float(as_plain(value))):
            if loss is not None and not float(weight_in(loss, target)):
                return
            raise NotFinite(f"{what} is {number}")

    def forget(self) -> None:
        """Forget gradients that wait: those of an epoch that was cut short and is not gone on with."""
        self.pending = 0

    def state_dict(self, model: Module) -> dict[str, Any]:
        """Return what the next update depends on; the gradients are copies."""
        waiting: list[Array | None] = []
        if self.pending:
            waiting = [None if p.grad is None else p.grad.copy() for p in model.parameters()]
        return {
            "pending": self.pending,
            "unit": self._unit,
            "weight": self._weight,
            "gradients": waiting,
            "scale": self.scale and self.scale.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any], model: Module) -> None:
        """Continue from a state that `state_dict` returned."""
        weight = state["weight"]
        self.pending, self._unit = state["pending"], state["unit"]
        self._weight = weight.item() if is_array(weight) else weight
        if self.scale is not None and state.get("scale"):  # states from before 0.2.0 have none
            self.scale.load_state_dict(state["scale"])
        if self.pending:
            for p, gradient in zip(model.parameters(), state["gradients"], strict=True):
                p.grad = None if gradient is None else like(gradient, p.data)


def weight_in(loss: Any, target: Any) -> Any:
    """Return what a batch whose loss was just computed weighs in the mean of an epoch."""
    return loss.total if isinstance(loss, Weighting) else weight_of(loss, target)


def _divided(gradient: Array, weight: Any) -> Array:
    """Return a gradient over a number that may be an array; both ways give the same bits."""
    divisor = array_module(gradient).asarray(weight, accumulator(gradient.dtype))
    return (gradient / divisor).astype(gradient.dtype, copy=False)
