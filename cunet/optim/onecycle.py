"""The one-cycle schedule of rate and momentum."""

from __future__ import annotations

from collections.abc import Sequence

from ..system.checks import check_counts, check_numbers
from .cosine import between
from .ondevice import set_setting
from .optimizer import Optimizer
from .rates import PerGroup
from .schedules import LRScheduler


class OneCycleLR(LRScheduler):
    """Rise to `max_lr`, then fall far below the start, over one training; step once per batch.

    The rate goes from ``max_lr / div_factor`` up to `max_lr` in the first `pct_start` of the steps, then down to
    ``max_lr / div_factor / final_div_factor``; with `three_phase` it comes back to the start as fast as it rose,
    and falls on from there. The momentum (``momentum``, or the first of ``betas``) goes the other way.

    Args:
        optimizer, last_epoch: see `LRScheduler`.
        max_lr, base_momentum, max_momentum: one value, or one per group.
        total_steps: or else `epochs` and `steps_per_epoch`.
        pct_start: part of the steps in which the rate rises, in (0, 1).
        anneal_strategy: "cos" or "linear".
        cycle_momentum: False leaves the momentum alone.
        div_factor, final_div_factor, three_phase: as above.

    Raises:
        ValueError: a setting out of range; or a step beyond `total_steps`.

    Source: Smith, Topin 2018, arXiv:1708.07120; the two-phase cosine form is fastai's.

    Example:
        >>> optimizer = optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1, momentum=0.9)
        >>> schedule = optim.OneCycleLR(optimizer, max_lr=1.0, total_steps=6, pct_start=0.5, anneal_strategy="linear")
        >>> [round(schedule.lr_at(step, 0.1, 0), 4) for step in range(6)]
        [0.04, 0.52, 1.0, 0.6667, 0.3333, 0.0]
        >>> optimizer.param_groups[0]["momentum"]  # largest where the rate is small
        0.95
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        check_numbers("OneCycleLR", pct_start=pct_start, div_factor=div_factor, final_div_factor=final_div_factor)
        if not 0 < pct_start < 1:
            raise ValueError(f"OneCycleLR: pct_start must be in (0, 1), got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'OneCycleLR: anneal_strategy must be "cos" or "linear", got {anneal_strategy!r}')
        if cycle_momentum and not all(g.get("momentum") or "betas" in g for g in optimizer.param_groups):
            raise ValueError(
                "OneCycleLR: cycle_momentum needs an optimiser with momentum > 0 or betas; pass cycle_momentum=False"
            )
        self.curve = between if anneal_strategy == "cos" else _line
        self.max_lrs = PerGroup("OneCycleLR", "max_lr", max_lr, optimizer).numbers()
        self.base_momenta = PerGroup("OneCycleLR", "base_momentum", base_momentum, optimizer).numbers()
        self.max_momenta = PerGroup("OneCycleLR", "max_momentum", max_momentum, optimizer).numbers()
        self.cycle_momentum = cycle_momentum
        top = pct_start * self.total_steps - 1
        low, final = 1 / div_factor, 1 / (div_factor * final_div_factor)
        self.phases = _phases(top, self.total_steps - 1.0, low, final, three_phase)
        super().__init__(optimizer, last_epoch)

    def _at(self, step: int) -> tuple[float, float]:
        """Return the part of max_lr, and where the momentum is, after `step` steps."""
        for (start, *old), (end, *new) in zip(self.phases, self.phases[1:], strict=False):
            if step <= end:
                part = (step - start) / (end - start) if end > start else 1.0
                factor, place = (self.curve(a, b, part) for a, b in zip(old, new, strict=True))
                return factor, place
        return self.phases[-1][1], self.phases[-1][2]

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps; `base` plays no part."""
        return self.max_lrs[index] * self._at(step)[0]

    def _set_others(self, step: int) -> None:
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR: step {step} is beyond total_steps ({self.total_steps})")
        if self.cycle_momentum:
            place = self._at(step)[1]
            for i, group in enumerate(self.optimizer.param_groups):
                low, high = self.base_momenta[i], self.max_momenta[i]
                set_setting(group, "betas" if "betas" in group else "momentum", high + (low - high) * place)


def _total_steps(total: int | None, epochs: int | None, per_epoch: int | None) -> int:
    if total is None:
        if epochs is None or per_epoch is None:
            raise ValueError(
                "OneCycleLR: total_steps, or both epochs and steps_per_epoch, must be given,"
                f" got {total}, {epochs} and {per_epoch}"
            )
        check_counts("OneCycleLR", epochs=epochs, steps_per_epoch=per_epoch)
        total = epochs * per_epoch
    check_counts("OneCycleLR", total_steps=total)
    return total


def _phases(top: float, end: float, low: float, final: float, three_phase: bool) -> list[tuple[float, float, float]]:
    """Return (last step, part of max_lr, momentum: 0 the largest, 1 the smallest) of the start and of each phase."""
    back = [(2 * top, low, 0.0)] if three_phase else []
    return [(0.0, low, 0.0), (top, 1.0, 1.0), *back, (end, final, 0.0)]


def _line(start: float, end: float, part: float) -> float:
    return start + (end - start) * part
