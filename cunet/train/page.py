"""A run's page as text: one HTML file with its figures in it, which asks nothing of any network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..system.extras import extra
from ..system.table import escape

# No script, no font, no picture from anywhere: the browser itself refuses them.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --quiet: #5f6368; --line: #dadce0; --back: #f6f7f9; --card: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --quiet: #a5a9ae; --line: #3c4043; --back: #17181a; --card: #202124 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--ink); font: 16px/1.45 system-ui, sans-serif }
main { max-width: 70rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.5rem; margin: 0.4rem 0 0; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 1.8rem 0 0.6rem }
p.status { color: var(--quiet); margin: 0.2rem 0 1rem; overflow-wrap: anywhere }
dl, .tiles, .figures { display: grid; gap: 0.6rem; margin: 0 }
dl { grid-template-columns: repeat(auto-fill, minmax(min(16rem, 100%), 1fr)) }
.tiles { grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)) }
.figures { grid-template-columns: repeat(auto-fill, minmax(min(21rem, 100%), 1fr)); align-items: start }
dl div, .tiles div, figure, .scroll { background: var(--card); border: 1px solid var(--line); border-radius: 8px }
dl div, .tiles div { padding: 0.5rem 0.75rem }
dt, .tiles span { color: var(--quiet); font-size: 0.8rem }
dd { margin: 0; overflow-wrap: anywhere }
.tiles b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums }
figure { margin: 0; padding: 0.6rem; background: #fff }
figure img { display: block; width: 100%; max-width: 34rem; margin: 0 auto; height: auto }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: 0.85rem; font-variant-numeric: tabular-nums }
caption { text-align: left; color: var(--quiet); padding: 0.5rem 0.75rem }
th, td { padding: 0.3rem 0.75rem; border-bottom: 1px solid var(--line); white-space: nowrap }
tbody tr:last-child td { border-bottom: 0 }
th { color: var(--quiet); font-weight: 600 }
summary { cursor: pointer; padding: 0.3rem 0 }
"""


class Figure(NamedTuple):
    """A drawing in a page, with what it says to who cannot see it."""

    svg: bytes
    text: str


def drawn(ax: Any, text: str) -> Figure:
    """Return the figure of axes as a picture; the same drawing gives the same bytes."""
    matplotlib, file = extra("matplotlib", "plot", "Trainer(report=)"), io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "cunet"}):
        ax.figure.savefig(file, format="svg", metadata={"Date": None})
    return Figure(file.getvalue(), text)


def document(title: str, status: str, sections: Iterable[str], live: bool) -> str:
    """Return the whole page; while it is `live` a browser loads it again every 15 seconds."""
    again = '<meta http-equiv="refresh" content="15">\n' if live else ""
    body = "\n".join(sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
{again}<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p class="status">{escape(status)}</p>
{body}
</main>
</body>
</html>
"""


def section(heading: str, *parts: str) -> str:
    """Return a part of the page under a heading."""
    return "\n".join([f"<section>\n<h2>{escape(heading)}</h2>", *parts, "</section>"])


def tiles(numbers: Iterable[tuple[str, str]]) -> str:
    """Return numbers, each with its name, to be seen first."""
    return _boxes('<div class="tiles">', "<div><span>{}</span><b>{}</b></div>", numbers, "</div>")


def pairs(facts: Iterable[tuple[str, str]]) -> str:
    """Return facts, each with its name."""
    return _boxes("<dl>", "<div><dt>{}</dt><dd>{}</dd></div>", facts, "</dl>")


def _boxes(begin: str, box: str, texts: Iterable[tuple[str, str]], end: str) -> str:
    return "\n".join([begin, *(box.format(escape(name), escape(text)) for name, text in texts), end])


def figures(found: Iterable[Figure]) -> str:
    """Return drawings beside each other, on a phone below each other."""
    lines = ['<div class="figures">']
    for svg, text in found:
        data = base64.b64encode(svg).decode()
        lines.append(f'<figure><img alt="{escape(text)}" src="data:image/svg+xml;base64,{data}"></figure>')
    return "\n".join([*lines, "</div>"])


def table(html: str, rows: int, folded: str) -> str:
    """Return a table that is moved sideways where it is too wide; a long one opens when its name is clicked."""
    inner = f'<div class="scroll">\n{html}\n</div>'
    return inner if rows <= 25 else f"<details><summary>{escape(folded)}</summary>\n{inner}\n</details>"
