"""Results of a group over seeds, and intervals of confidence."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

#: 0.975 quantiles of Student's t for 1 to 30 degrees of freedom.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


class Interval(NamedTuple):
    """A mean over seeds and its interval of 95 % confidence; of one seed everything is possible."""

    mean: float
    low: float
    high: float

    @staticmethod
    def of(values: Iterable[float]) -> Interval:
        """Return that of a value per seed: ``mean ± t * std / sqrt(n)``, Student's t with n - 1 degrees of freedom."""
        array = np.asarray(list(values), np.float64)
        mean = float(array.mean())
        if len(array) < 2 or not np.isfinite(array).all():
            return Interval(mean, -math.inf, math.inf)
        half = _T[min(len(array) - 1, len(_T)) - 1] * float(array.std(ddof=1)) / math.sqrt(len(array))
        return Interval(mean, mean - half, mean + half)

    def above(self, bound: float) -> Interval:
        """Return how far it is above a number: evidence for what says that it is more."""
        return Interval(self.mean - bound, self.low - bound, self.high - bound)

    def below(self, bound: float) -> Interval:
        """Return how far it is below a number: evidence for what says that it is less."""
        return Interval(bound - self.mean, bound - self.high, bound - self.low)

    def __rmul__(self, factor: float) -> Interval:
        """Return it in other units; the factor is above 0."""
        return Interval(factor * self.mean, factor * self.low, factor * self.high)

    def __format__(self, spec: str) -> str:
        """Format as ``mean [low, high]``; ``%`` in the spec makes percent of the three."""
        if not math.isfinite(self.low):
            return f"{self.mean:{spec}} (no interval)"
        ends = [f"{end:{spec}}" for end in (self.low, self.high)]
        mean = f"{self.mean:{spec}}"
        return mean if ends == [mean, mean] else f"{mean} [{', '.join(ends)}]"


class Results:
    """The rows of a results file: settings and what was found, one row per setting and seed."""

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self.rows = list(rows)

    def where(self, **setting: Any) -> Results:
        """Return the rows of a setting.

        Raises:
            LookupError: there is none.
        """
        rows = [row for row in self.rows if all(row["piece"].get(k) == v for k, v in setting.items())]
        if not rows:
            raise LookupError(f"no results where {setting}")
        return Results(rows)

    def each(self, key: str) -> list[Any]:
        """Return the values of a setting in the order in which they come."""
        return list(dict.fromkeys(row["piece"][key] for row in self.rows))

    def values(self, key: str, **setting: Any) -> np.ndarray:
        """Return what was found under a name, by seed: (seeds,), or (seeds, points) of curves; None becomes NaN."""
        rows = sorted(self.where(**setting).rows, key=lambda row: row["piece"]["seed"])
        return np.array([row["found"][key] for row in rows], np.float64)

    def interval(self, key: str, **setting: Any) -> Interval:
        """Return mean and interval over seeds."""
        return Interval.of(self.values(key, **setting))

    def difference(self, key: str, one: dict[str, Any], other: dict[str, Any], **both: Any) -> Interval:
        """Return that of ``one - other``, seed by seed."""
        return Interval.of(self.values(key, **both, **one) - self.values(key, **both, **other))

    def ratio(self, key: str, one: dict[str, Any], other: dict[str, Any], **both: Any) -> Interval:
        """Return that of ``one / other``, seed by seed, as a geometric mean."""
        logs = Interval.of(np.log(self.values(key, **both, **one) / self.values(key, **both, **other)))
        return Interval(*(math.exp(min(x, 700.0)) for x in logs))

    def listed(self, key: str, spec: str, by: str, only: Any = None, **setting: Any) -> str:
        """Return the intervals of what was found for each value of a setting, or `only` some of them, as words."""
        rows = self.where(**setting)
        parts = [(value, rows.interval(key, **{by: value})) for value in only or rows.each(by)]
        return "; ".join(f"{word(value)}: {interval:{spec}}" for value, interval in parts)

    def settings(self) -> Iterator[tuple[dict[str, Any], Results]]:
        """Yield each setting, without the seed, and its rows."""
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows:
            groups.setdefault(json.dumps({k: v for k, v in row["piece"].items() if k != "seed"}), []).append(row)
        for text, rows in groups.items():
            yield json.loads(text), Results(rows)


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines; a line that was cut off at the end of a run is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def word(value: Any) -> str:
    """Return a value of a setting as a word."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(word, value)) if isinstance(value, list) else str(value)


def plain(value: Any) -> Any:
    """Return what JSON can hold: numbers of six digits, None for what is not finite."""
    if isinstance(value, (bool, str, np.bool_)) or value is None:
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(v) for v in value]
    if isinstance(value, (int, np.integer)):
        return int(value)
    return float(f"{float(value):.6g}") if math.isfinite(value) else None
