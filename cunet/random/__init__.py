"""Counter-based random streams: the same bits on every device, in any order, without stored masks."""

from ..system.public import publish as _publish
from .generator import Draw as Draw
from .generator import Generator as Generator
from .generator import default_generator as default_generator
from .generator import get_state as get_state
from .generator import manual_seed as manual_seed
from .generator import set_state as set_state
from .generator import stream_id as stream_id
from .generator import streams as streams
from .sampling import bernoulli as bernoulli
from .sampling import categorical as categorical

__all__, __dir__ = _publish(__name__)
