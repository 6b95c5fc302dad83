"""Which weights are computed of others, and how they become plain again."""

from ...system.public import publish as _publish
from ..parametrize import is_parametrized as is_parametrized
from ..parametrize import remove_parametrizations as remove_parametrizations

__all__, __dir__ = _publish(__name__)
