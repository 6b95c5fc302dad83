"""search: the hyper-parameters of a model that make a number the least, or the greatest."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..system.checks import check_counts
from ..system.extras import extra
from .methods import Method, check_method, pruner_of
from .processes import run_workers
from .result import SearchResult, result_of
from .space import Float, Int, checked_space, grid
from .study import Job
from .trial import Trial
from .worker import Worker

if TYPE_CHECKING:
    import optuna


def search(
    build: Callable[[Trial], float],
    space: Mapping[str, Float | Int | Sequence[Any]],
    trials: int | None = None,
    *,
    method: Method = "tpe",
    mode: str = "min",
    pruner: str | optuna.pruners.BasePruner | None = "median",
    seed: int = 0,
    workers: int = 1,
    storage: str | os.PathLike[str] | None = "search.sqlite3",
    name: str = "search",
    retries: int = 1,
    catch: tuple[type[Exception], ...] = (),
    heartbeat: int = 15,
) -> SearchResult:
    """Try values of hyper-parameters, and return what was found.

    A search is kept in a database under its name. Called again it goes on, also after it was killed: a trial whose
    worker is not heard of for four heartbeats is put back into the queue with its values and its seed. Other programs,
    on other machines too, may call it at the same time with the same arguments: they share the trials.

    Args:
        build: ``build(trial) -> number`` makes a model of the trial's values (``trial["lr"]``), trains it and returns
            how good it is, such as the last validation loss. One that is not finite counts as the worst there is.
        space: a `Float`, an `Int` or a list of choices by name.
        trials: how many in all, those of earlier calls and of other workers included; None: all points of a grid.
        method: "tpe", "random", "gp" (a Gaussian process with log expected improvement; extra ``[gp]``), "grid" (every
            point once), or a function of a seed that returns a sampler of Optuna.
        mode: "min" or "max": which way is better.
        pruner: which trials are given up that tell values on the way, by `Pruning` or `Trial.report`: "median",
            "halving", "hyperband", a pruner of Optuna, or None.
        seed: of the values and of every trial's weights. With one worker it decides all of the search.
        workers: processes on this machine, which share its cores; `build` must be at the top of a module then, and the
            program must guard its beginning by ``if __name__ == "__main__":``.
        storage: a file of SQLite for workers on this machine, or the address of a database for many machines, such as
            "postgresql+psycopg://user@host/database"; None: nothing is kept.
        name: of the search in the database.
        retries: how often a trial is tried again whose worker died, before it counts as failed.
        catch: errors of `build` that make a trial count as failed; others end the search, and the trial is tried again
            when it goes on.
        heartbeat: seconds between two signs of life of a worker.

    Raises:
        ValueError: a range of the space is not possible, `method`, `mode` or `pruner` is unknown, or the database has
            a search of this name with another space, method, mode or seed.
        TypeError: `build` returns no number.
        ImportError: Optuna is not installed: ``pip install "cunet[search]"``.

    Source: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization" (TPE); Jones et al. 1998, "Efficient
    Global Optimization of Expensive Black-Box Functions" (expected improvement); Golovin et al. 2017, "Google Vizier"
    (the median rule); Akiba et al. 2019, "Optuna".

    Example:
        >>> from cunet.search import Float, search
        >>> found = search(lambda trial: (trial["x"] - 1) ** 2, {"x": Float(-4, 4)}, trials=30, storage=None)
        >>> abs(found.best.params["x"] - 1) < 0.5
        True
    """
    extra("optuna", "search", "search")
    found = checked_space(space)
    check_method(method)
    if method == "grid":
        points = len(grid(found))
        trials = points if trials is None else min(trials, points)
    _check(mode, trials=trials, workers=workers, heartbeat=heartbeat, seed=seed, retries=retries)
    if workers > 1 and storage is None:
        raise ValueError(f"search: workers={workers} need a storage that they share, got None")
    pruner_of(pruner)
    kept = None if storage is None else os.fspath(storage)
    count, seed = int(trials or 0), int(seed)
    job = Job(build, found, count, method, mode, seed, pruner, kept, name, heartbeat, retries, tuple(catch))
    worker = Worker(job)
    if workers == 1:
        worker.run()
    else:
        run_workers(job, workers)
    return result_of(worker.study)


def _check(mode: str, **numbers: Any) -> None:
    """Raise TypeError or ValueError for a number or a mode that cannot be."""
    for name, number in numbers.items():
        check_counts("search", -math.inf if name in ("seed", "retries") else 1, **{name: number})
        if number < 0:
            raise ValueError(f"search: {name} must not be negative, got {number}")
    if mode not in ("min", "max"):
        raise ValueError(f'search: mode must be "min" or "max", got {mode!r}')
