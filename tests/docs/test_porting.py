"""docs/tutorials/porting.md: both scripts of its diff run, and say the same with the same weights."""

import sys

import numpy as np
import pytest
from run_pages import ROOT, new_script, parts

import cunet

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]

PAGE = (ROOT / "docs" / "tutorials" / "porting.md").read_text(encoding="utf-8")


def old_script(diff):
    return "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] != "+")


def removed(diff):
    return "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] == "-")


def test_both_scripts_run_and_their_nets_say_the_same(capsys):
    pytest.importorskip("sklearn")
    torch = pytest.importorskip("torch")
    (diff,) = (part.text for part in parts(PAGE) if part.kind == "diff")
    theirs, ours = {"__name__": "theirs"}, {"__name__": "ours"}
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        exec(compile(old_script(diff), "theirs", "exec"), theirs)
    finally:
        torch.set_num_threads(threads)
    exec(compile(new_script(diff), "ours", "exec"), ours)
    assert all(float(accuracy) > 0.95 for accuracy in capsys.readouterr().out.split())
    ours["model"].load_state_dict(theirs["model"].state_dict())
    np.testing.assert_array_equal(ours["x_test"], theirs["x_test"].numpy())
    with cunet.no_grad():
        scores = ours["model"](ours["x_test"]).data
    np.testing.assert_allclose(scores, theirs["scores"].numpy(), rtol=1e-4, atol=1e-4)
    assert sys.modules.get("ours") is None


def test_as_many_lines_change_as_the_page_says():
    (diff,) = (part.text for part in parts(PAGE) if part.kind == "diff")
    changed, lines = (len(list(filter(str.strip, text.splitlines()))) for text in (removed(diff), old_script(diff)))
    assert f"{changed} of its {lines} lines change" in PAGE.replace("\n", " ")
