"""Say what cunet finds on this machine, and what to install: ``python -m cunet.doctor``."""

from ..system.public import publish as _publish
from .machine import device_info as device_info
from .text import report as report

__all__, __dir__ = _publish(__name__)
