"""Initialisers under PyTorch's names, which fill a weight that is there: ``nn.init.xavier_uniform_(layer.weight)``.

`cunet.init` has the same distributions as objects that make new arrays, which layers take as ``init=``.
"""

from ..init import calculate_gain as calculate_gain
from ..system.public import publish as _publish
from .by_data import data_dependent_ as data_dependent_
from .by_data import fixup_ as fixup_
from .by_data import lsuv_ as lsuv_
from .filling import constant_ as constant_
from .filling import delta_orthogonal_ as delta_orthogonal_
from .filling import dirac_ as dirac_
from .filling import eye_ as eye_
from .filling import kaiming_normal_ as kaiming_normal_
from .filling import kaiming_uniform_ as kaiming_uniform_
from .filling import normal_ as normal_
from .filling import ones_ as ones_
from .filling import orthogonal_ as orthogonal_
from .filling import sparse_ as sparse_
from .filling import trunc_normal_ as trunc_normal_
from .filling import uniform_ as uniform_
from .filling import xavier_normal_ as xavier_normal_
from .filling import xavier_uniform_ as xavier_uniform_
from .filling import zeros_ as zeros_

__all__, __dir__ = _publish(__name__)
