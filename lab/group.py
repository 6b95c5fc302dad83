"""What a group of claims is, which there are, and how much of each is run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from .findings import Finding
from .results import Results

Piece = dict[str, Any]

#: All groups, in the order of the pages.
NAMES = (
    "ravine",
    "rates",
    "drift",
    "smoothness",
    "batch_noise",
    "regularisers",
    "small_batches",
    "norms_cnn",
    "cnn_batches",
    "batch_renorm",
    "decorrelation",
    "switchable",
    "filter_response",
    "weight_norms",
    "transfer",
    "placement",
    "invariance",
    "signals",
    "inits",
    "deep_starts",
    "activations",
    "selu",
    "linear_region",
    "dropout_rates",
    "dropout_average",
    "concrete_dropout",
    "newer_dropout",
    "optimizers",
    "newer_optimizers",
    "recurrent",
    "recurrent_norms",
    "hyperparameters",
)


class Size(NamedTuple):
    """How much is run: tiny is for tests, quick takes ten minutes, full an hour or two.

    The full size has seeds of its own, so that what was chosen when quick results were known is tested on fresh ones.
    """

    name: str
    seeds: int
    first: int = 0

    def pick(self, tiny: Any, quick: Any, full: Any) -> Any:
        """Return the value for this size."""
        return {"tiny": tiny, "quick": quick, "full": full}[self.name]


SIZES = {"tiny": Size("tiny", 1), "quick": Size("quick", 4), "full": Size("full", 10, first=100)}


class Group(Protocol):
    """What each module of `lab/groups` defines; its docstring is the beginning of its page.

    `settings` lists what is run once per seed, as keyword arguments of `run`, which returns numbers and curves by name.
    `findings` and `draw` see the results of all pieces.
    """

    __doc__: str
    settings: Callable[[Size], list[Piece]]
    run: Callable[..., dict[str, Any]]
    findings: Callable[[Results], list[Finding]]
    draw: Callable[[Results], Any]


def load(name: str) -> Group:
    """Return a group by name.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in NAMES:
        raise ValueError(f"lab: a group must be one of {', '.join(NAMES)}; got {name!r}")
    module: Any = importlib.import_module(f".groups.{name}", __package__)
    return module


def pieces(name: str, size: Size, seed: int = 0) -> list[Piece]:
    """Return the pieces of a group: each setting with each seed."""
    seeds = range(seed + size.first, seed + size.first + size.seeds)
    return [{**setting, "seed": k} for setting in load(name).settings(size) for k in seeds]
