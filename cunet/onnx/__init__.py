"""Models as ONNX files: what is trained here runs elsewhere, and the other way round."""

from ..system.public import publish as _publish
from .export import export as export
from .load import OnnxModel as OnnxModel
from .load import load as load

__all__, __dir__ = _publish(__name__)
