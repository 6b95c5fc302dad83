"""docs/api: every public module has its page, and what it holds is shown."""

import re
import runpy
from pathlib import Path

import pytest
from public_objects import ELSEWHERE, public_modules

pytestmark = pytest.mark.cpu_only

PAGES = Path(__file__).parents[2] / "docs" / "api"


@pytest.fixture(scope="module")
def settings():
    return runpy.run_path(str(PAGES.parent / "conf.py"))


def test_every_public_module_has_its_page_and_no_other():
    assert {page.stem for page in PAGES.glob("*.md")} == public_modules() - ELSEWHERE
    for page in PAGES.glob("*.md"):
        assert re.findall(r"automodule:: (\S+)", page.read_text(encoding="utf-8")) == [page.stem]


def test_members_of_bases_that_are_on_no_page_stand_with_the_class_that_is(settings):
    stops = set(settings["autodoc_default_options"]["inherited-members"].split(","))
    assert {"Module", "Callback", "Optimizer", "list", "object"} <= stops  # these have pages of their own
    assert (
        not {"ArrayMethods", "Scaler", "Evaluator", "Monitor"} & stops
    )  # bases of Tensor, StandardScaler, Trainer, ...


def test_what_is_said_of_several_attributes_is_said_of_each(settings):
    lines = ["Say so.", "", ":ivar real, imag: the parts,", "             of one shape.", ":ivar size: how many."]
    settings["each"](None, "class", "name", None, None, lines)
    both = [f":ivar {name}: the parts,\n             of one shape." for name in ("real", "imag")]
    assert "\n".join(lines[2:]) == "\n".join([*both, ":ivar size: how many."])
