"""Training: Trainer, callbacks, metrics."""

from ..system.public import publish as _publish
from .average import EMA as EMA
from .average import SWA as SWA
from .callbacks import BestWeights as BestWeights
from .callbacks import EarlyStopping as EarlyStopping
from .callbacks import Schedule as Schedule
from .checkpoint import Checkpoint as Checkpoint
from .finder import RateSearch as RateSearch
from .finder import find_lr as find_lr
from .history import History as History
from .logs import CSVLog as CSVLog
from .logs import JSONLog as JSONLog
from .metrics.accuracy import TopK as TopK
from .metrics.accuracy import accuracy as accuracy
from .metrics.counts import F1 as F1
from .metrics.counts import ConfusionMatrix as ConfusionMatrix
from .metrics.counts import Precision as Precision
from .metrics.counts import Recall as Recall
from .metrics.metric import Metric as Metric
from .metrics.ranking import AUROC as AUROC
from .metrics.ranking import AveragePrecision as AveragePrecision
from .metrics.regression import MAE as MAE
from .metrics.regression import R2 as R2
from .metrics.regression import RMSE as RMSE
from .metrics.regression import Perplexity as Perplexity
from .tensorboard import TensorBoard as TensorBoard
from .trainer import Callback as Callback
from .trainer import Trainer as Trainer

__all__, __dir__ = _publish(__name__)
