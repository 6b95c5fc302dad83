"""Models as ONNX files: what is trained here runs elsewhere."""

from ..system.public import publish as _publish
from .export import export as export

__all__, __dir__ = _publish(__name__)
