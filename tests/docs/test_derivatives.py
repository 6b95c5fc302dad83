"""What docs/derivatives.md shows is true on each route."""

import re
from pathlib import Path

from sources import programs

from cunet import device as backend
from cunet.kernels.calculus.functions import FUNCTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "derivatives.md").read_text(encoding="utf-8")


def test_the_program_runs(dev, monkeypatch):
    blocks = programs(PAGE)
    assert len(blocks) > 12
    exec(compile("\n".join(blocks), "docs/derivatives.md", "exec"), {"__name__": "page"})
    assert backend.is_array(dev([1.0]))


def test_the_functions_of_texts_are_those_that_the_page_lists():
    listed = set(
        re.findall(r"\b[a-z][a-z0-9]*\b", " ".join(re.findall(r"^\| functions.*|^\| for derivatives.*", PAGE, re.M)))
    )
    known = {
        name for name in FUNCTIONS if not name.startswith("cunet_") and " " not in name and not FUNCTIONS[name].same
    }
    assert known <= listed
