"""A live line in a notebook: how far an epoch is, what it found so far, and the curve of the loss."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Sequence
from typing import Any

from ..plot.style import BLUE, VERMILION
from ..system.table import escape, html_table, text_table

_WIDTH, _HEIGHT, _EDGE, _MARGIN = 320, 80, 4, 60  # of the curves, in pixels; of what is written beside them
Point = tuple[float, float]


class Live:
    """One output of a notebook's cell, written anew as training goes on.

    Args:
        unit: what is counted, such as "images".
    """

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self._rows: list[dict[str, str]] = []
        self._losses: list[Point] = []
        self._valid: list[Point] = []
        self._handle: Any = None
        self._label, self._count, self._began = "", 0, 0.0
        self._total: int | None = None

    def begin(self, label: str, total: int | None) -> None:
        """Begin a line."""
        self._label, self._count, self._total, self._began = label, 0, total, time.perf_counter()

    def advance(self, count: int) -> None:
        """Count what was done."""
        self._count += count

    def show(self, words: str, loss: float | None) -> None:
        """Show the line, with what was found so far, and where the curve of the loss is going (None: none of ours)."""
        seconds, total = time.perf_counter() - self._began, self._total
        parts = [self._label, f"{100 * self._count / total:.0f}%" if total else "", words]
        if self._count and seconds > 0:
            parts.append(f"{self._count / seconds:,.0f} {self.unit}/s")
        if self._count and total:
            parts.append(f"{max(0, total - self._count) * seconds / self._count:.0f} s left")
        bar = f'<progress value="{self._count}" max="{total}"></progress> ' if total else ""
        going = [(len(self._rows) + self._count / total, loss)] if total and loss is not None else []
        self._write(f"<div>{bar}{escape(' · '.join(filter(None, parts)))}</div>", [*self._losses, *going])

    def row(self, cells: dict[str, str], loss: float | None, valid: float | None) -> None:
        """Add an epoch: what stands in the table by the names of columns, and the points of the curves."""
        self._rows.append(cells)
        for points, value in ((self._losses, loss), (self._valid, valid)):
            if value is not None:
                points.append((len(self._rows), value))
        self.rest()

    def rest(self) -> None:
        """Show what is known between two lines, and after the last one."""
        if self._handle is not None or self._rows:
            self._write("", self._losses)

    def _cells(self) -> list[list[str]]:
        names = dict.fromkeys(name for row in self._rows for name in row)
        return [list(names), *([row.get(name, "-") for name in names] for row in self._rows)]

    def _write(self, line: str, losses: Sequence[Point]) -> None:
        table = html_table(self._cells(), left=0) if self._rows else ""
        data = {
            "text/html": f"<div>{line}{curves(losses, self._valid)}{table}</div>",
            "text/plain": text_table(self._cells(), left=0) if self._rows else "",
        }
        if self._handle is None:
            display = importlib.import_module("IPython.display").display
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


def curves(losses: Sequence[Point], valid: Sequence[Point]) -> str:
    """Return the curves of the loss as SVG, with the numbers between which they lie; "" where there is no line."""
    drawn = [[p for p in points if math.isfinite(p[1])] for points in (losses, valid)]
    if max(map(len, drawn)) < 2:
        return ""
    xs, ys = zip(*drawn[0], *drawn[1], strict=True)
    left, low = min(xs), min(ys)
    wide, high = max(xs) - left or 1.0, max(ys) - low or 1.0

    def path(points: Sequence[Point]) -> str:
        return " ".join(
            f"{_EDGE + (x - left) / wide * (_WIDTH - 2 * _EDGE):.1f},"
            f"{_HEIGHT - _EDGE - (y - low) / high * (_HEIGHT - 2 * _EDGE):.1f}"
            for x, y in points
        )

    lines = "".join(
        f'<polyline points="{path(points)}" fill="none" stroke="{color}" stroke-width="1.5"{dashes}/>'
        for points, color, dashes in zip(drawn, (BLUE, VERMILION), ("", ' stroke-dasharray="4 2"'), strict=True)
        if len(points) > 1
    )
    frame = f'<path d="M0.5 0V{_HEIGHT - 0.5}H{_WIDTH}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>'
    texts = [(10, f"{max(ys):.4g}", ""), (_HEIGHT, f"{low:.4g}", ""), (_HEIGHT // 2 + 4, "loss", BLUE)]
    if len(drawn[1]) > 1:
        texts.append((_HEIGHT // 2 + 18, "valid", VERMILION))
    words = "".join(
        f'<text x="{_WIDTH + 6}" y="{y}" fill="{c or "currentColor"}">{text}</text>' for y, text, c in texts
    )
    size = f'width="{_WIDTH + _MARGIN}" height="{_HEIGHT}"'
    return f'<svg {size} role="img" font-size="11" style="margin: 4px 0">{frame}{lines}{words}</svg>'
