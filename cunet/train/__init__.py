"""Training: Trainer, callbacks, metrics."""

from .callbacks import Callback, Checkpoint, EarlyStopping, Schedule
from .metrics import accuracy
from .trainer import Trainer

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "Schedule", "Trainer", "accuracy"]
