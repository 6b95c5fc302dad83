"""Curves of a training run: what an epoch's logs say, over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .style import BLUE, GREY, VERMILION, new_panels, whole_numbers

Logs = Mapping[str, Any]
_VALID = "valid_"
_NO_CURVE = ("epoch", "seconds", "samples_per_second", "complete", "skipped")
_RATES = ("lr", "max_lr")


def curves_of(logs: Sequence[Logs]) -> list[str]:
    """Return what there is a curve of: loss and metrics, those of validation under the same name; then the rate."""
    found: dict[str, None] = {}
    for row in logs:
        for key, value in row.items():
            if key not in _NO_CURVE and isinstance(value, (int, float, np.number)):
                found["lr" if key in _RATES else key.removeprefix(_VALID)] = None
    rate = ["lr"] if found.pop("lr", 0) is None else []
    return [*found, *rate]


def curve(logs: Sequence[Logs], name: str, ax: Any) -> Any:
    """Draw one entry of the logs over the epochs, of training and of validation; return the axes."""
    of_rate = name == "lr"
    lines = (
        (("lr", BLUE, "-", "at the end of the epoch"), ("max_lr", GREY, "--", "highest of the epoch"))
        if of_rate
        else ((name, BLUE, "-", "training"), (_VALID + name, VERMILION, "--", "validation"))
    )
    drawn = 0
    for key, color, style, label in lines:
        points = [(row["epoch"], float(row[key])) for row in logs if key in row]
        if points:
            x, y = np.array(points).T
            y[~np.isfinite(y)] = np.nan
            marker = "o" if len(points) <= 30 else ""
            ax.plot(x, y, color=color, linestyle=style, marker=marker, markersize=3.5, label=label)
            drawn += 1
    whole_numbers(ax)
    ax.set(xlabel="epoch", ylabel="learning rate" if of_rate else name.replace("_", " "))
    if of_rate and any(row.get("lr", 0) > 0 for row in logs):
        ax.set_yscale("log")
    ax.grid(color="#eeeeee")
    if drawn > 1:
        ax.legend(frameon=False)
    return ax


def history(logs: Sequence[Logs], *names: str) -> list[Any]:
    """Draw loss, metrics and learning rate over the epochs, of training and of validation; return axes, one each.

    Args:
        logs: `Trainer.history`: one dict per epoch.
        names: which entries, such as "loss"; default: all that are numbers.

    Raises:
        ImportError: matplotlib is not installed: ``pip install "cunet[plot]"``.
        ValueError: there is no such entry, or none at all.

    Example:
        >>> from cunet import plot
        >>> logs = [{"epoch": 1, "loss": 2.0, "valid_loss": 2.5}, {"epoch": 2, "loss": 1.0, "valid_loss": 2.0}]
        >>> (ax,) = plot.history(logs)
        >>> ax.get_ylabel(), [line.get_label() for line in ax.lines]
        ('loss', ['training', 'validation'])
        >>> ax.figure.savefig("curves.png")
    """
    known = curves_of(logs)
    for name in names:
        if name not in known:
            raise ValueError(f"history: names must be among {', '.join(known) or 'those of no epoch'}, got {name!r}")
    chosen = names or known
    if not chosen:
        raise ValueError("history: logs must hold an epoch with numbers, got none")
    panels = new_panels("history", len(chosen), 3, 4.2, 3.0)
    return [curve(logs, name, ax) for name, ax in zip(chosen, panels, strict=True)]
