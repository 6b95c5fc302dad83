"""Initialisers: small callable objects that draw the first values of a weight.

An initialiser is made once and called with a shape::

    weight = init.kaiming_normal()((256, 784))            # float32, from default_generator("init")
    weight = init.get("orthogonal")((64, 64), generator, np.float64)

Values are drawn on the CPU in float64 and cast once, so one seed gives the same weights on every
device, and a float32 weight is the float64 one rounded. Each call that draws takes one call of its
generator; `constant`, `eye` and `dirac` take none. Layers accept an initialiser, a name, a number or a
function of ``(shape, generator, dtype)`` as ``init=`` (see `get`). `cunet.nn.init` fills weights that are there.

A constant is sound for a bias, a norm's scale or the last scale of a residual branch; in a weight
matrix it leaves all units of a layer equal for ever, because they also receive equal gradients.
"""

from ..system.public import publish as _publish
from .distributions import constant as constant
from .distributions import normal as normal
from .distributions import ones as ones
from .distributions import truncated_normal as truncated_normal
from .distributions import uniform as uniform
from .distributions import zeros as zeros
from .gains import calculate_gain as calculate_gain
from .gains import fans as fans
from .initializer import Initializer as Initializer
from .lookup import get as get
from .matrices import delta_orthogonal as delta_orthogonal
from .matrices import dirac as dirac
from .matrices import eye as eye
from .matrices import orthogonal as orthogonal
from .matrices import sparse as sparse
from .variance_scaling import kaiming_normal as kaiming_normal
from .variance_scaling import kaiming_uniform as kaiming_uniform
from .variance_scaling import lecun_normal as lecun_normal
from .variance_scaling import lecun_uniform as lecun_uniform
from .variance_scaling import xavier_normal as xavier_normal
from .variance_scaling import xavier_uniform as xavier_uniform

__all__, __dir__ = _publish(__name__)
