"""Hyper-parameter search through Optuna: grid, random, TPE and Gaussian processes, by workers on one database."""

from ..system.public import publish as _publish
from .result import Record as Record
from .result import SearchResult as SearchResult
from .run import search as search
from .space import Float as Float
from .space import Int as Int
from .trial import Pruning as Pruning
from .trial import Trial as Trial

__all__, __dir__ = _publish(__name__)
