"""How far a trained model can be trusted: the uncertainty of its predictions, and whether its confidence is right."""

from ..system.public import publish as _publish
from .calibration import Calibration as Calibration
from .calibration import calibration as calibration
from .calibration import fit_temperature as fit_temperature
from .uncertainty import Predictive as Predictive
from .uncertainty import ensemble_predict as ensemble_predict
from .uncertainty import mc_dropout_predict as mc_dropout_predict

__all__, __dir__ = _publish(__name__)
