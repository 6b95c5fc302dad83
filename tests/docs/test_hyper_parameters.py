"""What docs/hyper-parameters.md shows is true: its code runs, and finds values that learn."""

from pathlib import Path

import pytest
from sources import programs

pytest.importorskip("optuna")
pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]

PAGE = (Path(__file__).parents[2] / "docs" / "hyper-parameters.md").read_text(encoding="utf-8")


def test_the_code_runs_and_finds_what_learns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(programs(PAGE))
    names = {}
    exec(code, names)
    assert names["found"].best.value < 0.5
    assert len(names["found"].trials) == 12 and (tmp_path / "search.sqlite3").exists()
