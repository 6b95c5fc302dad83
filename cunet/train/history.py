"""What a training run leaves in numbers: one dict per epoch, as a table and as curves."""

from __future__ import annotations

from typing import Any

from ..plot.curves import history
from ..system.table import html_table, text_table
from .progress import is_number, number

_BESIDE = ("complete", "skipped", "samples_per_second")


class History(list[dict[str, Any]]):
    """A list of one dict per epoch, in order; see `Trainer.history`. Notebooks show it as a table.

    Example:
        >>> from cunet.train import History
        >>> history = History([{"epoch": 1, "loss": 2.0, "valid_loss": 3.0}])
        >>> history.append({"epoch": 2, "loss": 1.0, "valid_loss": 2.5})
        >>> print(history)
        epoch    loss  valid loss
            1  2.0000      3.0000
            2  1.0000      2.5000
        >>> [row["valid_loss"] for row in history]
        [3.0, 2.5]
    """

    def plot(self, *names: str) -> list[Any]:
        """Draw loss, metrics and learning rate over the epochs; return axes of matplotlib, one for each.

        >>> from cunet.train.history import History
        >>> [ax.get_ylabel() for ax in History([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0}]).plot()]
        ['loss']

        Args:
            names: which entries, such as "loss", which shows "valid_loss" too; default: all that are numbers.

        Raises:
            ImportError: matplotlib is not installed: ``pip install "cunet[plot]"``.
            ValueError: there is no such entry, or no epoch.
        """
        return history(self, *names)

    def rows(self) -> list[list[str]]:
        """Return the numbers as cells of a table, the names of columns first."""
        names: dict[str, None] = {}
        for logs in self:
            names |= dict.fromkeys(k for k, v in logs.items() if is_number(v) and k not in _BESIDE)
        order = [name for name in names if name != "seconds"] + ["seconds"] * ("seconds" in names)
        cells = [[_cell(logs.get(name)) for name in order] for logs in self]
        return [[name.replace("_", " ") for name in order], *cells]

    def __str__(self) -> str:
        """Return the table as text."""
        return text_table(self.rows(), left=0) if self else "no epochs yet"

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return html_table(self.rows(), left=0) if self else "<p>no epochs yet</p>"


def _cell(value: Any) -> str:
    return str(value) if isinstance(value, int) else number(value) if is_number(value) else "-"
