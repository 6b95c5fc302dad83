"""The schedules of `cunet.optim`, where PyTorch has them: ``optim.lr_scheduler.StepLR``."""

from ..system.public import publish as _publish
from .cosine import CosineAnnealingLR as CosineAnnealingLR
from .cosine import CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts
from .onecycle import OneCycleLR as OneCycleLR
from .plateau import ReduceLROnPlateau as ReduceLROnPlateau
from .schedules import ExponentialLR as ExponentialLR
from .schedules import LambdaLR as LambdaLR
from .schedules import LinearLR as LinearLR
from .schedules import LRScheduler as LRScheduler
from .schedules import MultiStepLR as MultiStepLR
from .schedules import StepLR as StepLR
from .sequence import SequentialLR as SequentialLR

__all__, __dir__ = _publish(__name__)
