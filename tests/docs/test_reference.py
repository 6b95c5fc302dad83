"""docs/api: every public module has its page."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.cpu_only

PAGES = Path(__file__).parents[2] / "docs" / "api"
#: Modules whose names stand on another page: those of `optim`, and switches without functions.
ELSEWHERE = {"cunet.optim.lr_scheduler", "cunet.native"}
#: Modules that are imported by their own name.
BESIDE = ["cunet", "cunet.sklearn", "cunet.testing"]


def public_modules():
    names, left = set(), [importlib.import_module(name) for name in BESIDE]
    while left:
        module = left.pop()
        names.add(module.__name__)
        inner = [getattr(module, name) for name in getattr(module, "__all__", ())]
        left += [m for m in inner if isinstance(m, ModuleType) and m.__name__ not in names]
    return names


def test_every_public_module_has_its_page_and_no_other():
    assert {page.stem for page in PAGES.glob("*.md")} == public_modules() - ELSEWHERE
    for page in PAGES.glob("*.md"):
        assert re.findall(r"automodule:: (\S+)", page.read_text(encoding="utf-8")) == [page.stem]
