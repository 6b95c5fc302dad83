"""The records in docs/decisions: all in the index, dated, whole, and naming files that are there."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.cpu_only

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "decisions"
RECORDS = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("0*.md"))}
NAMED = re.compile(r"(?<![\w.~/-])(?:cunet|tests|sim|tools|docs|records)/[\w./-]*\w")


def test_the_index_has_every_record_with_its_title_and_date():
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{4}) \| \[(.*)\]\((.*)\) \| (.*) \|$", index, re.MULTILINE)
    found = []
    for name, text in RECORDS.items():
        title, date = re.match(r"# (.*)\n\nDate: (\d{4}-\d\d-\d\d)", text).groups()
        found.append((name[:4], title, name, date))
    assert rows == found
    assert [int(number) for number, *_ in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_says_why_and_what_and_names_files_that_are_there(name):
    text = RECORDS[name]
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[:2] == ["Context", "Decision"]
    assert set(headings[2:]) <= {"Measured", "Cost", "Dropped", "Alternatives"}
    assert [place for place in NAMED.findall(text) if not (ROOT / place).exists()] == []
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert [link for link in links if not (FOLDER / link).exists()] == []
