"""The example of scaled features: what it predicts is what it counts."""

import re
import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "feature_scaling.py"


@pytest.mark.cpu_only
def test_scaling_turns_a_ravine_into_a_bowl(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["feature_scaling.py"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    out = capsys.readouterr().out
    rows = {line[:14].strip(): re.split(r"\s+", line[14:].strip(), maxsplit=3) for line in out.splitlines()[1:]}
    condition = {name: float(row[0]) for name, row in rows.items()}
    assert condition["as they are"] > 1e9
    assert condition["min-max"] < 100
    assert condition["standardised"] < 1.2
    assert condition["whitened"] == pytest.approx(1, abs=1e-9)
    for name in ("min-max", "standardised", "whitened"):
        needed, made = (int(row.replace(",", "")) for row in rows[name][2:])
        assert made <= needed  # the bound is that of the worst start
        assert needed < 200
    assert int(rows["as they are"][2].replace(",", "")) > 1e9
    assert rows["as they are"][3] == "over 1000"
