"""Histograms of what layers hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..nn.module import Module
from .style import BLUE, VERMILION, new_panels, on_host

_BINS = 40


def histograms(values: Any, count: int = 12) -> list[Any]:
    """Draw how the weights of each layer are distributed, a panel each; return the axes.

    What is not finite is left out, and counted in red.

    Args:
        values: a model, whose weights of at least two axes are drawn; or a dict of arrays by name.
        count: how many at most, those first that come first.

    Raises:
        ImportError: matplotlib is not installed: ``pip install "cunet[plot]"``.
        TypeError: it is neither.
        ValueError: there is nothing to draw.

    Example:
        >>> from cunet import plot
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> [ax.get_title().split()[0] for ax in plot.histograms(model)]
        ['0.weight', '2.weight']
    """
    if not isinstance(values, (Module, Mapping)):
        raise TypeError(f"histograms: values must be a model or a dict of arrays, got {type(values).__name__}")
    arrays = weights_of(values) if isinstance(values, Module) else dict(values)
    if not arrays:
        raise ValueError("histograms: values must hold at least one array, got none")
    chosen = list(arrays.items())[:count]
    panels = new_panels("histograms", len(chosen), 3, 3.0, 2.2)
    for (name, array), ax in zip(chosen, panels, strict=True):
        histogram(name, array, ax)
    return panels


def weights_of(model: Module) -> dict[str, Any]:
    """Return the parameters of at least two axes by name; all if none has."""
    arrays = dict(model.named_parameters())
    return {name: p for name, p in arrays.items() if p.ndim > 1} or arrays


def histogram(name: str, array: Any, ax: Any) -> None:
    """Draw how the values of one array are distributed."""
    flat = on_host(array).astype(np.float64).ravel()
    finite = flat[np.isfinite(flat)]
    heights, edges = np.zeros(1), np.array([0.0, 1.0])
    if finite.size:
        apart = np.ptp(finite) > 2 * _BINS * np.spacing(np.abs(finite).max())  # else bins would have no width
        heights, edges = np.histogram(finite, _BINS if apart else 1)
    ax.stairs(heights, edges, fill=True, color=BLUE)
    ax.set(xlabel="value", ylabel="count")
    short = name if len(name) <= 28 else "..." + name[-25:]
    ax.set_title(f"{short}\nstd {finite.std():.3g}" if finite.size else short, fontsize=9)
    if finite.size < flat.size:
        text = f"{flat.size - finite.size} not finite"
        ax.text(0.5, 0.5, text, color=VERMILION, transform=ax.transAxes, ha="center")
