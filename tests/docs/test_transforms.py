"""Pages of transforms are true: their programs print what they show; and there is one for each transform."""

import re

import pytest
import run_pages
from run_pages import ROOT

import cunet
from cunet.kernels.calculus.functions import FUNCTIONS
from cunet.system.public import origin

DOCS = ROOT / "docs"
OVERVIEW, KERNEL = DOCS / "derivatives.md", DOCS / "your-kernel-differentiated.md"
PAGES = {path.stem: path for path in [OVERVIEW, KERNEL, *sorted((DOCS / "transforms").glob("*.md"))]}


@pytest.mark.parametrize(
    "page", [pytest.param(p, marks=() if p == KERNEL.stem else pytest.mark.cpu_only) for p in PAGES]
)
def test_a_page_runs_and_prints_what_it_shows(page):
    for part, printed in run_pages.run(PAGES[page].read_text(encoding="utf-8"), page):
        if part.shown is not None:
            assert printed.split() == part.shown.split(), part.text


@pytest.mark.cpu_only
def test_every_transform_has_its_page_and_the_overview_names_it():
    named = re.findall(r"\| \[([\w, ]+)\]\(transforms/([\w-]+\.md)\) \|$", OVERVIEW.read_text(encoding="utf-8"), re.M)
    assert {file for _, file in named} == {path.name for path in (DOCS / "transforms").glob("*.md")}
    for title, file in named:
        text = (DOCS / "transforms" / file).read_text(encoding="utf-8")
        assert text.startswith(f"# {title}\n") and len(run_pages.parts(text)) > 0
    pages = ", ".join(title for title, _ in named).split(", ")
    rooms = {f"cunet.autograd.{room}" for room in ("custom", "derivatives", "implicit", "transforms", "vmap")}
    assert {name for name in dir(cunet) if origin(getattr(cunet, name)) in rooms} <= set(pages)


@pytest.mark.cpu_only
def test_the_functions_of_texts_are_those_that_the_page_lists():
    rows = re.findall(r"^\| functions.*|^\| for derivatives.*", KERNEL.read_text(encoding="utf-8"), re.M)
    listed = set(re.findall(r"\b[a-z][a-z0-9]*\b", " ".join(rows)))
    known = {
        name for name in FUNCTIONS if not name.startswith("cunet_") and " " not in name and not FUNCTIONS[name].same
    }
    assert known <= listed
