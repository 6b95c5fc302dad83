"""docs/numpy-functions.md is what the tables say."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from record_helpers import POISONED

import cunet

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import write_numpy_table as table  # noqa: E402

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(POISONED, reason="np.empty is no function of NumPy's then"),
]
PAGE = (ROOT / "docs" / "numpy-functions.md").read_text(encoding="utf-8")
ROWS, CONSTANT, WITHOUT, TAIL = re.split(r"\n\nWhat they give .*:\n\n|\n\nWithout an op:\n\n|(?=\n## )", PAGE)


def test_the_rows_are_those_of_the_tables():
    rows = {re.match(r"\| `(\S+)`", row).group(1): row for row in ROWS.splitlines() if row.startswith("| `")}
    own = table.differentiable()
    newer = set(rows) - set(own)  # where NumPy is older than 2.1
    assert newer <= ({"np.astype"} if not hasattr(np, "astype") else set())
    assert {name: rows[name] for name in own} == own


def test_constants_are_those_of_the_table():
    assert re.findall(r"`(\S+)`", CONSTANT) == table.constant()


def test_what_has_no_op_is_not_in_the_table():
    names = re.findall(r"`(\S+)`", WITHOUT)
    assert len(names) > 50
    assert not set(names) & {*table.differentiable(), *table.constant()}


def test_tests_that_are_left_add_up():
    passed, with_like = map(int, re.search(r"numbers (\d+) pass.* and (\d+)\n", TAIL).groups())
    left = [int(n) for row in TAIL.splitlines() if row.startswith("| ") for n in re.findall(r"(\d+) of ", row)]
    assert passed + sum(left) == 424 and with_like == passed + left[0]


def test_steps_have_slope_0():
    for f in (np.ceil, np.floor, np.rint, np.sign, np.trunc):
        assert (cunet.grad(lambda x, f=f: f(x).sum())(np.array([0.3, -1.7])) == 0).all()
