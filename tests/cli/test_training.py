"""`cunet train` and `cunet resume`: what is kept, and what Ctrl-C and SIGTERM leave."""

import json
import re

import pytest
from cli_helpers import asked
from native_helpers import once

from cunet.cli import main
from cunet.system.files import load_arrays

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]

SHORT = ["train", "mine:make", "--epochs", "3"]


def bits(path):
    return {name: array.tobytes() for name, array in load_arrays(path).items()}


def test_a_run_is_a_folder(here, capsys):
    found = asked(capsys, *SHORT, "--width", "5", "--seed", "4")
    assert found["run"] == "runs/mine.make" and found["epoch"] == found["epochs"] == 3
    assert [logs["epoch"] for logs in found["history"]] == [1, 2, 3] and not found["interrupted"]
    kept = json.loads((here / "runs/mine.make/run.json").read_text())
    assert kept["recipe"] == "mine:make" and kept["seed"] == 4 and kept["settings"]["width"] == 5
    assert load_arrays(here / found["weights"])["0.weight"].shape == (5, 9)


def test_people_see_the_net_the_epochs_and_where_it_all_went(here, capsys):
    assert main([*SHORT, "--out", "out"]) == 0
    text = capsys.readouterr().out
    assert "(0): Linear(9, 8)" in text and "mine:make on the cpu, in out" in text
    assert re.search(r"^ +3/3 ", text, re.MULTILINE)
    assert text.endswith("weights written to out/weights.safetensors\n")
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("number", ["2", "15"], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("step", [4, 6], ids=["within", "at the end"])
def test_a_run_that_is_stopped_goes_on_to_the_bit(number, step, here, capsys):
    stop = ["--stop", str(step), "--number", number]
    found = asked(capsys, *SHORT, *stop, status=130)
    assert found["interrupted"] and found["epoch"] == 1
    again = asked(capsys, "resume", "runs/mine.make")
    assert again["epoch"] == 3 and not again["interrupted"]
    whole = asked(capsys, *SHORT, *stop, "--out", "whole")  # which does not stop a second time
    assert bits(here / again["weights"]) == bits(here / whole["weights"])
    for logs in (*again["history"], *whole["history"]):
        for name in ("seconds", "samples_per_second", "complete"):
            del logs[name]
    assert again["history"] == whole["history"]


def test_people_are_told_how_a_run_goes_on(here, capsys):
    assert main([*SHORT, "--stop", "3"]) == 130
    assert capsys.readouterr().out.endswith("stopped in epoch 1 of 3; cunet resume runs/mine.make goes on\n")


@once
def test_a_page_is_written_that_shows_the_run(here, capsys):
    pytest.importorskip("matplotlib")
    asked(capsys, *SHORT, "--stop", "4", "--report", "run.html", status=130)
    assert "stopped by Ctrl-C" in (here / "run.html").read_text()
    asked(capsys, "resume", "runs/mine.make", "--report", "again.html")
    text = (here / "again.html").read_text()
    assert "Epoch 3" in text and "done \N{MIDDLE DOT}" in text


def test_a_run_at_its_end_stays_what_it_is(here, capsys):
    first = asked(capsys, *SHORT)
    before = bits(here / first["weights"])
    assert asked(capsys, "resume", "runs/mine.make")["history"] == first["history"]
    assert bits(here / first["weights"]) == before


def test_a_folder_that_holds_a_run_is_not_trained_in(here, capsys):
    asked(capsys, *SHORT)
    assert main([*SHORT, "--seed", "9"]) == 1
    said = capsys.readouterr().err
    assert "runs/mine.make holds a run: cunet resume runs/mine.make goes on with it" in said


def test_a_recipe_that_fails_leaves_no_folder(here, capsys):
    assert main(["train", "mine:wrong"]) == 1
    assert "mine:wrong must return a Trainer" in capsys.readouterr().err
    assert not (here / "runs").exists()
