"""What a training run shows: a bar while an epoch runs, one row of a table when it is done."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

_REFRESH = 0.5  # seconds between readings of the running loss: each one waits for the device


class Progress:
    """Show the progress of one `fit`.

    In a terminal and in a notebook a tqdm bar runs with each epoch and gives way to the epoch's row; in a
    log file, or a pipe, there are only the rows.

    Args:
        mode: "auto" (a bar where somebody looks), True (always), False (silent).
        unit: what is counted, such as "images".
    """

    def __init__(self, mode: Any, unit: str) -> None:
        if mode not in ("auto", True, False):
            raise ValueError(f'progress must be "auto", True or False, got {mode!r}')
        self.rows = mode is not False
        self.bar = mode is True or (mode == "auto" and (sys.stderr.isatty() or _in_notebook()))
        self.unit = unit
        self._bar: Any = None
        self._columns: list[str] = []
        self._next = 0.0

    def begin(self, label: str, total: int) -> None:
        """Start an epoch of `total` samples."""
        if self.bar:
            self._bar = _tqdm()(total=total, desc=label, unit=f" {self.unit}", leave=False, dynamic_ncols=True)
            self._next = time.perf_counter() + _REFRESH

    def advance(self, count: int, logs: Callable[[], dict[str, float]]) -> None:
        """Count samples; ask for the running means only when it is time to show them."""
        if self._bar is None:
            return
        self._bar.update(count)
        if time.perf_counter() >= self._next:
            self._bar.set_postfix_str(" ".join(f"{k} {v:.4f}" for k, v in logs().items()))
            self._next = time.perf_counter() + _REFRESH

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def row(self, logs: dict[str, Any], epochs: int) -> None:
        """Print one epoch's row; before the first, and when the columns change, the header."""
        if not self.rows:
            return
        cells = {"epoch": f"{logs['epoch']}/{epochs}"}
        for key, value in logs.items():
            if key not in ("epoch", "seconds", "samples_per_second", "complete"):
                cells[key] = f"{value:.4g}" if key == "lr" else f"{value:.4f}"
        cells["seconds"] = f"{logs['seconds']:.1f}"
        cells[f"{self.unit}/s"] = f"{logs['samples_per_second']:,.0f}"
        widths = {key: max(len(key), 7) for key in cells}
        if list(cells) != self._columns:
            self._columns = list(cells)
            print("  ".join(key.rjust(widths[key]) for key in cells))
        print("  ".join(cell.rjust(widths[key]) for key, cell in cells.items()), flush=True)


def _tqdm() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about ipywidgets: the plain bar does
        from tqdm.auto import tqdm
    return tqdm


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
