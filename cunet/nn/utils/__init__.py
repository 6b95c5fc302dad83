"""What changes the layers of a model, under PyTorch's names."""

from ...system.public import publish as _publish
from . import parametrizations as parametrizations
from . import parametrize as parametrize

__all__, __dir__ = _publish(__name__, "parametrizations", "parametrize")
