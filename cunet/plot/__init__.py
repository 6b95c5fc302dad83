"""Drawings by matplotlib (extra `[plot]`): of a training run, of what a model holds, and of where it is wrong."""

from ..system.public import publish as _publish
from .curves import history as history
from .histograms import histograms as histograms
from .images import filters as filters
from .images import mistakes as mistakes
from .matrix import confusion_matrix as confusion_matrix

__all__, __dir__ = _publish(__name__)
