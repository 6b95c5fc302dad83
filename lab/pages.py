"""Writes docs/lab/ and the last column of docs/claims.md from results; no number on a page has another source."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np

from . import figures
from .findings import Finding
from .group import NAMES, load
from .results import Results, read, word

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "lab" / "results"
PAGES = ROOT / "docs" / "lab"
CLAIMS = ROOT / "docs" / "claims.md"


def newest(name: str) -> tuple[str, Results] | None:
    """Return the results of a group and their size, full ones where they are; None if there are none."""
    for size in ("full", "quick"):
        path = RESULTS / size / f"{name}.jsonl"
        if path.exists():
            return size, Results(read(path))
    return None


def findings(name: str) -> list[Finding]:
    """Return what is found in the results of a group."""
    found = newest(name)
    return load(name).findings(found[1]) if found else []


def title(name: str) -> str:
    """Return the title of a group's page."""
    return (load(name).__doc__ or name).partition("\n")[0].rstrip(".")


def page(name: str, size: str, results: Results) -> str:
    """Return the text of a group's page."""
    body = (load(name).__doc__ or "").partition("\n")[2].strip()
    seeds = sorted({row["piece"]["seed"] for row in results.rows})
    option = " --quick" if size == "quick" else ""
    parts = [
        f"# {title(name)}",
        body,
        f"Size {size}: {len(results.rows)} pieces, seeds {seeds[0]} to {seeds[-1]}, {spent(name, size)}. Numbers are"
        " means over the seeds with their intervals of 95 % in brackets. Again:",
        f"```sh\npython -m lab{option} {name}\n```",
        f"![{title(name)}]({name}.png)",
        *(section(finding) for finding in load(name).findings(results)),
        f"## All numbers\n\n{table(results)}",
        f"Written from `lab/results/{size}/{name}.jsonl` by `lab/groups/{name}.py`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def section(finding: Finding) -> str:
    """Return what a page says about a claim."""
    verdict = f"**{finding.verdict}**" + ("" if finding.wording else f" ({finding.certainty})")
    parts = [f"## {finding.item}", finding.says, f"`{finding.formula}`", finding.measured, f"Verdict: {verdict}."]
    return "\n\n".join(part for part in parts if part != "``")


def table(results: Results) -> str:
    """Return the means of all numbers by setting; what is the same in all settings stands above."""
    settings = list(results.settings())
    shared = {k: v for k, v in settings[0][0].items() if all(s.get(k) == v for s, _ in settings)}
    names = [k for k in settings[0][0] if k not in shared]
    columns = [k for k, v in settings[0][1].rows[0]["found"].items() if not isinstance(v, list)]
    above = ", ".join(f"{k} {word(v)}" for k, v in shared.items())
    rows = [[*names, *columns], ["---"] * (len(names) + len(columns))]
    for setting, part in settings:
        rows.append([*(word(setting[k]) for k in names), *(_cell(part, k) for k in columns)])
    lines = "\n".join("| " + " | ".join(cell.replace("_", " ") for cell in row) + " |" for row in rows)
    return (f"In all: {above}.\n\n" if above else "") + lines


def _cell(results: Results, key: str) -> str:
    """Return the mean of a number and its interval, as words; none of what a setting has not."""
    return "" if np.isnan(results.values(key)).all() else f"{results.interval(key):.3g}"


def spent(name: str, size: str) -> str:
    """Return how much time of a processor the pieces of a group took, and of which."""
    rows = [row for row in read(RESULTS / size / "times.jsonl") if row["group"] == name]
    machines = "; ".join(dict.fromkeys(row["machine"] for row in rows))
    return f"{sum(row['seconds'] for row in rows):.0f} s of processor time on {machines}"


def overview() -> str:
    """Return the text of docs/lab/README.md."""
    head = (ROOT / "lab" / "overview.md").read_text(encoding="utf-8").strip()
    took = {size: sum(row["seconds"] for row in read(RESULTS / size / "times.jsonl")) for size in ("quick", "full")}
    times = ", the ".join(f"{size} pieces took {seconds:.0f} s" for size, seconds in took.items() if seconds)
    lines = ["| group | size | what | verdict | certainty |", "| --- | --- | --- | --- | --- |"]
    verdicts: Counter[str] = Counter()
    for name in NAMES:
        size, results = newest(name) or ("", Results([]))
        for finding in load(name).findings(results) if size else []:
            verdicts[finding.verdict] += 1
            certainty = "" if finding.wording else finding.certainty
            lines.append(f"| [{title(name)}]({name}.md) | {size} | {finding.item} | {finding.verdict} | {certainty} |")
    counted = ", ".join(f"{verdict} {count}" for verdict, count in sorted(verdicts.items()))
    idle = ", ".join(f"`{name}`" for name in NAMES if not newest(name))
    rest = f" Groups that have no results yet: {idle}." if idle else ""
    rows = "\n".join(lines)
    return f"{head}\n\nOf {verdicts.total()} findings: {counted}. The {times} of processor time.{rest}\n\n{rows}\n"


def entries() -> dict[str, str]:
    """Return {item: its entries in the lab, as links under the verdicts}."""
    cells: dict[str, list[str]] = {}
    for name in NAMES:
        for finding in findings(name):
            cells.setdefault(finding.item, []).append(f"[{finding.verdict}](lab/{name}.md#{finding.item.lower()})")
    return {item: ", ".join(links) for item, links in cells.items()}


def index(text: str) -> str:
    """Return docs/claims.md with its last column as the results have it."""
    cells = entries()

    def row(match: re.Match[str]) -> str:
        return f"{match[1]} {cells.get(match[2], '')} |".replace("|  |", "| |")

    return re.sub(r"^(\| (?!item )(\w+) \|.*\|.*\|)[^|]*\|$", row, text, flags=re.MULTILINE)


def write(names: tuple[str, ...] = NAMES) -> None:
    """Write the pages and figures of groups that have results, the overview and the index."""
    for name in names:
        found = newest(name)
        if found:
            PAGES.mkdir(parents=True, exist_ok=True)
            (PAGES / f"{name}.md").write_text(page(name, *found), encoding="utf-8")
            figures.save(load(name).draw(found[1]), PAGES / f"{name}.png")
    (PAGES / "README.md").write_text(overview(), encoding="utf-8")
    CLAIMS.write_text(index(CLAIMS.read_text(encoding="utf-8")), encoding="utf-8")
