"""How ops do all samples of a `vmap` at once; see `cunet.autograd.mapped`."""

from . import axes as axes
from . import layers as layers
from . import losses as losses
from . import places as places
from . import products as products
from . import shapes as shapes
