"""The site of docs/: each page is in a menu, or in the list of a page that is."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.cpu_only

DOCS = Path(__file__).parents[2] / "docs"


def menus():
    """Return the pages that docs/index.md lists."""
    blocks = re.findall(r"^```\{toctree\}\n(.*?)^```", (DOCS / "index.md").read_text(encoding="utf-8"), re.M | re.S)
    names = [line.strip("/") for block in blocks for line in block.splitlines() if line and line[0] != ":"]
    return {path for name in names for path in DOCS.glob(f"{name}.md")}


def test_each_page_can_be_reached():
    listed = menus()
    links = {
        (page.parent / link).resolve()
        for page in listed
        for link in re.findall(r"\]\(([\w./-]+\.md)", page.read_text(encoding="utf-8"))
    }
    assert len(listed) > 40
    built = set((DOCS / "_build").rglob("*"))
    assert set(DOCS.rglob("*.md")) - built - listed - links - {DOCS / "index.md"} == set()
