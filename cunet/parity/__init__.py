"""Compare the device with the CPU: ``python -m cunet.parity``.

Every public op runs forward and backward on both, in every floating dtype, on the inputs of
`cunet.parity.cases`; then an MLP takes 50 training steps on both from one seed. The exit status is 0 if all
distances lie within `BOUNDS` and `EXCEPTIONS`, 1 if not, and 2 if there is nothing to compare with.

``--device sim`` compares with the simulated device that lives in the source tree (sim/): that shows what the
kernels' text computes, not how a GPU rounds.
"""

from ..system.public import publish as _publish
from .command import main as main
from .comparison import BOUNDS as BOUNDS
from .comparison import EXCEPTIONS as EXCEPTIONS
from .comparison import compare as compare
from .comparison import dtypes as dtypes
from .report import make_report as make_report
from .report import table as table
from .target import target_device as target_device
from .training import LOSS_BOUNDS as LOSS_BOUNDS
from .training import compare_training as compare_training
from .training import train_mlp as train_mlp

__all__, __dir__ = _publish(__name__, "BOUNDS", "EXCEPTIONS", "LOSS_BOUNDS")
