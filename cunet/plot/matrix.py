"""Confusion matrices: which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .style import new_panels, on_host

_WRITTEN = 12  # classes up to which each cell shows its count
_NAMED = 40  # and those up to which each class has its name at the axis


def confusion_matrix(matrix: Any, names: Sequence[str] | None = None, ax: Any = None) -> Any:
    """Draw how often each class, the row, was taken for each, the column; return the axes.

    The colour is the share of the row: of the samples that are of that class.

    Args:
        matrix: counts (C, C), such as the metric "confusion_matrix" gives.
        names: of the classes; default: their numbers.
        ax: axes of matplotlib to draw into; new ones by default.

    Raises:
        ImportError: matplotlib is not installed: ``pip install "cunet[plot]"``.
        ValueError: `matrix` is not square, or has other classes than `names`.

    Example:
        >>> from cunet import plot
        >>> ax = plot.confusion_matrix(np.array([[8, 2], [1, 9]]), names=["cat", "dog"])
        >>> ax.get_title()
        '85 % of 20 right'
    """
    counts = on_host(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ValueError(f"confusion_matrix: matrix must have shape (C, C), got {counts.shape}")
    classes = len(counts)
    names = [str(k) for k in range(classes)] if names is None else [str(name) for name in names]
    if len(names) != classes:
        raise ValueError(f"confusion_matrix: names must hold {classes} names, one a class, got {len(names)}")
    if ax is None:
        size = min(9.0, 2.6 + 0.34 * classes)
        (ax,) = new_panels("confusion_matrix", 1, 1, size + 0.6, size)
    rows = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(rows, 1)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="share of the class")
    if classes <= _WRITTEN:
        for i, j in np.argwhere(counts):
            color = "white" if shares[i, j] > 0.5 else "black"
            size = 8 if len(f"{counts[i, j]}") < 4 else 6.5
            ax.text(j, i, f"{counts[i, j]}", ha="center", va="center", color=color, fontsize=size)
    if classes <= _NAMED:
        ticks = np.arange(classes)
        long = max(map(len, names)) > 2
        ax.set_xticks(ticks, names, rotation=90 if long else 0)
        ax.set_yticks(ticks, names)
    total = counts.sum()
    right = f"{100 * np.trace(counts) / total:.4g} % of {total} right" if total else "no samples"
    ax.set(xlabel="predicted class", ylabel="class", title=right)
    return ax
