"""Workers that are stopped: no trial is lost, and none is made twice too many."""

import dataclasses
import os
import signal

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")

from search_helpers import SPACE, found, rows, seeded  # noqa: E402

from cunet import nn, optim  # noqa: E402
from cunet.search import study as study_module  # noqa: E402
from cunet.search.result import result_of  # noqa: E402
from cunet.search.space import checked_space  # noqa: E402
from cunet.search.study import Job  # noqa: E402
from cunet.search.worker import Worker  # noqa: E402
from cunet.train import Callback, Trainer  # noqa: E402

pytestmark = pytest.mark.cpu_only

STATES = optuna.trial.TrialState


def worker_of(build=seeded, trials=4, method="random", space=SPACE, retries=1):
    """Return a worker whose search is kept in memory; to `run` it again is to go on."""
    return Worker(Job(build, checked_space(space), trials, method, "min", 0, None, None, "search", 1, retries, ()))


def interrupting(error, at):
    """Return a build whose trial of the number `at` raises the first time."""
    raised = []

    def build(trial):
        if trial.number == at and not raised:
            raised.append(1)
            raise error
        return seeded(trial)

    return build


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a mistake")], ids=["ctrl-c", "mistake"])
def test_a_trial_that_was_broken_off_is_tried_again_with_its_values_and_seed(error):
    worker = worker_of(interrupting(error, at=2), trials=5)
    with pytest.raises(type(error)):
        worker.run()
    worker.run()
    result = result_of(worker.study)
    assert [trial.state for trial in result.trials].count("lost") == 1
    assert result.trials[2].params == result.trials[3].params
    assert rows(result) == rows(found(seeded, 5, method="random"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_search_and_not_only_the_training_that_runs(number):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        pytest.skip("SIGINT is ignored here, as in the background of a shell")

    class Killing(Callback):
        def on_batch_end(self, trainer):
            os.kill(os.getpid(), number)

    def build(trial):
        model = nn.Linear(2, 1)
        trainer = Trainer(model, "mse_loss", optim.SGD(model.parameters()), callbacks=Killing(), progress=False)
        x = np.ones((256, 2), np.float32)
        trainer.fit((x, x[:, :1]))
        pytest.fail("half a training is no trial")

    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(SystemExit if number == signal.SIGTERM else KeyboardInterrupt):
        found(build, 1)
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_a_worker_that_died_before_its_first_heartbeat_is_noticed(monkeypatch):
    worker = worker_of()
    with study_module.quiet():
        worker.study.ask()  # and there it dies
    monkeypatch.setattr(study_module, "_age", lambda since: 5.0)
    worker.run()
    result = result_of(worker.study)
    assert result.counts() == {"lost": 1, "complete": 4}
    assert sorted(rows(result)) == sorted(rows(found(seeded, 4, method="random")))


def test_a_trial_that_was_marked_but_not_put_back_is_found_when_the_search_goes_on(monkeypatch):
    worker = worker_of()
    worker._make()
    with study_module.quiet():
        worker.study.tell(worker.study.ask(), state=STATES.FAIL)  # and there it dies
    monkeypatch.setattr(study_module, "_age", lambda since: 6.0)
    worker.run()
    result = result_of(worker.study)
    assert result.counts() == {"complete": 4, "lost": 1}
    assert sorted(rows(result)) == sorted(rows(found(seeded, 4, method="random")))


def test_a_trial_whose_worker_dies_too_often_fails(monkeypatch):
    worker = worker_of(trials=1, retries=2)
    monkeypatch.setattr(study_module, "_age", lambda since: 6.0)
    for _ in range(3):
        with study_module.quiet():
            worker.study.ask()
        worker._bury()
    worker.run()
    result = result_of(worker.study)
    assert [trial.state for trial in result.trials] == ["lost", "lost", "failed"]


def test_what_is_begun_beyond_the_number_of_trials_is_dropped_and_shifts_nothing():
    worker = worker_of(trials=2)
    for _ in range(3):  # the last one as by a worker that looked before another began its trial
        worker._make()
    assert len(result_of(worker.study).trials) == 2
    assert worker._left() == 0
    worker.job = dataclasses.replace(worker.job, trials=4)
    worker.run()
    assert rows(result_of(worker.study)) == rows(found(seeded, 4, method="random"))


def test_a_worker_that_was_taken_for_dead_does_not_write_over_what_others_found():
    begun = []

    def build(trial):
        if begun:
            return seeded(trial)
        begun.append(trial.number)  # while this one sleeps, as a laptop does, another takes its trial for dead
        worker._drop(trial.number, died=True)
        worker.run()
        return -1000.0

    worker = worker_of(build, trials=2)
    worker.run()
    result = result_of(worker.study)
    assert [trial.state for trial in result.trials] == ["lost", "complete", "complete"]
    assert sorted(rows(result)) == sorted(rows(found(seeded, 2, method="random")))


def test_a_grid_that_is_broken_off_has_every_point_once():
    space = {"x": [1.0, 2.0, 3.0], "y": [1.0], "n": [1], "kind": ["a"]}
    worker = worker_of(interrupting(KeyboardInterrupt(), at=1), 3, "grid", space)
    with pytest.raises(KeyboardInterrupt):
        worker.run()
    worker.run()
    result = result_of(worker.study)
    assert [trial.params["x"] for trial in result.trials if trial.state == "complete"] == [1.0, 2.0, 3.0]
