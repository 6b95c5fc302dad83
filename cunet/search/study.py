"""The database of a search: opening it, and what stands in it beside Optuna's own columns."""

from __future__ import annotations

import datetime
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..system.extras import extra
from ..system.files import check_target
from .methods import Method, pruner_of
from .space import Space
from .trial import Trial

if TYPE_CHECKING:
    import optuna

#: How many heartbeats may be missed before a worker is taken for dead.
MISSED = 4
#: What is kept beside a search: the settings that may not change while it goes on.
SETTINGS = "cunet:settings"
#: What is kept beside a trial: its seed; its worker, from the first heartbeat on; that it was one too many; that
#: `catch` took its error; the number of the trial that it repeats; and how often its worker died.
SEED, WORKER, SURPLUS, FAILED, AGAIN, DEATHS = (
    f"cunet:{name}" for name in ("seed", "worker", "surplus", "failed", "again", "deaths")
)


@dataclass(frozen=True)
class Job:
    """What a worker has to know, in a form that goes to another process; see `search`."""

    build: Callable[[Trial], float]
    space: Space
    trials: int
    method: Method
    mode: str
    seed: int
    pruner: str | optuna.pruners.BasePruner | None
    storage: str | None
    name: str
    heartbeat: int
    retries: int
    catch: tuple[type[Exception], ...]

    def settings(self) -> dict[str, str]:
        """Return what may not change in a search that goes on, as text by name."""
        method = self.method if isinstance(self.method, str) else getattr(self.method, "__qualname__", "a function")
        ranges = {repr(name): repr(entry) for name, entry in self.space.items()}
        return {**ranges, "method": method, "mode": self.mode, "seed": str(self.seed)}


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what Optuna says of parts of its own that may still change, and of values that are not finite."""
    experimental = extra("optuna.exceptions", "search", "search").ExperimentalWarning
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", experimental)
        warnings.filterwarnings("ignore", "Heartbeat of storage", UserWarning)
        warnings.filterwarnings("ignore", ".*non-finite", UserWarning)
        yield


def open_study(job: Job) -> tuple[optuna.Study, optuna.storages.BaseStorage]:
    """Return a search that is begun, or goes on, and its storage.

    Raises:
        ValueError: it is there with another space, method, mode or seed; nothing is changed then.
    """
    optuna = extra("optuna", "search", "search")
    with quiet():
        storage = optuna.storages.InMemoryStorage() if job.storage is None else _database(job, job.storage)
        study = optuna.create_study(
            storage=storage, study_name=job.name, pruner=pruner_of(job.pruner),
            direction="minimize" if job.mode == "min" else "maximize", load_if_exists=True,
        )  # fmt: skip
    kept, wanted = study.user_attrs.get(SETTINGS), job.settings()
    if kept is None:
        study.set_user_attr(SETTINGS, wanted)
    elif kept != wanted:
        name = next(name for name in [*kept, *wanted] if kept.get(name) != wanted.get(name))
        raise ValueError(
            f"search: {name} must be {kept.get(name, 'left out')} to go on with the search {job.name!r}, got "
            f"{wanted.get(name, 'none')}; for a new search take another name"
        )
    return study, storage


def _database(job: Job, address: str) -> optuna.storages.RDBStorage:
    """Return the storage in a file or at an address, whose tables are made if need be.

    Raises:
        ValueError: the file is no database.
    """
    sqlalchemy = extra("sqlalchemy", "search", "search")
    if "://" not in address:
        address = sqlalchemy.URL.create("sqlite", database=str(check_target(address))).render_as_string()
    options = {"poolclass": sqlalchemy.pool.NullPool}  # no connection stays open between two trials
    if address.startswith("sqlite"):
        options["connect_args"] = {"timeout": 60}  # seconds to wait while another worker writes
    for attempt in range(6):
        try:
            return extra("optuna.storages", "search", "search").RDBStorage(
                address.replace("{", "{{").replace("}", "}}"),
                engine_kwargs=options,
                heartbeat_interval=job.heartbeat,
                grace_period=MISSED * job.heartbeat,
                heartbeat_stale_trial_callback=PutBack(job.retries),
            )
        except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError, sqlalchemy.exc.OperationalError):
            if attempt == 5:
                raise
            time.sleep(0.05 * 2**attempt)  # another worker makes the same tables
        except sqlalchemy.exc.DatabaseError as error:
            raise ValueError(f"search: storage must be a file of SQLite or the address of a database, got "
                             f"{job.storage!r}, which is another kind of file") from error  # fmt: skip
    raise AssertionError


class PutBack:
    """Put a trial that ended without a verdict into the queue again, unless its worker died too often.

    Args:
        retries: how often a trial is tried again whose worker died.
    """

    def __init__(self, retries: int) -> None:
        self.retries = retries

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial, died: bool = True) -> None:
        """Queue what a trial that was marked as failed has, its values and its seed, as a new one."""
        deaths = trial.user_attrs.get(DEATHS, 0) + died
        if deaths > self.retries:
            return
        optuna = extra("optuna", "search", "search")
        kept = {name: value for name, value in trial.user_attrs.items() if name != WORKER}
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.WAITING, params=trial.params, distributions=trial.distributions,
                user_attrs={**kept, AGAIN: trial.number, DEATHS: deaths},
            )
        )  # fmt: skip


def put_back_lost(study: optuna.Study, put_back: PutBack) -> None:
    """Queue trials again whose worker was marked as dead by one that died itself before it could queue them."""
    optuna = extra("optuna", "search", "search")
    trials = study.get_trials(deepcopy=False)
    repeated = {trial.user_attrs.get(AGAIN) for trial in trials}
    for trial in trials:
        verdict = SURPLUS in trial.user_attrs or FAILED in trial.user_attrs or trial.number in repeated
        if trial.state == optuna.trial.TrialState.FAIL and not verdict and _age(trial.datetime_complete) > 5:
            put_back(study, trial)


def _age(since: datetime.datetime | None) -> float:
    """Return how many seconds ago something was."""
    return 0.0 if since is None else (datetime.datetime.now() - since).total_seconds()


def unheard(trial: optuna.trial.FrozenTrial, grace: float) -> bool:
    """Tell whether the worker of a running trial died before its first heartbeat."""
    return WORKER not in trial.user_attrs and _age(trial.datetime_start) > grace
