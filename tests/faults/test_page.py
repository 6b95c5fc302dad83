"""docs/faults.md names a test for each thing that goes wrong."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.cpu_only

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`((?:\w+/)+test_\w+\.py)::(test_\w+)`")


def rows():
    """Return the lines of the tables that say what is lost."""
    lines = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("| ") and not line.startswith(("| what happens", "| ---"))]


def cases_of(file):
    """Return the names of a file's tests."""
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_row_names_tests_that_are_there():
    for row in rows():
        named = NAMED.findall(row)
        assert named and all(test in cases_of(file) for file, test in named), row


def test_every_test_of_a_fault_is_on_the_page():
    named = {test for row in rows() for _, test in NAMED.findall(row)}
    here = [f"faults/{path.name}" for path in Path(__file__).parent.glob("test_*.py") if path.name != "test_page.py"]
    assert {test for file in here for test in cases_of(file)} - named == set()
