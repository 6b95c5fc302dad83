"""Compile what a container, or a machine that is to start at once, will need: ``python -m cunet.warmup``.

Kernels are compiled when they are first needed, once per machine. In an image that is built once and started often,
this command does it while the image is built, for the processor that it runs on.
"""

from ..system.public import publish as _publish
from .work import everything as everything
from .work import of_model as of_model
from .work import warm as warm

__all__, __dir__ = _publish(__name__)
