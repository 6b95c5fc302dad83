"""Compiled kernels on the CPU: switch them on and off, and ask how kernels run here."""

from .kernels.backends.native import describe as describe
from .kernels.backends.native import disable as disable
from .kernels.backends.native import enable as enable
from .kernels.backends.native import enabled as enabled
from .system.public import publish as _publish

__all__, __dir__ = _publish(__name__)
