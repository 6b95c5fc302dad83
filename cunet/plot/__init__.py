"""Drawings: by matplotlib (extra `[plot]`) of runs, layers and mistakes; by Graphviz of recorded graphs."""

from ..system.public import publish as _publish
from .curves import history as history
from .graph import Graph as Graph
from .graph import graph as graph
from .histograms import histograms as histograms
from .images import filters as filters
from .images import mistakes as mistakes
from .matrix import confusion_matrix as confusion_matrix

__all__, __dir__ = _publish(__name__)
