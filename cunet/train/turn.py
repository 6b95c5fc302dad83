"""What a batch does for an update, as far as no value of an array decides it: the part that can be recorded."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, like
from ..kernels.capture import done, quotient
from ..nn.module import Module
from ..optim.clip import clip_grad_norm_, clip_grad_value_, gradient_norm
from ..system.quiet import quiet
from .losses import Losses, total_of
from .weighting import Weighting
from .weights import weight_of


class Learner(Protocol):
    """What is asked of a Trainer."""

    model: Module
    loss: Any
    optimizer: Any

    def compute(self, *batch: Any) -> tuple[Losses, Any]:
        """Return the loss of a batch and the prediction."""


class Turn(NamedTuple):
    """Which part of an update a batch is.

    Attributes:
        first: whether it forgets the gradients that are there.
        last: whether the update follows it.
        shared: whether others are in it, so that its gradients count by what the batch weighs.
        scaled: whether the loss is scaled; see `LossScale`.
        checked: whether somebody looks at the norm of the gradients before the update.
        clip_norm, clip_value: see `Updates`.
    """

    first: bool
    last: bool
    shared: bool
    scaled: bool
    checked: bool
    clip_norm: float | None
    clip_value: float | None


class Learnt(NamedTuple):
    """What is known behind a batch, nothing of which was waited for.

    Attributes:
        losses, prediction: of the batch.
        total: the sum of the weights of samples or labels, if there are such.
        weight: what the batches of the update count so far, if it is shared.
        norm: of the gradients, behind the last batch of an update that is checked.
    """

    losses: Any
    prediction: Any
    total: Array | None
    weight: Any
    norm: Array | None


def learn(
    steps: Learner, turn: Turn, numbers: Array | None, weight: Array | None, sample_weight: Array | None, *batch: Any
) -> Learnt:
    """Add the gradients of a batch to those that are there, and do with them what can be done before a look at them.

    Args:
        steps: a trainer.
        turn: which part of an update this is.
        numbers: (2,) of float64: the samples of its first batch, which count 1, and the scale of the loss; on the
            device of the batch, as a step that is recorded reads no number of another. None where neither is read.
        weight: what its batches count so far: 0-d, there too, or None.
        sample_weight: of this batch, or None.
        batch: (\\*inputs, target).
    """
    if turn.first:
        steps.optimizer.zero_grad()
    losses, prediction, total = _computed(steps, sample_weight, batch)
    loss = total_of(losses)
    seed = None
    if turn.shared or turn.scaled:
        count = functools.partial(_counted, turn, steps.loss, loss.dtype, loss.shape)
        seed, weight = done(count, numbers, weight, batch[-1], total)
    loss.backward(seed)
    norm = finish(steps, turn, numbers, weight) if turn.last else None
    if turn.last and not turn.checked:
        update(steps, turn)
    return Learnt(losses, prediction, total, weight if turn.shared else None, norm)


def _computed(steps: Learner, sample_weight: Array | None, batch: tuple[Any, ...]) -> tuple[Losses, Any, Array | None]:
    """Return losses, prediction and the sum of weights; a `Weighting` is afterwards what it was."""
    weighting = steps.loss
    if not isinstance(weighting, Weighting):
        return (*steps.compute(*batch), None)
    weighting.sample_weight = sample_weight
    try:
        losses, prediction = steps.compute(*batch)
        return losses, prediction, weighting.total
    finally:
        weighting.sample_weight = weighting.total = None


def _counted(
    turn: Turn, loss: Any, dtype: Any, shape: tuple[int, ...], numbers: Array, weight: Array, target: Any, total: Any
) -> tuple[Array, Array]:
    """Return the gradient of its loss that the way back begins with, and what batches count so far with this one."""
    xp = array_module(numbers)
    share: Any = 1.0
    if turn.shared:
        share = (weight_of(loss, target) if total is None else total) / numbers[0]
    with quiet():  # a scale that the loss does not hold is an error behind the step
        seed = xp.asarray(share * numbers[1] if turn.scaled else share, accumulator(dtype)).astype(dtype)
    return seed.reshape(shape), xp.asarray(weight + share)


def finish(steps: Learner, turn: Turn, numbers: Array | None, weight: Any) -> Array | None:
    """Divide the gradients by the scale and by what the batches weigh; return their norm if somebody looks at it."""
    parameters = [p for p in steps.model.parameters() if p.grad is not None]
    if turn.scaled:
        _divide(parameters, functools.partial(done, _scale, numbers), accumulator)
    if turn.shared:
        _divide(parameters, functools.partial(done, _divisor, weight), np.dtype)
    return gradient_norm(parameters) if turn.checked else None


def _divide(parameters: Iterable[Tensor], by: Callable[[Any], Array], kept: Callable[[Any], Any]) -> None:
    """Divide gradients by what `by` returns for a dtype; those of a dtype are then of ``kept(dtype)``.

    Half types are divided as float32.
    """
    known: dict[Any, Any] = {}
    for p in parameters:
        gradient = p.grad
        assert gradient is not None
        dtype = accumulator(gradient.dtype)
        if dtype not in known:
            known[dtype] = like(by(dtype), gradient)
        wide = quotient(gradient.astype(dtype, copy=False), known[dtype])
        p.grad = wide.astype(kept(gradient.dtype), copy=False)


def _scale(numbers: Array, dtype: Any) -> Array:
    return array_module(numbers).asarray(numbers[1], dtype)


def _divisor(weight: Any, dtype: Any) -> Array:
    xp = array_module(weight)
    return xp.asarray(xp.where(weight == 0, 1, weight), dtype)  # 0 where all labels were ignored


def update(steps: Learner, turn: Turn) -> None:
    """Clip the gradients, and update by them."""
    parameters = list(steps.model.parameters())
    if turn.clip_value is not None:
        clip_grad_value_(parameters, turn.clip_value)
    if turn.clip_norm is not None:
        clip_grad_norm_(parameters, turn.clip_norm)
    steps.optimizer.step()
