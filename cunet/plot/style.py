"""What all drawings share: colours that everybody can tell apart, figures without a window, numbers on axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import asnumpy
from ..system.extras import new_figure

# Of Okabe and Ito, "Color Universal Design", 2008: they differ for colour-blind people, and in brightness on paper.
BLUE, VERMILION, GREEN, GREY, LIGHT = "#0072b2", "#d55e00", "#009e73", "#555555", "#cccccc"


def new_panels(who: str, count: int, columns: int, width: float, height: float) -> list[Any]:
    """Return axes of matplotlib side by side in a new figure, each of so many inches."""
    columns = max(1, min(columns, count))
    rows = max(1, -(-count // columns))
    figure = new_figure(who, width * columns, height * rows)
    return [figure.add_subplot(rows, columns, k + 1) for k in range(count)]


def on_host(values: Any) -> np.ndarray:
    """Return a Tensor, an array of any device, or numbers, as a NumPy array."""
    array = values.data if isinstance(values, Tensor) else values
    return np.asarray(array) if isinstance(array, (list, tuple)) else asnumpy(array)


def whole_numbers(ax: Any) -> None:
    """Put ticks of the horizontal axis at whole numbers alone."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
