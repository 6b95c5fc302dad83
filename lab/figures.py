"""Figures for reading: colours that everybody can tell apart, bands that are intervals over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cunet.system.extras import extra

from .results import Interval, Results

#: Okabe and Ito's colours, the dark ones first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
STYLES = ("-", "--", "-.", ":")


def axes(*titles: str, height: float = 3.0, share: bool = False) -> tuple[Any, list[Any]]:
    """Return a figure and its axes, side by side under their titles."""
    figures = extra("matplotlib.figure", "examples", "lab")
    figure = figures.Figure((1 + 3.4 * max(len(titles), 1.4), height), layout="constrained")
    found = list(figure.subplots(1, len(titles), sharey=share, squeeze=False)[0])
    for ax, title in zip(found, titles, strict=True):
        ax.set_title(title, fontsize=9)
        ax.grid(alpha=0.3)
        ax.tick_params(labelsize=8)
    return figure, found


def line(ax: Any, x: Any, curves: np.ndarray, label: str, k: int, marker: str = "", style: str = "") -> None:
    """Draw the mean of curves (seeds, points) and the band of its intervals, in the k-th colour."""
    points = [Interval.of(column) for column in np.asarray(curves).T]
    mean, low, high = (np.array(part) for part in zip(*points, strict=True))
    colour = COLOURS[k % len(COLOURS)]
    ax.plot(
        x, mean, style or STYLES[k % len(STYLES)], color=colour, label=label, marker=marker, markersize=4, linewidth=1.4
    )
    bounded = np.isfinite(low)
    ax.fill_between(np.asarray(x)[bounded], low[bounded], high[bounded], color=colour, alpha=0.2, linewidth=0)


def bars(ax: Any, names: list[str], intervals: list[Interval], k: int = 0, of: int = 1, label: str = "") -> None:
    """Draw points with intervals, one per name; `of` sets of them beside each other."""
    places = np.arange(len(names)) + (k - (of - 1) / 2) * 0.6 / of * (of > 1)
    mean = np.array([i.mean for i in intervals])
    finite = [(m - i.low, i.high - m) if np.isfinite(i.low) else (0.0, 0.0) for m, i in zip(mean, intervals)]  # noqa: B905
    shape = "osD^v"[k % 5]
    ax.errorbar(places, mean, np.array(finite).T, fmt=shape, color=COLOURS[k], capsize=3, markersize=5, label=label)
    ax.set_xticks(np.arange(len(names)), names, fontsize=8)
    ax.set_xlim(-0.6, len(names) - 0.4)


def by_batch(results: Results, norms: Iterable[str], sizes: Sequence[int]) -> tuple[Any, list[Any]]:
    """Return a figure of the test accuracies of norms by size of batch, and its axes."""
    figure, panels = axes("In evaluation mode", "By the batch's own statistics", share=True)
    names, there = [*norms], {(row["piece"]["norm"], row["piece"]["batch"]) for row in results.rows}
    for ax, key in zip(panels, ("accuracy", "accuracy_by_batch"), strict=True):
        for k, norm in enumerate(names):
            found = [
                100 * results.interval(key, norm=norm, batch=n)
                if (norm, n) in there
                else Interval(np.nan, np.nan, np.nan)
                for n in sizes
            ]
            bars(ax, [str(size) for size in sizes], found, k, len(names), norm)
        ax.set_xlabel("batch", fontsize=8)
    panels[0].set_ylabel("test accuracy, %", fontsize=8)
    return figure, panels


def legend(ax: Any, title: str = "", **options: Any) -> None:
    """Put the legend where it hides least."""
    ax.legend(fontsize=7, title=title or None, title_fontsize=7, **options)


def save(figure: Any, path: Path) -> None:
    """Write a PNG without the date or the version of what drew it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})
