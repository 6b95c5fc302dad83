"""Updates by the gradients of several batches, clipped ones, and what is done where one is not finite."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, is_array, like
from ..kernels.capture import capturing
from ..nn.module import Module
from ..optim.ondevice import placing, put
from ..system.checks import check_counts
from .arguments import check_choice, check_positive
from .losses import total_of
from .metrics.scores import as_plain
from .scale import LossScale
from .turn import Learner, Learnt, Turn, finish, update
from .weighting import Weighting
from .weights import weight_of

Policy = Literal["raise", "stop", "skip", "restore"]
POLICIES = (None, *get_args(Policy))


class NotFinite(ArithmeticError):
    """A loss or a gradient is NaN or infinite; nothing was updated by it."""


class _Kept(NamedTuple):
    """What a batch whose loss is not finite must not change.

    Attributes:
        buffers: each with its array, and the elements of that.
        gradients: parameters with theirs.
    """

    buffers: list[tuple[Tensor, Array, Array]]
    gradients: list[tuple[Tensor, Array | None]]

    def restore(self) -> None:
        """Go back to it; on a GPU where buffers lie, as a recorded step finds them nowhere else."""
        for buffer, place, values in self.buffers:
            buffer.data = put(place, values)
        for p, gradient in self.gradients:
            p.grad = gradient


class Stepper(Learner, Protocol):
    """What is asked of a Trainer."""

    def part(self, name: str) -> Callable[..., Any]:
        """Return one of its methods, recorded if steps are."""


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
        used: whether the last step was made here; see `Loop`.
        within: steps of somebody's own that were recorded around one of these. It counts, which nobody replays.
    """

    read_by_steps = ("every", "clip_norm", "clip_value", "policy", "within")  # see `cunet.record.watch`

    def __init__(
        self, every: int, clip_norm: float | None, clip_value: float | None, policy: str | None, loss_scale: Any = None
    ) -> None:
        check_counts("Trainer", accumulate=every)
        check_positive("clip_norm", clip_norm)
        check_positive("clip_value", clip_value)
        check_choice("on_nan", policy, POLICIES)
        self.every, self.clip_norm, self.clip_value, self.policy = every, clip_norm, clip_value, policy
        self.scale = None if loss_scale is None else LossScale(loss_scale)
        self.pending, self.within, self.overflowed = 0, 0, False
        self.used: bool | None = None
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

    def step(self, steps: Stepper, *batch: Any) -> tuple[Any, Any]:
        """Make a step, whose gradients may have to wait for others; return the loss and the prediction.

        Raises:
            NotFinite: see there; buffers are as they were before the batch.
        """
        self.used = True
        weighting = steps.loss if isinstance(steps.loss, Weighting) else None
        sample_weight = None if weighting is None else weighting.sample_weight
        if not self.pending:
            self._unit, self._weight = len(batch[-1]), 0.0
        turn = self._turn(self.pending + 1 == self.every)
        if capturing.get() is not None or placing.get() is not None:
            self.within += 1
        before = self._kept(steps.model, turn)
        if weighting is not None:
            weighting.sample_weight = weighting.total = None  # what recorded steps find
        read = turn.shared or turn.scaled
        numbers, weight = (like(part, batch[-1]) if read else None for part in (self._numbers(), self._weight))
        learnt: Learnt = steps.part("_turn")(turn, numbers, weight, sample_weight, *batch)
        loss = total_of(learnt.losses)
        if weighting is not None:
            weighting.total = learnt.total
        if self.scale is not None:
            self.scale.limit(loss.dtype)
        try:
            self.check("the loss", loss, steps.loss, batch[-1])
            self.pending, self._weight = self.pending + 1, learnt.weight
            if turn.last:
                self._end(steps, turn, learnt.norm)
        except NotFinite:
            before.restore()
            raise
        return learnt.losses, learnt.prediction

    def _turn(self, last: bool) -> Turn:
        scaled = self.scale is not None
        checked = scaled or self.policy is not None
        return Turn(self.pending == 0, last, self.every > 1, scaled, checked, self.clip_norm, self.clip_value)

    def _numbers(self) -> np.ndarray:
        return np.array([self._unit, 1.0 if self.scale is None else self.scale.value])

    def _kept(self, model: Module, turn: Turn) -> _Kept:
        if self.policy is None:
            return _Kept([], [])
        buffers = [(b, b.data, b.data.copy()) for _, b in model.named_buffers()]
        return _Kept(buffers, [(p, None if turn.first else p.grad) for p in model.parameters()])

    def flush(self, steps: Stepper) -> bool:
        """Update by the gradients that wait; tell whether there were any, and none overflowed by the loss's scale.

        Raises:
            NotFinite: they are not finite, and forgotten.
        """
        if not self.pending:
            return False
        turn = self._turn(last=True)
        norm = finish(steps, turn, self._numbers(), self._weight)
        if not turn.checked:
            self.pending = 0
            update(steps, turn)
            return True
        return self._end(steps, turn, norm)

    def _end(self, steps: Stepper, turn: Turn, norm: Array | None) -> bool:
        """Update by gradients of this norm, if that was left to a look at it; tell whether they are updated by."""
        self.pending = 0
        if norm is None:
            return True
        if self.scale is not None and not self._fits(self.scale, norm):
            return False
        self.check("the norm of the gradients", norm)
        steps.part("_end_turn")(turn, norm)
        return True

    def _fits(self, scale: LossScale, norm: Array) -> bool:
        """Tell whether gradients did not overflow by the scale, and let the scale know; waits for the device."""
        finite = math.isfinite(float(norm))
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
