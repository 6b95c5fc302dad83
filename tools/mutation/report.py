"""What became of the mutants, as a table, and the list of those that no test can tell from the original."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

EQUIVALENTS = Path(__file__).parents[1] / "mutation_equivalents.toml"
KILLED, SURVIVED, NOT_VIABLE = "killed", "survived", "not viable"


def known_equivalents(file: Path = EQUIVALENTS) -> dict[str, str]:
    """Return the mutants that no test can tell from the original, with the reason."""
    groups = tomllib.loads(file.read_text())["equivalent"] if file.exists() else []
    return {mutant: group["reason"] for group in groups for mutant in group["mutants"]}


def summary(results: dict[str, Any], equivalents: dict[str, str]) -> tuple[str, float]:
    """Return a Markdown table of the results, and the percentage of mutants killed."""
    lines = [
        "| kernel | mutants | killed | equivalent | survived | not viable |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    total, left = [0] * 5, []
    for name, entry in sorted(results.items()):
        same = [m for m in entry[SURVIVED] if m in equivalents]
        left += [m for m in entry[SURVIVED] if m not in equivalents]
        numbers = [entry[KILLED] + len(entry[SURVIVED]), entry[KILLED], len(same), len(entry[SURVIVED]) - len(same)]
        numbers.append(len(entry[NOT_VIABLE]))
        total = [t + n for t, n in zip(total, numbers, strict=True)]
        lines.append(f"| {name} | " + " | ".join(map(str, numbers)) + " |")
    lines.append("| all | " + " | ".join(map(str, total)) + " |")
    share = 100 * total[1] / max(total[0] - total[2], 1)
    lines += ["", f"{share:.1f} % of those that are not equivalent were killed"]
    lines += [f", {100 * total[1] / max(total[0], 1):.1f} % of all that compile."]
    return "\n".join([*lines[:-2], lines[-2] + lines[-1], *(["", "Survivors:", ""] if left else []), *left]), share


def stale(results: dict[str, Any], equivalents: dict[str, str]) -> list[str]:
    """Return the mutants of these kernels that are listed as equivalent, and were killed or are no more."""
    survivors = {m for entry in results.values() for m in entry[SURVIVED]}
    parts = ("operation", "map", "reduce", "post", "identity", "preamble", "text")
    kernels = {
        f"{name.removesuffix(' preamble')}.{part}"
        for name in results
        for part in parts
        if (part == "preamble") == name.endswith(" preamble")
    }
    return [m for m in equivalents if m.split(":")[0] in kernels and m not in survivors]
