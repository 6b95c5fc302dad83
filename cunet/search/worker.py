"""A worker: takes trials from a search, makes them and writes down what came out, until the search is over."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from .. import random
from ..system.extras import extra
from ..system.messages import say
from .methods import sampler, seed_of
from .space import grid
from .study import AGAIN, FAILED, MISSED, SEED, SURPLUS, WORKER, Job, PutBack, open_study, put_back_lost, quiet, unheard
from .trial import Trial

if TYPE_CHECKING:
    import optuna


class Worker:
    """Make trials of a search, one after the other.

    Args:
        job: the search.
        wanted: tells, before each trial, whether to go on.

    Attributes:
        study: the search as Optuna has it.
    """

    def __init__(self, job: Job, wanted: Callable[[], bool] = lambda: True) -> None:
        self.job, self.wanted = job, wanted
        self.study, self._storage = open_study(job)
        self._put_back = PutBack(job.retries)
        self._points = grid(job.space) if job.method == "grid" else None
        self._optuna = extra("optuna", "search", "search")
        self._states = self._optuna.trial.TrialState
        self._gone = self._optuna.exceptions.UpdateFinishedTrialError

    def run(self) -> None:
        """Make trials until all that were asked for have ended, here and elsewhere."""
        with ending():
            put_back_lost(self.study, self._put_back)
            while self.wanted():
                self._bury()
                left = self._left()
                if left == 0:
                    return
                if left is None:
                    time.sleep(min(1.0, self.job.heartbeat / 4))  # others may die, and leave what is to be done
                else:
                    self._make()

    def _left(self) -> int | None:
        """Return how many trials are left to begin; None if that are none, but others are still made."""
        trials = self.study.get_trials(deepcopy=False)
        waiting = sum(trial.state == self._states.WAITING for trial in trials)
        left = waiting + max(0, self.job.trials - len(_fresh(trials)))
        return left or (None if any(trial.state == self._states.RUNNING for trial in trials) else 0)

    def _bury(self) -> None:
        """Put trials back whose worker is not heard of any more."""
        with quiet():
            self._optuna.storages.fail_stale_trials(self.study)
        for trial in self.study.get_trials(deepcopy=False, states=(self._states.RUNNING,)):
            if unheard(trial, MISSED * self.job.heartbeat):
                self._drop(trial.number, died=True)

    def _drop(self, number: int, died: bool) -> None:
        """Mark a running trial as failed, and put it back."""
        try:
            self.study.tell(number, state=self._states.FAIL)
        except (ValueError, self._gone):
            return  # another worker was faster
        self._put_back(self.study, self.study.get_trials(deepcopy=False)[number], died)

    def _make(self) -> None:
        """Make a trial."""
        from platform import node

        with quiet():
            trial = self.study.ask()
        with self._beating(trial):
            try:
                trial.set_user_attr(WORKER, f"{node()}:{os.getpid()}")
                self._try(trial)
            except self._gone:
                say(f"search: trial {trial.number} was taken for dead, and is tried again: its value is not kept")
            except BaseException:
                self._drop(trial.number, died=False)
                raise

    def _try(self, trial: optuna.Trial) -> None:
        values = self._values(trial)
        if values is None:
            trial.set_user_attr(SURPLUS, True)
            return self._tell(trial, self._states.FAIL)
        try:
            value = self._built(Trial(values, trial.user_attrs[SEED], trial))
        except self._optuna.TrialPruned:
            self._tell(trial, self._states.PRUNED)
            say(f"search: trial {trial.number} was given up: {values}")
        except self.job.catch as error:
            trial.set_user_attr(FAILED, repr(error))
            self._tell(trial, self._states.FAIL)
            say(f"search: trial {trial.number} failed by {error!r}: {values}")
        else:
            self._tell(trial, self._states.COMPLETE, value)
            say(f"search: trial {trial.number} has {value:.6g}: {values}")

    def _values(self, trial: optuna.Trial) -> dict[str, Any] | None:
        """Return the values of a trial, those of an earlier one if it is tried again; None if it is one too many."""
        with quiet():
            if SEED not in trial.user_attrs:
                rank = self._rank(trial.number)
                if rank >= self.job.trials:
                    return None
                seed = seed_of(self.job.seed, rank)
                self.study.sampler = sampler(
                    self.job.method, seed, None if self._points is None else self._points[rank]
                )
                trial.set_user_attr(SEED, seed)
            return {name: entry.suggest(trial, name) for name, entry in self.job.space.items()}

    def _rank(self, number: int) -> int:
        """Return how many trials were begun before one, or before the one that it repeats.

        It is the same whatever other workers do, as a database gives each number once.
        """
        trials = self.study.get_trials(deepcopy=False)
        while AGAIN in trials[number].user_attrs:
            number = trials[number].user_attrs[AGAIN]
        return len(_fresh(trials[:number]))

    def _built(self, trial: Trial) -> float:
        """Return what `build` returns, as a number; one that is not finite is the worst there is."""
        random.manual_seed(trial.seed)
        try:
            value = self.job.build(trial)
        except FloatingPointError:  # so a Trainer may end a training that diverges
            value = math.nan
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise TypeError(f"search: build must return a number, such as fit(...)[-1]['valid_loss'], got "
                            f"{type(value).__name__}") from None  # fmt: skip
        return number if math.isfinite(number) else math.inf if self.job.mode == "min" else -math.inf

    def _tell(self, trial: optuna.Trial, state: optuna.trial.TrialState, value: float | None = None) -> None:
        """Write down how a trial ended, unless another worker took this one for dead."""
        if self.study.tell(trial, value, state, skip_if_finished=True).state != state:
            raise self._gone

    @contextmanager
    def _beating(self, trial: optuna.Trial) -> Iterator[None]:
        """Let others know, as long as a trial is made, that its worker lives."""
        if self.job.storage is None:
            yield
            return
        storage: Any = self._storage
        known = storage.get_trial_id_from_study_id_trial_number(
            storage.get_study_id_from_name(self.job.name), trial.number
        )
        over = threading.Event()

        def beat() -> None:
            while not over.wait(self.job.heartbeat):
                try:
                    storage.record_heartbeat(known)
                except Exception:  # noqa: S112 - a database that does not answer now may do so the next time
                    continue
            storage.remove_session()

        storage.record_heartbeat(known)
        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _fresh(trials: list[optuna.trial.FrozenTrial]) -> list[optuna.trial.FrozenTrial]:
    """Return trials without those that repeat another, and without those that were too many."""
    return [trial for trial in trials if AGAIN not in trial.user_attrs and SURPLUS not in trial.user_attrs]


@contextmanager
def ending() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the program at once within a ``with`` block: half a training is no trial.

    A `Trainer` would else end its run in peace, and return to `build`.
    """
    previous: dict[int, Any] = {}

    def end(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    defaults: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    if threading.current_thread() is threading.main_thread():
        for number, default in defaults.items():
            if signal.getsignal(number) is default:
                previous[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
