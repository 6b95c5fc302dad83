"""What is wrong with a model that does not learn, and how far one that has learnt can be trusted."""

from ..system.public import publish as _publish
from .calibration import Calibration as Calibration
from .calibration import calibration as calibration
from .calibration import fit_temperature as fit_temperature
from .findings import Finding as Finding
from .findings import Findings as Findings
from .health import health as health
from .recorder import Recorder as Recorder
from .uncertainty import Predictive as Predictive
from .uncertainty import ensemble_predict as ensemble_predict
from .uncertainty import mc_dropout_predict as mc_dropout_predict

__all__, __dir__ = _publish(__name__)
