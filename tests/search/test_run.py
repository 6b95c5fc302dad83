"""Arguments of search, refused before anything is tried."""

import numpy as np
import pytest

pytest.importorskip("optuna")

from search_helpers import bowl, found, rows  # noqa: E402

pytestmark = pytest.mark.cpu_only


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"trials": 0}, ValueError, "search: trials must be at least 1, got 0"),
        ({"trials": None}, TypeError, "search: trials must be a whole number, got None"),
        ({"workers": 0}, ValueError, "search: workers must be at least 1, got 0"),
        ({"workers": 2}, ValueError, "search: workers=2 need a storage that they share, got None"),
        ({"heartbeat": 0.5}, TypeError, "search: heartbeat must be a whole number, got 0.5"),
        ({"mode": "minimize"}, ValueError, 'search: mode must be "min" or "max", got \'minimize\''),
        ({"method": "sobol"}, ValueError, "search: method must be one of"),
        ({"pruner": "mean"}, ValueError, "search: pruner must be one of"),
        ({"seed": -1}, ValueError, "search: seed must not be negative, got -1"),
        ({"seed": None}, TypeError, "search: seed must be a whole number, got None"),
        ({"retries": -1}, ValueError, "search: retries must not be negative, got -1"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_wrong_arguments_are_named(options, kind, text):
    with pytest.raises(kind) as error:
        found(lambda trial: pytest.fail("nothing may be tried"), **options)
    assert str(error.value).startswith(text)


@pytest.mark.parametrize("value", [None, "1.0 or so", [1.0], {"loss": 1}], ids=repr)
def test_build_must_return_a_number(value):
    with pytest.raises(TypeError, match=r"search: build must return a number, such as .*, got " + type(value).__name__):
        found(lambda trial: value, 1)


def test_workers_need_a_function_that_they_can_import(tmp_path):
    with pytest.raises(TypeError, match="build must be a function at the top of a module where workers=2"):
        found(lambda trial: bowl(trial), 2, workers=2, storage=tmp_path / "search.sqlite3")


def test_numpys_integers_are_whole_numbers():
    assert rows(found(trials=np.int32(4), seed=np.int64(3))) == rows(found(trials=4, seed=3))
