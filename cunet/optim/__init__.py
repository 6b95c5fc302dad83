"""Optimisers, clipping of gradients, and learning rate schedules, under PyTorch's names."""

from ..system.public import publish as _publish
from . import lr_scheduler as lr_scheduler
from .adadelta import Adadelta as Adadelta
from .adafactor import Adafactor as Adafactor
from .adam import Adam as Adam
from .adam import AdamW as AdamW
from .adam import NAdam as NAdam
from .adaptive import Adagrad as Adagrad
from .adaptive import RMSprop as RMSprop
from .clip import clip_grad_norm_ as clip_grad_norm_
from .clip import clip_grad_value_ as clip_grad_value_
from .cosine import CosineAnnealingLR as CosineAnnealingLR
from .cosine import CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts
from .groups import no_decay_groups as no_decay_groups
from .lamb import LAMB as LAMB
from .lbfgs import LBFGS as LBFGS
from .lion import Lion as Lion
from .muon import Muon as Muon
from .onecycle import OneCycleLR as OneCycleLR
from .optimizer import Optimizer as Optimizer
from .plateau import ReduceLROnPlateau as ReduceLROnPlateau
from .schedules import ExponentialLR as ExponentialLR
from .schedules import LambdaLR as LambdaLR
from .schedules import LinearLR as LinearLR
from .schedules import LRScheduler as LRScheduler
from .schedules import MultiStepLR as MultiStepLR
from .schedules import StepLR as StepLR
from .sequence import SequentialLR as SequentialLR
from .sgd import SGD as SGD
from .wrappers import SAM as SAM
from .wrappers import Lookahead as Lookahead

__all__, __dir__ = _publish(__name__, "lr_scheduler")
