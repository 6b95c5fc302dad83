"""Where values come from: samplers of Optuna by name, and the pruners that give trials up."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..system.extras import extra

if TYPE_CHECKING:
    import optuna

#: The names of methods, with the class in optuna.samplers; a grid draws nothing.
METHODS = {"grid": "", "random": "RandomSampler", "tpe": "TPESampler", "gp": "GPSampler"}
#: The names of pruners, with the class in optuna.pruners.
PRUNERS = {"median": "MedianPruner", "halving": "SuccessiveHalvingPruner", "hyperband": "HyperbandPruner"}

Method = str | Callable[..., "optuna.samplers.BaseSampler"]


def check_method(method: Method) -> None:
    """Raise ValueError unless there is such a method, ImportError if it needs what is not installed."""
    if callable(method):
        return
    if method not in METHODS:
        raise ValueError(f"search: method must be one of {', '.join(map(repr, METHODS))} or a function that returns a "
                         f"sampler of Optuna, got {method!r}")  # fmt: skip
    for library in ("torch", "scipy") if method == "gp" else ():
        if importlib.util.find_spec(library) is None:
            raise ImportError(f'search: method "gp" needs {library}, with which Optuna fits the Gaussian process: '
                              'pip install "cunet[gp]"')  # fmt: skip


def sampler(method: Method, seed: int, point: dict[str, Any] | None = None) -> optuna.samplers.BaseSampler:
    """Return a sampler of one trial.

    Args:
        method: one of `METHODS`, or a function ``method(seed=seed)`` that returns a sampler.
        seed: of its draws.
        point: the values that it gives instead, of a grid.
    """
    samplers = extra("optuna.samplers", "search", "search")
    if point is not None:
        return samplers.PartialFixedSampler(point, samplers.RandomSampler(seed=seed))
    return method(seed=seed) if callable(method) else getattr(samplers, METHODS[method] or "RandomSampler")(seed=seed)


def pruner_of(pruner: str | optuna.pruners.BasePruner | None) -> optuna.pruners.BasePruner:
    """Return a pruner by its name, or as it is.

    Raises:
        ValueError: there is none of this name.
    """
    pruners = extra("optuna.pruners", "search", "search")
    if pruner is None:
        return pruners.NopPruner()
    if isinstance(pruner, pruners.BasePruner):
        return pruner
    if pruner not in PRUNERS:
        raise ValueError(f"search: pruner must be one of {', '.join(map(repr, PRUNERS))}, a pruner of Optuna or None, "
                         f"got {pruner!r}")  # fmt: skip
    return getattr(pruners, PRUNERS[pruner])()


def seed_of(seed: int, rank: int) -> int:
    """Return the seed of a trial, whoever makes it and however often the search was stopped."""
    return int(np.random.SeedSequence([seed, rank]).generate_state(1)[0])
