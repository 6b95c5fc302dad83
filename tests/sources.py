"""The sources of this tree as syntax, and the programs on its pages: what tests of rules about them share."""

import ast
import functools
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def module_name(path):
    """Return the dotted name of a file of the tree; a package has that of its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


#: dotted name -> file, of all modules of cunet
MODULES = {module_name(path): path for path in sorted((ROOT / "cunet").rglob("*.py"))}


@functools.cache
def parse(path):
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """Yield (level, absolute dotted name) of everything that a file imports, wherever in it, annotations included."""
    here = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: -node.level], *([node.module] if node.module else [])] if node.level else [node.module]
            yield from ((node.level, ".".join([*base, alias.name])) for alias in node.names)


def imported_modules(path):
    """Return the modules of cunet that a file imports, or imports names from."""
    found = {name if name in MODULES else name.rpartition(".")[0] for _, name in imports(path)}
    return {name for name in found if name in MODULES}


def circles(graph):
    """Return the sets of nodes that reach each other, of a graph ``{node: nodes it points to}``."""

    def reach(start):
        seen, todo = set(), [start]
        while todo:
            new = graph[todo.pop()] - seen
            seen |= new
            todo += new
        return seen

    reached = {node: reach(node) for node in graph}
    return {frozenset(n for n in reached[node] if node in reached[n]) for node in graph if node in reached[node]}


def programs(page):
    """Return the Python programs on a page of Markdown."""
    return re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
