"""find_lr: which learning rate a model can take, found by trying all of them in one short run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..autograd.tape import no_grad
from ..data import Loader
from ..nn.inputs import dtype_of
from ..nn.parameter import UninitializedParameter
from ..plot.style import BLUE, LIGHT, VERMILION
from ..system.checks import check_counts, check_numbers
from ..system.extras import new_axes
from .arguments import check_trained
from .batches import as_loader, augmented
from .losses import total_of
from .metrics.scores import as_plain
from .state import by_name, restore, state_of
from .steps import Steps
from .supply import Stretches, Supply
from .trainer import Trainer
from .updates import NotFinite

_WORSE = 4.0  # times the best loss: there it ends
_FALL = 1e-3  # what counts as falling, as a share of the first loss


class RateSearch:
    """What `find_lr` found.

    Attributes:
        rates: the learning rates that were tried, rising.
        losses: the loss at each, before the step with it.
        smoothed: averages of each loss with its neighbours, a tenth of all, as losses are noisy.
        suggestion: the rate at which the smoothed loss falls fastest, per factor of the rate; None if it never falls.

    Example:
        >>> from cunet.train import RateSearch
        >>> found = RateSearch(rates=[0.001, 0.01, 0.1, 1.0, 10.0], losses=[2.0, 1.9, 1.0, 0.9, 5.0])
        >>> found.suggestion
        0.01
    """

    def __init__(self, rates: list[float], losses: list[float]) -> None:
        self.rates, self.losses = np.array(rates), np.array(losses)
        half = max(1, len(losses) // 20)
        self.smoothed = np.array([np.mean(losses[max(0, i - half) : i + half + 1]) for i in range(len(losses))])
        self.suggestion = self._steepest(half)

    def _steepest(self, half: int) -> float | None:
        """Return where the average falls most between two places that many rates apart on each side."""
        if len(self.smoothed) < 3:
            return None
        after = np.append(self.smoothed[half:], [self.smoothed[-1]] * half)
        before = np.append([self.smoothed[0]] * half, self.smoothed[:-half])
        falls = (before - after)[: int(self.smoothed.argmin()) + 1]
        best = int(falls.argmax())
        return float(self.rates[best]) if falls[best] > _FALL * abs(self.smoothed[0]) else None

    def __repr__(self) -> str:
        """Show the suggestion and the range."""
        tried = f"{len(self.rates)} rates from {self.rates[0]:.3g} to {self.rates[-1]:.3g}" if len(self.rates) else ""
        return f"RateSearch(suggestion={self.suggestion and f'{self.suggestion:.3g}'}, {tried})"

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses over the rates; return the axes of matplotlib.

        Args:
            ax: axes to draw into; default: new ones.

        Raises:
            ImportError: matplotlib is not installed: ``pip install "cunet[plot]"``.
        """
        if ax is None:
            ax = new_axes("RateSearch.plot", 6, 4)
        ax.plot(self.rates, self.losses, color=LIGHT, label="loss")
        ax.plot(self.rates, self.smoothed, color=BLUE, label="moving average")
        if self.suggestion is not None:
            label = f"falls fastest: {self.suggestion:.2g}"
            ax.axvline(self.suggestion, color=VERMILION, linestyle="--", label=label)
        shown = self.smoothed[np.isfinite(self.smoothed)]
        if len(shown):
            margin = 0.1 * (np.ptp(shown) or 1)
            ax.set_ylim(shown.min() - margin, shown.max() + margin)
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss")
        ax.legend(frameon=False)
        return ax


def find_lr(
    trainer: Trainer, train: Any, low: float = 1e-6, high: float = 10.0, steps: int = 100, batch_size: int | None = None
) -> RateSearch:
    """Train for some steps with a rate that rises from one to the next, and put everything back.

    ``rate = low * (high / low) ** (step / (steps - 1))``; it ends where the loss is 4 times the best, or not finite.
    Take the suggestion, or something below where the loss is lowest: there it is about to rise.

    Args:
        trainer: makes the steps; its callbacks are not called. Weights, optimiser, random streams and the position of a
            `Loader` are afterwards what they were.
        train: as for `Trainer.fit`; gone through again where it ends. Of a generator the batches are gone.
        low, high: the first rate and the last, of the first group of parameters; others keep their ratio to it.
        steps: how many rates.
        batch_size: samples per batch of arrays and datasets; default: 128.

    Raises:
        ValueError: ``0 < low < high`` does not hold, or there are fewer than 3 steps.

    Source: Smith 2017, arXiv:1506.01186, section 3.3.

    Example:
        >>> from cunet.train import Trainer, find_lr
        >>> x = np.random.default_rng(0).normal(size=(256, 3)).astype(np.float32)
        >>> trainer = Trainer(nn.Linear(3, 1), "mse_loss", "sgd")
        >>> found = find_lr(trainer, (x, x.sum(axis=1, keepdims=True)), batch_size=32)
        >>> 1e-4 < found.suggestion < 1
        True
    """
    check_numbers("find_lr", low=low, high=high)
    if not 0 < low < high or not math.isfinite(high):
        raise ValueError(f"find_lr: 0 < low < high is required, got low={low}, high={high}")
    check_counts("find_lr", 3, steps=steps)
    check_trained(trainer.model, trainer.optimizer, type(trainer).step is Steps.step)
    Supply(train, batch_size=batch_size).check()
    data = as_loader(train, dtype_of(trainer.model), shuffle=True, device=trainer.device, batch_size=batch_size)
    position = data.state_dict() if isinstance(data, Loader) else None
    batches = trainer._batches(Stretches(data, steps))
    first = next(batches)
    if any(isinstance(p, UninitializedParameter) for p in trainer.model.parameters()):
        with no_grad(), trainer.model.evaluating():
            trainer.compute(*first)  # now all have a shape
    shown = trainer.average is not None and trainer.average.take(trainer.model)
    training = [(module, module.training) for module in trainer.model.modules()]
    state = state_of(trainer)
    try:
        trainer.model.train()
        return RateSearch(*_tried(trainer, first, batches, low, high / low, steps))
    finally:
        restore(trainer, state)
        trainer.updates.forget()
        trainer.model.zero_grad()
        if trainer.average is not None and shown:
            trainer.average.put(trainer.model)
        for module, mode in training:
            module.training = mode
        if position is not None:
            data.load_state_dict(position)


def _tried(
    trainer: Trainer, first: Any, batches: Iterator[Any], low: float, factor: float, steps: int
) -> tuple[list[float], list[float]]:
    """Return the rates that were tried and the losses."""
    optimizers = by_name(trainer.optimizer).values()
    groups = [(o, k, o.rate(k) / (next(iter(optimizers)).rate(0) or 1)) for o in optimizers
              for k in range(len(o.param_groups))]  # fmt: skip
    rates: list[float] = []
    losses: list[float] = []
    batch = first
    for step in range(steps):
        rate = low * factor ** (step / (steps - 1))
        for optimizer, group, ratio in groups:
            optimizer.set_rate(group, rate * (ratio or 1))
        try:
            used = batch if trainer.augment is None else augmented(trainer.augment, batch)
            loss = float(as_plain(total_of(trainer.step(*used)[0])))
        except NotFinite:
            break
        if not math.isfinite(loss):
            break
        rates.append(rate)
        losses.append(loss)
        if loss > _WORSE * min(losses) and step > 2:
            break
        if step < steps - 1:
            batch = next(batches)
    return rates, losses
