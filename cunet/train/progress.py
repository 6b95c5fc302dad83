"""What a training run shows: a bar while an epoch runs, one row of a table when it is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..system.messages import in_notebook, somebody_looks
from .notebook import Live

_WIDTH = 7  # of a column of numbers: six of them, the rate and three more columns have to fit 80 columns
_VALID = "valid_"  # begins the names of what was found by validation
_REFRESH = 0.5  # seconds between readings of the running means: each one waits for the device
_UNKNOWN_TOTAL = "{desc}: {n_fmt} {unit} in {elapsed}, {rate_fmt}{postfix}"
_KNOWN_TOTAL = "{desc} {percentage:3.0f}%|{bar}| {remaining} left, {rate_fmt}{postfix}"


class Progress:
    """Show the progress of one `fit`.

    In a terminal a tqdm bar (on stderr) runs with each epoch and gives way to the epoch's row (on stdout); in a log
    file, or a pipe, there are only the rows. In a notebook one output has all of it: see `Live`.

    Args:
        mode: "auto" (a bar where somebody looks), True (always), False (silent).
        unit: what is counted, such as "images".
    """

    def __init__(self, mode: bool | str, unit: str) -> None:
        if mode not in ("auto", True, False):
            raise ValueError(f'Trainer: progress must be "auto", True or False, got {mode!r}')
        self.rows = mode is not False
        self.bar = mode is True or (mode == "auto" and somebody_looks())
        self.unit = unit
        self._bar: Any = None
        self._live = Live(unit) if self.bar and in_notebook() else None
        self._widths: dict[str, int] = {}
        self._next, self._trains = 0.0, False

    def begin(self, label: str, total: int | None) -> None:
        """Start a bar of `total` samples (None: not known)."""
        self._trains = label.startswith("epoch")
        self._next = time.perf_counter()
        if self._live is not None:
            self._live.begin(label, total)
        elif self.bar:
            self._bar = _tqdm()(
                total=total,
                desc=label,
                unit=f" {self.unit}",
                unit_scale=True,
                leave=False,
                dynamic_ncols=True,
                bar_format=_UNKNOWN_TOTAL if total is None else _KNOWN_TOTAL,
            )

    def advance(self, count: int, means: Callable[[], dict[str, float]]) -> None:
        """Count samples; ask for the running means only when it is time to show them."""
        if self._bar is not None:
            self._bar.update(count)
        elif self._live is not None:
            self._live.advance(count)
        else:
            return
        if time.perf_counter() >= self._next:
            found = means()
            words = " ".join(f"{_short(k)} {number(v)}" for k, v in found.items())
            if self._bar is not None:
                self._bar.set_postfix_str(words)
            elif self._live is not None:
                self._live.show(words, found.get("loss") if self._trains else None)
            self._next = time.perf_counter() + _REFRESH

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if self._live is not None:
            self._live.rest()

    def row(self, logs: dict[str, Any], last: int) -> None:
        """Print one epoch's row, of `last` epochs; before the first, and when there are new columns, the header."""
        if not self.rows:
            return
        cells = {"epoch": f"{logs['epoch']}/{last}"}
        for key, value in logs.items():
            shown = key not in ("epoch", "seconds", "samples_per_second", "complete", "skipped") and is_number(value)
            if shown and not _is_told(key, logs):
                cells[key] = number(value)
        cells["sec"] = f"{logs['seconds']:.1f}"
        cells[f"{self.unit}/s"] = f"{logs['samples_per_second']:,.0f}"
        if self._live is not None:
            named = {_short(key).replace("_", " "): cell for key, cell in cells.items()}
            self._live.row(named, logs.get("loss"), logs.get("valid_loss"))
            return
        if not cells.keys() <= self._widths.keys():
            self._header(list(cells), last)
        print(" ".join(cells.get(key, "-").rjust(width) for key, width in self._widths.items()), flush=True)

    def _header(self, keys: list[str], last: int) -> None:
        """Print the names of the columns; those of validation on two lines."""
        names = [_short(key).removeprefix(_VALID) for key in keys]
        widths = [max(len(name), _WIDTH) for name in names]
        self._widths = dict(zip(keys, widths, strict=True)) | {"epoch": max(5, len(f"{last}/{last}")), "sec": 5}
        above = ["valid" if key.startswith(_VALID) else "" for key in keys]
        for line in (above, names) if any(above) else (names,):
            print(" ".join(name.rjust(self._widths[key]) for key, name in zip(keys, line, strict=True)).rstrip())

    def say(self, text: str) -> None:
        """Print a line."""
        if self.rows:
            print(text, flush=True)


def is_number(value: Any) -> bool:
    """Tell whether an entry of the logs is one number, which a table can show."""
    return isinstance(value, (int, float, np.number))


def number(value: Any) -> str:
    """Return a number in at most 7 characters: four decimals, or as many significant digits as fit."""
    value = float(value)
    texts = [f"{value:.{digits}g}" for digits in (6, 5, 4, 3, 2, 1)]
    if value == 0 or abs(value) >= 1e-2:
        texts.insert(0, f"{value:.4f}")
    return next((text for text in texts if len(text) <= _WIDTH), texts[-1])


def _is_told(key: str, logs: dict[str, Any]) -> bool:
    """Tell whether another column says more: the highest rate of an epoch, where it changed from batch to batch."""
    return key == "lr" and "max_lr" in logs


def _short(key: str) -> str:
    """Return the name of a column."""
    return key.replace("accuracy", "acc")


def _tqdm() -> Any:
    from tqdm import tqdm  # here, so that importing cunet does not load it

    return tqdm
