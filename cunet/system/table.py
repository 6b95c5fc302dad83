"""Tables that people read: text of 80 columns, and HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_WIDTH = 80

Row = Sequence[str]


def text_table(rows: Iterable[Row], left: int = 1) -> str:
    """Return rows of cells, the first of which has the names of columns, as lines of at most 80 characters.

    Args:
        rows: all of one length.
        left: how many columns, from the left, begin at one place; the others end at one.

    Where that is too wide, cells of the first column lose their beginnings, and if need be those of the second their
    ends.
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for column in range(min(left, 2)):
        spare = _WIDTH - sum(widths) - 2 * (len(widths) - 1)
        widths[column] = max(min(widths[column], 8), widths[column] + min(spare, 0))
    lines = []
    for row in rows:
        cells = [
            _cut(cell, width, k).ljust(width) if k < left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _cut(cell: str, width: int, column: int) -> str:
    if len(cell) <= width:
        return cell
    return "..." + cell[3 - width :] if column == 0 else cell[: width - 3] + "..."


def html_table(rows: Iterable[Row], left: int = 1, caption: str = "") -> str:
    """Return rows of cells, the first of which has the names of columns, as an HTML table; all text is escaped."""
    head, *body = rows
    lines = ["<table>", *([f"<caption>{escape(caption)}</caption>"] if caption else [])]
    for tag, part, members in (("thead", "th", [head]), ("tbody", "td", body)):
        lines.append(f"<{tag}>")
        for row in members:
            cells = (_cell(part, cell, k < left) for k, cell in enumerate(row))
            lines.append(f"<tr>{''.join(cells)}</tr>")
        lines.append(f"</{tag}>")
    return "\n".join([*lines, "</table>"])


def _cell(tag: str, text: str, left: bool) -> str:
    return f'<{tag} style="text-align: {"left" if left else "right"}">{escape(text)}</{tag}>'


def escape(text: str) -> str:
    """Return text as it stands in HTML, in attributes too."""
    for character, entity in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"), ("'", "#39")):
        text = text.replace(character, f"&{entity};")
    return text


def count(number: float) -> str:
    """Return a large number in few characters: ``1234`` is "1.23 k"."""
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if number >= 0.9995 * 10**power:
            return f"{number / 10**power:#.3g}".rstrip(".") + f" {letter}"
    return f"{number:.0f}"


def memory(n_bytes: float) -> str:
    """Return a number of bytes in few characters, by powers of 1024."""
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if n_bytes >= 0.9995 * 1024**power:
            return f"{n_bytes / 1024**power:.{0 if n_bytes >= 99.95 * 1024**power else 1}f} {unit}"
    return f"{n_bytes:.0f} B"
