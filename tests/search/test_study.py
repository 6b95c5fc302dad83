"""Databases of a search: one that goes on must be the same search."""

import pytest

pytest.importorskip("optuna")

from search_helpers import SPACE, bowl, found, rows  # noqa: E402

from cunet.search import Float, search  # noqa: E402

pytestmark = pytest.mark.cpu_only


def test_a_search_goes_on_in_its_file_as_if_it_had_not_been_stopped(tmp_path):
    file = tmp_path / "tried {1} %20?.sqlite3"  # what an address would read as something else
    assert len(found(trials=3, storage=file).trials) == 3
    assert file.stat().st_size > 0
    calls = []
    result = found(lambda trial: calls.append(1) or bowl(trial), 5, storage=file)
    assert len(calls) == 2
    assert rows(result) == rows(found(trials=5))
    assert rows(found(failing_if_called, 5, storage=str(file))) == rows(result)


def failing_if_called(trial):
    raise AssertionError("all trials were made")


OTHERS = [
    ({"space": {**SPACE, "x": Float(-4, 5)}}, r"'x' must be Float\(low=-4, high=4, log=False, step=None\) to go on"),
    ({"space": {**SPACE, "z": [1]}}, r"'z' must be left out to go on with the search 'search', got \[1\]"),
    ({"space": {"x": SPACE["x"]}}, "'y' must be .*, got none; for a new search take another name"),
    ({"mode": "max"}, "mode must be min"),
    ({"seed": 1}, "seed must be 0"),
    ({"method": "random"}, "method must be tpe"),
]


def test_another_search_of_that_name_is_refused(tmp_path):
    file = tmp_path / "search.sqlite3"
    before = rows(found(trials=1, storage=file))
    for changed, text in OTHERS:
        with pytest.raises(ValueError, match=text):
            found(trials=2, storage=file, **changed)
    assert rows(found(trials=1, storage=file)) == before
    assert len(found(trials=2, storage=file, name="another", method="random").trials) == 2


def test_another_kind_of_file_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "weights.bin"
    file.write_bytes(b"not a database " * 100)
    with pytest.raises(
        ValueError, match="storage must be a file of SQLite or the address of a database, got .*weights"
    ):
        found(storage=file)
    assert file.read_bytes() == b"not a database " * 100
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        found(storage=tmp_path / "missing" / "search.sqlite3")


def test_the_default_is_a_file_in_this_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    search(bowl, SPACE, trials=1)
    assert [path.name for path in tmp_path.iterdir()] == ["search.sqlite3"]
