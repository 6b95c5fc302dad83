"""The example of search: methods are compared with as many trials each, from the same seeds."""

import re
import runpy
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("optuna")
pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "examples" / "search.py"
ARGUMENTS = ["--data", "digits", "--trials", "3", "--seeds", "2", "--epochs", "1", "--train", "200"]


def test_methods_are_compared_at_equal_budget(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["search.py", *ARGUMENTS])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    out = capsys.readouterr().out
    rows = re.findall(r"^seed (\d), (random|tpe) +([\d.]+) in 3 trials$", out, re.MULTILINE)
    assert [row[:2] for row in rows] == [("0", "random"), ("0", "tpe"), ("1", "random"), ("1", "tpe")]
    assert rows[0][2] == rows[1][2]  # so few trials are drawn by chance by both
    assert re.search(r"^tpe +[\d.]+ +[\d.]+ +0 of 2$", out, re.MULTILINE)
