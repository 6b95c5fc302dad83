"""Workers in processes of their own, killed and not, on SQLite and on PostgreSQL."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("optuna")

from postgresql import server  # noqa: E402
from search_helpers import SPACE, failing, found, rows, seeded, waiting_once  # noqa: E402

from cunet.search.processes import run_workers  # noqa: E402
from cunet.search.space import checked_space  # noqa: E402
from cunet.search.study import Job  # noqa: E402

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]

TESTS = Path(__file__).parents[1]


@pytest.fixture
def flag(tmp_path, monkeypatch):
    monkeypatch.setenv("CUNET_TEST_FLAG", str(tmp_path / "flag"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(TESTS.parent)]))
    return tmp_path / "flag"


def wait_for(happened, seconds=60):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def check(result):
    """Check that one of five trials was lost and made again, and that all are what they would have been."""
    assert sorted(trial.state for trial in result.trials) == ["complete"] * 5 + ["lost"]
    lost = next(trial for trial in result.trials if trial.state == "lost")
    assert lost.number == 2
    assert [trial.params for trial in result.trials].count(lost.params) == 2
    assert sorted(rows(result)) == sorted(rows(found(seeded, 5, method="random")))


def test_a_program_that_is_killed_goes_on_as_if_nothing_had_happened(flag, tmp_path):
    options = {"storage": str(tmp_path / "search.sqlite3"), "heartbeat": 1, "method": "random"}
    code = f"from search_helpers import *; found(waiting_once, 5, **{options})"
    program = subprocess.Popen([sys.executable, "-W", "error", "-c", code])
    try:
        wait_for(lambda: flag.exists() or program.poll() is not None)
    finally:
        program.kill()
    assert program.wait() == -signal.SIGKILL
    result = found(waiting_once, 5, **options)
    check(result)
    assert rows(found(failing, 5, **options)) == rows(result)  # nothing is left to be made


@contextlib.contextmanager
def database(kind, folder):
    """Yield where trials are kept: a file, or the address of a server."""
    if kind == "sqlite":
        yield str(folder / "search.sqlite3")
        return
    pytest.importorskip("psycopg")
    with server() as address:
        yield address


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_when_one_of_two_workers_is_killed_the_other_does_its_trial(kind, flag, tmp_path, recwarn):
    def kill():
        wait_for(lambda: flag.exists() and flag.read_text())
        os.kill(int(flag.read_text()), signal.SIGKILL)

    with database(kind, tmp_path) as storage:
        options = {"storage": storage, "heartbeat": 1, "method": "random"}
        killer = threading.Thread(target=kill)
        killer.start()
        result = found(waiting_once, 5, workers=2, **options)
        killer.join()
        check(result)
        assert rows(found(failing, 5, **options)) == rows(result)
    assert ["a worker was killed (exit status -9)" in str(warning.message) for warning in recwarn] == [True]
    assert "CUNET_NUM_THREADS" not in os.environ


def test_an_error_in_a_worker_ends_the_search(flag, tmp_path):
    space, file = checked_space(SPACE), str(tmp_path / "search.sqlite3")
    with pytest.raises(RuntimeError, match="a worker ended with the error above"):
        run_workers(Job(failing, space, 4, "random", "min", 0, None, file, "search", 15, 1, ()), 1)
    assert multiprocessing.active_children() == []
