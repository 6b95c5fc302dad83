"""The command ``cunet``: train, look at and use nets from a terminal; ``cunet --help`` teaches it.

A run is a folder: ``run.json`` says what is trained and with which settings, the checkpoints of
`cunet.train.Checkpoint` let it go on to the bit, ``weights.safetensors`` is what came of it.
"""

from ..system.public import publish as _publish
from .command import main as main
from .recipes import Job as Job
from .recipes import Picture as Picture

__all__, __dir__ = _publish(__name__)
