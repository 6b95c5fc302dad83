"""Pages are what the results say: each is written again from its results file and compared."""

import re

import pytest

from lab import group, pages
from lab.results import Results, read, word

pytestmark = pytest.mark.cpu_only

WITH_RESULTS = [name for name in group.NAMES if pages.newest(name)]


@pytest.mark.parametrize("name", WITH_RESULTS)
def test_a_page_says_what_its_results_file_says(name):
    """No number on it comes from elsewhere; a program, or results, that changed ask for ``python -m lab --pages``."""
    size, results = pages.newest(name)
    assert (pages.PAGES / f"{name}.md").read_text(encoding="utf-8") == pages.page(name, size, results)
    assert (pages.PAGES / f"{name}.png").stat().st_size < 120_000


@pytest.mark.parametrize("name", WITH_RESULTS)
def test_a_results_file_holds_all_pieces_of_its_size(name):
    for size in ("quick", "full"):
        path = pages.RESULTS / size / f"{name}.jsonl"
        if path.exists():
            assert [row["piece"] for row in read(path)] == group.pieces(name, group.SIZES[size])


@pytest.mark.parametrize("size", ["quick", "full"])
def test_there_is_one_time_for_each_piece(size):
    timed = [(row["group"], row["piece"]) for row in read(pages.RESULTS / size / "times.jsonl")]
    pieces = [
        (path.stem, row["piece"])
        for path in (pages.RESULTS / size).glob("*.jsonl")
        if path.stem != "times"
        for row in read(path)
    ]
    assert sorted(map(str, timed)) == sorted(map(str, pieces))


def test_overview_and_index_say_what_the_results_say():
    assert (pages.PAGES / "README.md").read_text(encoding="utf-8") == pages.overview()
    text = pages.CLAIMS.read_text(encoding="utf-8")
    assert text == pages.index(text)


def test_every_page_has_a_group():
    assert sorted(path.stem for path in pages.PAGES.glob("*.md")) == sorted([*WITH_RESULTS, "README"])
    assert sorted(path.stem for path in pages.PAGES.glob("*.png")) == sorted(WITH_RESULTS)


def test_the_index_gets_its_last_column():
    text = "| N5 | scaled `a`, b | `data/test_a.py::test_b` | old |\n| M8 | words | a matter of wording | |\nN5 | x |"
    text += "\n| item | statement | tests | lab |\n| --- | --- | --- | --- |\n| nothing | of this name | | |"
    entry = pages.entries()["N5"]
    assert re.fullmatch(r"\[[a-z ]+\]\(lab/ravine\.md#n5\)", entry)
    new = pages.index(text).splitlines()
    assert new == [f"| N5 | scaled `a`, b | `data/test_a.py::test_b` | {entry} |", *text.splitlines()[1:]]
    assert pages.index("\n".join(new)) == "\n".join(new)
    named = pages.entries()["BatchRenorm"]
    assert pages.index("| BatchRenorm | words | `a` | |") == f"| BatchRenorm | words | `a` | {named} |"


def test_a_number_that_a_setting_has_not_is_an_empty_cell():
    rows = [{"piece": {"norm": k, "seed": 0}, "found": {"share": k or None, "loss": 1.5}} for k in (0, 2)]
    table = pages.table(Results(rows)).splitlines()
    assert [line.replace(" ", "") for line in table[2:]] == [
        "|0||1.5(nointerval)|",
        "|2|2(nointerval)|1.5(nointerval)|",
    ]


def test_settings_as_words():
    assert [word(v) for v in (True, [1, "a"], 0.1)] == ["yes", "1 a", "0.1"]
