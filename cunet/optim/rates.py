"""What schedules share: settings per group, and rates that others may change between two steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

from ..system.checks import check_numbers
from .optimizer import Optimizer


class PerGroup:
    """A setting of a schedule: one value for all groups, also those added later, or a list with one for each.

    Raises:
        ValueError: a list of another length than there are groups.
    """

    def __init__(self, who: str, name: str, value: Any, optimizer: Optimizer) -> None:
        count = len(optimizer.param_groups)
        self.who, self.name, self.given_each = who, name, isinstance(value, list | tuple)
        self.values: list[Any] = list(value) if self.given_each else [value] * count
        if len(self.values) != count:
            raise ValueError(
                f"{who}: {name} must be one value or one per parameter group ({count}), got {len(self.values)}"
            )

    def numbers(self) -> PerGroup:
        """Return itself; raise TypeError for a value that is no number."""
        for value in self.values:
            check_numbers(self.who, **{self.name: value})
        return self

    def __getitem__(self, index: int) -> Any:
        """Return the value of a group; raise ValueError for a group added after each was given a value of its own."""
        if index < len(self.values):
            return self.values[index]
        if self.given_each:
            raise ValueError(
                f"{self.who}: {self.name} must be one value, so that it goes for parameter group {index} too, which was"
                f" added later; got a list of {len(self.values)}"
            )
        return self.values[0]


class Schedule(Protocol):
    """What a track needs of a schedule."""

    def lr_at(self, step: int, base: float, index: int) -> float:
        """Return the rate after `step` steps of group `index`, which started with `base`."""


class Track(NamedTuple):
    """Where a schedule is in one group: the rate it starts from, what it says of the present step, and what it set."""

    base: float
    said: float | None = None  # None: no step yet
    rate: float = 0.0

    def moved(self, schedule: Schedule, index: int, step: int, to: int, found: float) -> Track:
        """Return the track after step `to`; if the rate found is not the one that was set, others' factor goes along.

        A rate is a line in its base, ``lr_at(step, base) = slope * base + start``: solved for the base that gives what
        was found. So nothing is rounded twice as long as nobody else sets rates.
        """
        new = schedule.lr_at(to, self.base, index)
        if self.said is None or (found == self.rate and new != self.said):
            return Track(self.base, new, new)
        if found == self.rate:
            return self  # a schedule that stands still leaves alone what it found
        start = schedule.lr_at(step, 0.0, index)
        slope = schedule.lr_at(step, 1.0, index) - start
        base = (found - start) / slope if slope else self.base
        said = schedule.lr_at(to, base, index)
        return Track(base, said, found if new == self.said else said)


def check_keys(who: str, state: Mapping[str, Any], keys: Collection[str]) -> None:
    """Raise ValueError if a saved state lacks one of `keys`."""
    if not state.keys() >= set(keys):
        raise ValueError(f"{who}: the state must have the keys {', '.join(keys)}; got {', '.join(state) or 'none'}")


def rates_of(optimizer: Optimizer) -> list[float]:
    """Return the rate of each group; of one on the GPU what a schedule set last, so that nothing waits for it."""
    return [optimizer.rate(i) for i in range(len(optimizer.param_groups))]


def restore(optimizer: Optimizer, rates: list[float]) -> None:
    """Set the rate of each group."""
    for i, rate in enumerate(rates):
        optimizer.set_rate(i, rate)
