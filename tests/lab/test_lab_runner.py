"""Pieces in processes: resumed, in order, the same again; errors come with their text."""

import json
import time

import pytest

from lab import __main__, group, runner

pytestmark = pytest.mark.cpu_only

TINY = group.SIZES["tiny"]


@pytest.mark.slow
def test_a_group_is_resumed_and_the_file_is_the_same_again(tmp_path, monkeypatch, capsys):
    wanted = group.pieces("ravine", TINY)[:3]
    monkeypatch.setattr(runner, "pieces", lambda *args: wanted)
    path = runner.run("ravine", TINY, tmp_path / "a", jobs=2)
    lines = path.read_text().splitlines()
    assert [json.loads(line)["piece"] for line in lines] == wanted
    assert "seconds" not in path.read_text()
    times = (tmp_path / "a" / "times.jsonl").read_text().splitlines()
    assert sorted(json.loads(row)["piece"]["features"] for row in times) == sorted(
        json.loads(line)["piece"]["features"] for line in lines
    )
    other = tmp_path / "b" / "ravine.jsonl"
    other.parent.mkdir()
    other.write_text("\n".join([lines[2], lines[0][:40]]))  # a run that was killed while it wrote a line
    made = []
    alone = runner.alone
    monkeypatch.setattr(runner, "alone", lambda name, piece: made.append(piece) or alone(name, piece))
    runner.run("ravine", TINY, other.parent, jobs=1)
    assert made == [json.loads(line)["piece"] for line in lines[:2]]
    assert other.read_text() == path.read_text()


def test_what_is_there_is_not_run_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "alone", lambda name, piece: ({"loss": piece["seed"]}, 0.1))
    path = runner.run("ravine", TINY, tmp_path, seed=3)
    before = path.read_text()
    monkeypatch.setattr(runner, "alone", None)
    assert runner.run("ravine", TINY, tmp_path, seed=3).read_text() == before
    assert capsys.readouterr().out.endswith(f"ravine: all 5 pieces are in {path} already\n")
    assert [json.loads(line)["found"] for line in before.splitlines()] == [{"loss": 3}] * 5


def test_times_of_a_group_that_is_run_anew_are_not_counted_twice(tmp_path, monkeypatch):
    for name, seconds in (("ravine", 1.0), ("rates", 1.0), ("ravine", 2.0)):
        monkeypatch.setattr(runner, "alone", lambda name, piece, seconds=seconds: ({"loss": 0}, seconds))
        (tmp_path / f"{name}.jsonl").unlink(missing_ok=True)
        runner.run(name, TINY, tmp_path)
    monkeypatch.setattr(runner, "pieces", lambda *args: group.pieces("ravine", TINY)[:2])  # settings that changed
    runner.run("ravine", TINY, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "times.jsonl").read_text().splitlines()]
    assert [row["seconds"] for row in rows if row["group"] == "ravine"] == [2.0, 2.0]
    assert [row["seconds"] for row in rows if row["group"] == "rates"] == [1.0] * len(group.pieces("rates", TINY))


@pytest.mark.slow
def test_a_piece_that_fails_says_why_and_leaves_the_others(tmp_path, monkeypatch):
    good, bad = group.pieces("ravine", TINY)[:2]
    bad = {**bad, "features": "nonsense"}
    monkeypatch.setattr(runner, "pieces", lambda *args: [bad, good])
    with pytest.raises(runner.PieceFailed, match="(?s)ravine: .*'nonsense'.*KeyError"):
        runner.run("ravine", TINY, tmp_path, jobs=1)
    assert len((tmp_path / "ravine.jsonl").read_text().splitlines()) == 1


def test_the_command_line(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(__main__, "run", lambda name, size, folder, **options: calls.append((name, size.name, options)))
    __main__.main(["--quick", "rates", "--out", "x", "--seed", "7", "--jobs", "1"])
    assert calls == [("rates", "quick", {"seed": 7, "jobs": 1})]
    for wrong in (["nonsense"], ["--seed", "7"]):
        with pytest.raises(SystemExit):
            __main__.main(wrong)
    assert "no group 'nonsense'; there are ravine" in capsys.readouterr().err


def test_ctrl_c_starts_no_further_piece_and_loses_none(tmp_path, monkeypatch):
    made = []

    def alone(name, piece):
        made.append(piece)
        if len(made) == 2:
            raise KeyboardInterrupt
        time.sleep(0.5)
        return {"loss": 1.0}, 0.5

    monkeypatch.setattr(runner, "alone", alone)
    with pytest.raises(KeyboardInterrupt):
        runner.run("ravine", TINY, tmp_path, jobs=1)
    assert len(made) <= 3  # the one thread may have taken another before it was told
    assert len((tmp_path / "ravine.jsonl").read_text().splitlines()) == 1
