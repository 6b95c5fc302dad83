"""No long files, no long functions."""

import ast

import pytest
from sources import ROOT, parse

pytestmark = pytest.mark.cpu_only

FILES = {
    path.relative_to(ROOT).as_posix(): path
    for folder in ("cunet", "examples", "lab", "sim", "tests", "tools")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
LONGEST_FILE, LONGEST_FUNCTION = 300, 40


def functions(path):
    """Yield (name, lines) of each function of a file; decorators and docstring are not counted."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            yield node.name, lines


def test_no_file_is_longer_than_300_lines():
    found = {name for name, path in FILES.items() if path.read_text(encoding="utf-8").count("\n") > LONGEST_FILE}
    assert not found, "split them"


@pytest.mark.slow
def test_no_function_is_longer_than_40_lines():
    found = {
        f"{name}::{function}"
        for name, path in FILES.items()
        for function, lines in functions(path)
        if lines > LONGEST_FUNCTION
    }
    assert not found, "split them"
