"""What is searched: the range of each hyper-parameter, by name."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..system.messages import shown

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Float:
    """A real number in [low, high].

    Args:
        low, high: the ends.
        log: whether its logarithm is what is drawn evenly: for rates, decays and other scales.
        step: what values are apart, counted from `low`; None: any value.

    Example:
        >>> from cunet.search import Float, search
        >>> space = {"lr": Float(1e-4, 1e-1, log=True)}
        >>> found = search(lambda trial: trial["lr"], space, trials=5, method="random", storage=None)
        >>> all(1e-4 <= trial.params["lr"] <= 1e-1 for trial in found.trials)
        True
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        """Return the value of a trial."""
        return trial.suggest_float(name, self.low, self.high, log=self.log, step=self.step)

    def problem(self) -> str | None:
        """Return what is required and does not hold, or None."""
        ends = (self.low, self.high) if self.step is None else (self.low, self.high, self.step)
        if not all(isinstance(end, (int, float)) and math.isfinite(end) for end in ends):
            return "must have finite numbers"
        return _problem(self)

    def values(self) -> list[Any] | None:
        """Return all values, or None if they cannot be counted."""
        if self.step is None:
            return None
        return [self.low + k * self.step for k in range(round((self.high - self.low) / self.step) + 1)]


@dataclass(frozen=True)
class Int:
    """A whole number in [low, high], both ends included.

    Args:
        low, high: the ends.
        log: whether its logarithm is what is drawn evenly: for sizes.
        step: what values are apart, counted from `low`.

    Example:
        >>> from cunet.search import Int, search
        >>> found = search(lambda trial: trial["width"], {"width": Int(16, 64, step=16)}, method="grid", storage=None)
        >>> [trial.params["width"] for trial in found.trials]
        [16, 32, 48, 64]
    """

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        """Make Python's numbers of NumPy's."""
        for name in ("low", "high", "step"):
            if isinstance(value := getattr(self, name), np.integer):
                object.__setattr__(self, name, int(value))

    def suggest(self, trial: optuna.Trial, name: str) -> int:
        """Return the value of a trial."""
        return trial.suggest_int(name, self.low, self.high, log=self.log, step=self.step)

    def problem(self) -> str | None:
        """Return what is required and does not hold, or None."""
        if not all(isinstance(end, int) for end in (self.low, self.high, self.step)):
            return "must have whole numbers"
        return _problem(self)

    def values(self) -> list[Any] | None:
        """Return all values."""
        return list(range(self.low, self.high + 1, self.step))


def _problem(entry: Float | Int) -> str | None:
    if not entry.low <= entry.high:
        return "must have low <= high"
    if entry.log and not entry.low > 0:
        return "must have low > 0 where log=True"
    if entry.step is None or entry.step == 1 and isinstance(entry, Int):
        return None
    if not entry.step > 0:
        return "must have step > 0"
    if entry.log:
        return "must have a step or log=True, not both"
    steps = (entry.high - entry.low) / entry.step
    return None if math.isclose(steps, round(steps), abs_tol=1e-6) else "must have high = low + a multiple of step"


@dataclass(frozen=True)
class Choice:
    """One of some values without an order: what a list in a space means."""

    choices: tuple[Any, ...]

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        """Return the value of a trial."""
        return trial.suggest_categorical(name, self.choices)

    def problem(self) -> str | None:
        """Return what is required and does not hold, or None."""
        if not self.choices:
            return "must hold at least one choice"
        if not all(value is None or isinstance(value, (bool, int, float, str)) for value in self.choices):
            return "must hold None, bools, numbers and strings, which a database keeps"
        return None if len(set(map(repr, self.choices))) == len(self.choices) else "must hold each choice once"

    def values(self) -> list[Any] | None:
        """Return all values."""
        return list(self.choices)

    def __repr__(self) -> str:
        """Show it as it is written."""
        return repr(list(self.choices))


Entry = Float | Int | Choice
Space = dict[str, Entry]


def checked_space(space: Mapping[str, Float | Int | Sequence[Any]]) -> Space:
    """Return a space in which a list of choices has a class of its own.

    Raises:
        TypeError: it is no dict of ranges and lists.
        ValueError: it is empty, or a range or list is not possible; the error names it.
    """
    if not isinstance(space, Mapping):
        raise TypeError(f"search: space must be a dict of Float, Int and lists by name, got {shown(space)}")
    if not space:
        raise ValueError("search: space must hold at least one parameter, got none")
    found: Space = {}
    for name, given in space.items():
        if not isinstance(name, str):
            raise TypeError(f"search: names in the space must be strings, got {name!r}")
        entry: object = given
        if isinstance(given, (list, tuple)):
            entry = Choice(tuple(value.item() if isinstance(value, np.generic) else value for value in given))
        if not isinstance(entry, Entry):
            raise TypeError(f"search: {name!r} must be a Float, an Int or a list of choices, got {shown(entry)}")
        problem = entry.problem()
        if problem:
            raise ValueError(f"search: {name!r} {problem}, got {entry!r}")
        found[name] = entry
    return found


def grid(space: Space) -> list[dict[str, Any]]:
    """Return all points of a space, the last name's values fastest.

    Raises:
        ValueError: a range has no values that can be counted; the error names it.
    """
    columns = []
    for name, entry in space.items():
        values = entry.values()
        if values is None:
            raise ValueError(f'search: method "grid" needs a list or a step for {name!r}, got {entry!r}')
        columns.append(values)
    return [dict(zip(space, point, strict=True)) for point in itertools.product(*columns)]
