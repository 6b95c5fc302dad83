"""Run the programs on pages, and write below them what they print: ``python tools/run_pages.py docs/tutorials/*.md``.

A page is one program from top to bottom. Its ``python`` blocks run, but for those that begin with a file's name
(``# nets.py``), which are saved; of ``sh`` blocks the lines that call ``cunet`` run; of ``diff`` blocks what the new
script says. A ``text`` block behind one of them is what it prints. In a table of files the first column has their
lines, to the nearest ten. A test holds pages against what this would write (`tests/docs/test_tutorials.py`).
"""

import contextlib
import io
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(python|sh|diff)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| +([\d,]+) \| `([\w./]+\.py)` \|", re.MULTILINE)


class Part(NamedTuple):
    """A block of a page: its kind and text, the line that it begins on, and what stands below it."""

    kind: str
    text: str
    line: int
    shown: str | None


def parts(page: str) -> list[Part]:
    """Return the blocks of a page that run."""
    return [Part(f[1], f[2], page.count("\n", 0, f.start(2)), f[3]) for f in BLOCK.finditer(page)]


def new_script(diff: str) -> str:
    """Return what a diff makes."""
    return "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] != "-")


def run(page: str, name: str, change: Callable[[str], str] = str) -> Iterator[tuple[Part, str]]:
    """Run a page's blocks in this folder; yield each with what it printed.

    Args:
        page: Markdown.
        name: what tracebacks call it.
        change: makes of a block what runs in its place, such as less of it.
    """
    names = {"__name__": "page"}
    for part in parts(page):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            if part.kind == "sh":
                _commands(part.text)
            elif saved := re.match(r"# (\w+\.py)\n", part.text):
                Path(saved[1]).write_text(part.text, encoding="utf-8")
            else:
                code = change(new_script(part.text) if part.kind == "diff" else part.text)
                exec(compile("\n" * part.line + code, name, "exec"), names)
        yield part, out.getvalue()


def _commands(text: str) -> None:
    from cunet.cli import main

    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["cunet"] and main(words[1:]):
            raise RuntimeError(f"{line} failed")


def lines_of(file: str) -> int:
    """Return how many lines a file of this tree has."""
    return (ROOT / file).read_text(encoding="utf-8").count("\n")


def written(page: str, name: str) -> str:
    """Return a page with what its programs print, and with lines of files as they are."""
    printed = [text for _, text in run(page, name)]

    def shown(found: re.Match[str]) -> str:
        text = printed.pop(0)
        return found[0] if found[3] is None else f"```{found[1]}\n{found[2]}```\n\n```text\n{text}```\n"

    page = BLOCK.sub(shown, page)
    return ROW.sub(lambda row: f"| {round(lines_of(row[2]), -1):,} | `{row[2]}` |", page)


def main(names: list[str]) -> None:
    """Write the pages anew."""
    for path in map(Path, names):
        page = path.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            page = written(page, str(path))
        path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
