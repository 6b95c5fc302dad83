"""Training: Trainer, callbacks, metrics."""

from ..system.public import publish as _publish
from .callbacks import BestWeights as BestWeights
from .callbacks import EarlyStopping as EarlyStopping
from .callbacks import Schedule as Schedule
from .checkpoint import Checkpoint as Checkpoint
from .metrics import accuracy as accuracy
from .trainer import Callback as Callback
from .trainer import Trainer as Trainer

__all__, __dir__ = _publish(__name__)
